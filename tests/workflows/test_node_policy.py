"""Node types that a mode leaves out: listed with the reason, refused with it."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from nodetool_site.lib.modes import HARDENED, MODES
from tests.nodes_for_tests import reaches
from workflows import node_catalogue, node_policy
from workflows.engine.errors import NodeTypeOff
from workflows.engine.node import Node
from workflows.graph_check import problems_of
from workflows.management.commands.nodes import _title
from workflows.nodes import registry

REACHING = {
    "code": "tests.RunsCode",
    "server_files": "tests.ReadsServerFiles",
    "converter": "tests.Converts",
    "listener": "tests.Listens",
}
SHIPPED = sorted(
    cls.node_type for cls in registry if cls.__module__.startswith("workflows.")
)
REASON = "is off in private mode: it runs code that comes with a workflow"


def graph_of(node_type: str) -> dict:
    return {"nodes": [{"id": "n1", "type": node_type, "data": {}}], "edges": []}


def test_every_word_of_the_table_has_its_test_node():
    assert set(REACHING) == set(node_policy.REACHES) - {""}
    for word, node_type in REACHING.items():
        assert registry.get(node_type).reach == word


@pytest.mark.parametrize("word", REACHING)
@pytest.mark.parametrize("mode", MODES)
def test_reach_decides_where_a_node_is_off(settings, mode, word):
    settings.SERVER_MODE = mode
    _, does = node_policy.REACHES[word]

    reason = node_policy.refusal(REACHING[word])

    assert reason == (f"is off in {mode} mode: {does}" if mode in HARDENED else None)
    assert (REACHING[word] in node_policy.allowed_nodes()) == (mode not in HARDENED)


@pytest.mark.parametrize("mode", MODES)
def test_no_shipped_node_is_off_unless_it_says_what_it_reaches(settings, mode):
    settings.SERVER_MODE = mode

    off = [name for name in SHIPPED if node_policy.refusal(name)]

    assert off == [name for name in off if registry.get(name).reach]
    assert {"nodetool.text.Concat", "nodetool.input.StringInput"} <= {
        cls.node_type for cls in node_policy.allowed_nodes()
    }


def test_older_spelling_of_a_type_does_not_get_round_it(settings):
    settings.SERVER_MODE = "private"

    assert node_policy.refusal("tests.RunsCodeNode") == REASON
    assert node_policy.refusal("nodetool.tests.RunsCode") == REASON
    assert node_policy.refusal("no.such.Type") is None


def test_registry_of_the_mode_names_the_reason(settings):
    settings.SERVER_MODE = "private"

    with pytest.raises(NodeTypeOff, match=REASON):
        node_policy.allowed_nodes().get("tests.RunsCode")
    settings.SERVER_MODE = "desktop"
    assert node_policy.allowed_nodes().get("tests.RunsCode") is reaches.RunsCode


@pytest.mark.parametrize(
    "graph",
    [
        None,
        {},
        {"nodes": None},
        {"nodes": [None, 1, {}, {"type": 5}, {"type": "no.such.Type"}]},
        graph_of("nodetool.text.Concat"),
    ],
)
def test_brought_graph_of_allowed_nodes_passes(settings, graph):
    settings.SERVER_MODE = "private"

    node_policy.check_brought_graph(graph)


def test_brought_graph_with_a_node_that_is_off_is_refused(settings):
    node_policy.check_brought_graph(graph_of("tests.RunsCode"))
    settings.SERVER_MODE = "public"

    with pytest.raises(node_policy.NodesNotAllowed) as refused:
        node_policy.check_brought_graph(graph_of("tests.RunsCode"))

    assert refused.value.status == 403
    assert refused.value.message == (
        "Node 'n1': Node type tests.RunsCode is off in public mode: "
        "it runs code that comes with a workflow"
    )


def test_validation_names_the_reason_and_the_cure(settings):
    settings.SERVER_MODE = "private"

    answer = problems_of(graph_of("tests.RunsCode"))

    assert answer["valid"] is False
    (problem,) = answer["problems"]
    assert problem["node_id"] == "n1"
    assert REASON in problem["message"]
    assert "Remove the node" in problem["cure"]


@pytest.mark.parametrize("is_slim", [True, False])
def test_listing_names_the_reason_and_says_nothing_of_what_is_on(settings, is_slim):
    settings.SERVER_MODE = "private"

    found = {
        each["node_type"]: each
        for each in node_catalogue.select_metadata(is_slim=is_slim)
    }

    off = found["tests.RunsCode"]
    assert (off["is_available"], off["unavailable_reason"]) == (False, REASON)
    assert _title(off) == f"Runs Code ({REASON})"
    assert "is_available" not in found["nodetool.text.Concat"]
    whole = node_catalogue.whole_answer(is_slim=is_slim)
    assert REASON.encode() in whole
    settings.SERVER_MODE = "desktop"
    assert REASON.encode() not in node_catalogue.whole_answer(is_slim=is_slim)


def test_reach_that_no_mode_has_decided_on_stops_the_start():
    class Unheard(Node):
        reach = "everything"

    Unheard.node_type = "tests.Unheard"

    with pytest.raises(ImproperlyConfigured, match=r"tests\.Unheard.*'everything'"):
        node_policy.check_reaches([Unheard])
