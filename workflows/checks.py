"""System checks: node types are told apart, stored graphs still load."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import DatabaseError

from workflows.engine.errors import GraphError
from workflows.graph_check import unknown_types
from workflows.models import Workflow
from workflows.nodes import registry

SHOWN = 20


@register
def check_node_types(
    app_configs: Sequence[Any] | None, **options: Any
) -> list[CheckMessage]:
    """Two types that differ in ``__init__`` alone would be one name in a graph."""
    names = (cls.node_type.replace(".__init__.", ".") for cls in registry)
    return [
        checks.Error(f"Two node types answer to {name}", id="workflows.E001")
        for name, times in Counter(names).items()
        if times > 1
    ]


@register(Tags.database)
def check_stored_graphs(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None, **options: Any
) -> list[CheckMessage]:
    """A workflow whose node types are gone would fail when it is run."""
    if not databases:
        return []
    try:
        found = list(_unloadable())
    except DatabaseError:  # no tables yet: nothing is stored
        return []
    hint = f"{len(found) - SHOWN} more" if len(found) > SHOWN else None
    return [
        checks.Warning(text, hint=hint, id="workflows.W001") for text in found[:SHOWN]
    ]


def _unloadable() -> Iterator[str]:
    stored = Workflow.objects.values_list("pk", "graph").iterator(chunk_size=100)
    for workflow_id, graph in stored:
        try:
            missing = unknown_types(graph)
        except GraphError as error:
            yield f"Workflow {workflow_id}: {error}"
            continue
        if missing:
            types = ", ".join(sorted(missing))
            yield f"Workflow {workflow_id} uses unknown node types: {types}"
