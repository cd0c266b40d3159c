"""System checks of node types and stored graphs, and what loads at start-up."""

import subprocess
import sys

import pytest
from django.core.checks import run_checks

from storage.models import User
from tests.workflows.graphs import echo_graph, node
from workflows import checks, services
from workflows.documents import WorkflowFields
from workflows.engine.node import Node
from workflows.engine.registry import NodeRegistry
from workflows.models import Workflow


def test_two_types_that_differ_in_init_alone_are_an_error(monkeypatch):
    registry = NodeRegistry()
    for name in ("lib.__init__.Blend", "lib.Blend"):
        registry.register(name)(type("Blend", (Node,), {}))
    monkeypatch.setattr(checks, "registry", registry)

    found = [m for m in run_checks() if m.id == "workflows.E001"]

    assert [m.msg for m in found] == ["Two node types answer to lib.Blend"]


@pytest.mark.django_db
def test_stored_graphs_that_cannot_load_are_named():
    User.objects.create(id="1", username="one")
    lost = {"nodes": [node("x", "no.such.Type")]}
    for workflow_id, graph in (("good", echo_graph()), ("lost", lost), ("bad", {})):
        request = WorkflowFields(name="w", graph=graph)
        services.save_workflow(workflow_id, request, owner_id="1")
    Workflow.objects.filter(pk="bad").update(graph="{")

    found = [m.msg for m in checks.check_stored_graphs(None, databases=["default"])]

    assert len(found) == 2
    assert "Workflow lost uses unknown node types: no.such.Type" in found
    assert any(text.startswith("Workflow bad: ") for text in found)


def test_node_packages_load_at_start_and_a_missing_one_is_named(tmp_path):
    (tmp_path / "my_nodes.py").write_text(
        "from workflows.engine.node import Node\n"
        "from workflows.nodes import registry\n"
        "@registry.register('my.Node')\n"
        "class Mine(Node):\n"
        "    '''Mine.'''\n"
    )

    def started(packages):
        program = (
            "import django; django.setup()\n"
            "from workflows.nodes import registry\n"
            "print('my.Node' in registry)\n"
        )
        environment = {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONPATH": f"{tmp_path}:.",
            "NODE_PACKAGES": packages,
        }
        return subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    assert started("my_nodes").stdout == "True\n"
    assert "NODE_PACKAGES: cannot import not_there" in started("not_there").stderr
