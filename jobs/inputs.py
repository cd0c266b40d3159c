"""Which inputs a job's graph has: a streamed item is checked before it is stored."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec

from workflows.engine.errors import UnknownNodeType
from workflows.engine.node import InputNode
from workflows.nodes import registry

_GRAPH = "SELECT graph FROM jobs_job WHERE id = %s"
MAX_KNOWN = 256
_known: OrderedDict[str, dict[str, tuple[str, ...]]] = OrderedDict()


class _Node(msgspec.Struct):
    type: str = ""
    data: dict[str, Any] = {}


class _Graph(msgspec.Struct):
    nodes: list[_Node] = []


def find(cursor: Any, job_id: str, name: str, handle: str | None) -> str | None:
    """The output of input ``name`` that an item goes to; None if there is none.

    Without a handle it is ``output`` where the node has one, else its first. Called on
    the event log's thread only, which the cache relies on.
    """
    known = _known.get(job_id)
    if known is None:
        cursor.execute(_GRAPH, (job_id,))
        known = _known[job_id] = _inputs(cursor.fetchone()[0])
        if len(_known) > MAX_KNOWN:
            _known.popitem(last=False)
    outputs = known.get(name)
    if not outputs:
        return None
    if handle:
        return handle if handle in outputs else None
    return "output" if "output" in outputs else outputs[0]


def _inputs(text: str) -> dict[str, tuple[str, ...]]:
    graph = msgspec.json.decode(text, type=_Graph)
    found: dict[str, tuple[str, ...]] = {}
    for node in graph.nodes:
        try:
            cls = registry.get(node.type)
        except UnknownNodeType:
            continue
        name = node.data.get("name")
        if issubclass(cls, InputNode) and isinstance(name, str):
            found[name] = tuple(cls.outputs)
    return found
