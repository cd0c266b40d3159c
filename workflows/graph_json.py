"""Graphs on their way into the database: checked for shape, every field present.

Whether a graph can run is not asked here (``workflows.engine.validation`` does that
when it runs): an editor saves graphs that are not finished yet.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from workflows.engine.validation import MAX_EDGES, MAX_NODES
from workflows.errors import InvalidGraph

HANDLES = {"source_handle": "sourceHandle", "target_handle": "targetHandle"}

Json = dict[str, Any]


class _NodeShape(msgspec.Struct):
    """What a node must look like. Fields that are not named here are kept as well."""

    id: str
    type: str | None = None
    parent_id: str | None = None
    data: Json | None = None
    properties: Json | None = None
    dynamic_properties: Json | None = None
    dynamic_outputs: Json | None = None
    sync_mode: str | None = None


class _EdgeShape(msgspec.Struct, rename=HANDLES):
    """What an edge must look like."""

    source: str
    source_handle: str
    target: str
    target_handle: str
    id: str | None = None
    ui_properties: Json | None = None
    edge_type: Literal["data", "control"] | None = None


class _GraphShape(msgspec.Struct):
    """What a graph must look like."""

    nodes: list[_NodeShape] = []
    edges: list[_EdgeShape] = []


def normalise_graph(graph: object) -> Json:
    """Return the graph as it is stored; ``graph`` itself stays as it is.

    Absent fields get their defaults, ``properties`` of a node becomes ``data``, an edge
    without id is named after its ends, and a value in ``data`` whose handle is fed by a
    data edge is dropped: the edge wins over it in every run. Unknown fields are kept.

    Raises:
        InvalidGraph: not a graph, or too large.
    """
    if not isinstance(graph, dict):
        raise InvalidGraph("A graph is an object with nodes and edges")
    graph = {
        **graph,
        "nodes": _or(graph, "nodes", []),
        "edges": _or(graph, "edges", []),
    }
    _check_size(graph)
    try:
        msgspec.convert(graph, _GraphShape)
    except msgspec.ValidationError as error:
        raise InvalidGraph.from_msgspec(error) from None
    edges = [_edge(edge) for edge in graph["edges"]]
    fed = _fed_handles(edges)
    return {
        **graph,
        "nodes": [_node(node, fed.get(node["id"], ())) for node in graph["nodes"]],
        "edges": edges,
    }


def _or(container: Json, key: str, default: Any) -> Any:
    """Return the value at ``key``; null counts as absent."""
    value = container.get(key)
    return default if value is None else value


def _check_size(graph: Json) -> None:
    for key, limit in (("nodes", MAX_NODES), ("edges", MAX_EDGES)):
        if isinstance(graph[key], list) and len(graph[key]) > limit:
            raise InvalidGraph(
                f"A graph has at most {limit} {key}, this one has {len(graph[key])}",
                (key,),
            )


def _edge(edge: Json) -> Json:
    source, source_handle = edge["source"], edge["sourceHandle"]
    target, target_handle = edge["target"], edge["targetHandle"]
    default_id = f"{source}:{source_handle}->{target}:{target_handle}"
    known = {
        "id": edge.get("id") or default_id,
        "source": source,
        "sourceHandle": source_handle,
        "target": target,
        "targetHandle": target_handle,
        "ui_properties": edge.get("ui_properties"),
        "edge_type": _or(edge, "edge_type", "data"),
    }
    return {**known, **{key: edge[key] for key in edge if key not in known}}


def _node(node: Json, fed_handles: Iterable[str]) -> Json:
    data = dict(_or(node, "data", _or(node, "properties", {})))
    for handle in fed_handles:
        data.pop(handle, None)
    known = {
        "id": node["id"],
        "parent_id": node.get("parent_id"),
        "type": _or(node, "type", "default"),
        "data": data,
        "ui_properties": _or(node, "ui_properties", {}),
        "dynamic_properties": _or(node, "dynamic_properties", {}),
        "dynamic_outputs": _or(node, "dynamic_outputs", {}),
        "sync_mode": _or(node, "sync_mode", "on_any"),
    }
    extra = (key for key in node if key not in known and key != "properties")
    return {**known, **{key: node[key] for key in extra}}


def _fed_handles(edges: list[Json]) -> dict[str, set[str]]:
    """Return, by node, the handles that a data edge ends at."""
    fed: dict[str, set[str]] = {}
    for edge in edges:
        if edge["edge_type"] == "data":
            fed.setdefault(edge["target"], set()).add(edge["targetHandle"])
    return fed
