"""The document of a workflow: nodes and edges as the editor saves them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from workflows.engine.errors import GraphError

CONTROL_HANDLE = "__control__"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a graph; a warning does not keep it from running."""

    message: str
    severity: Literal["error", "warning"] = "error"
    node_id: str | None = None
    edge_id: str | None = None
    property: str | None = None
    cure: str = ""


class GraphNode(msgspec.Struct, kw_only=True):
    """A node of the document; ``data`` holds property values by name.

    Some clients write ``properties`` for it; `load_graph` reads both.
    """

    id: str = ""
    type: str = ""
    parent_id: str | None = None
    data: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None
    ui_properties: Any = None
    dynamic_properties: dict[str, Any] | None = None
    dynamic_outputs: dict[str, Any] | None = None
    sync_mode: Any = "on_any"


class Edge(msgspec.Struct, kw_only=True):
    """A connection from an output of one node to an input of another."""

    id: str | None = None
    source: str
    target: str
    source_handle: str = msgspec.field(name="sourceHandle")
    target_handle: str = msgspec.field(name="targetHandle")
    edge_type: Any = "data"

    @property
    def is_control(self) -> bool:
        return bool(self.edge_type == "control")


class Graph(msgspec.Struct, kw_only=True):
    """A workflow's graph. Fields the engine does not use are left out."""

    nodes: list[GraphNode] = []
    edges: list[Edge] = []


_decoder = msgspec.json.Decoder(Graph)


def load_graph(document: bytes | str | dict[str, Any]) -> Graph:
    """Read a graph; every edge gets an id.

    Raises:
        GraphError: the document does not have the shape of a graph.
    """
    try:
        if isinstance(document, bytes | str):
            graph = _decoder.decode(document)
        else:
            graph = msgspec.convert(document, Graph)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = Problem(message=f"Not a graph: {error}", cure="Correct the document.")
        raise GraphError([problem]) from error
    for node in graph.nodes:
        if node.data is None:
            node.data = node.properties
    _name_edges(graph.edges)
    return graph


def _name_edges(edges: list[Edge]) -> None:
    taken: dict[str, int] = {}
    for edge in edges:
        if edge.id:
            continue
        name = f"{edge.source}:{edge.source_handle}->{edge.target}:{edge.target_handle}"
        taken[name] = count = taken.get(name, 0) + 1
        edge.id = name if count == 1 else f"{name}#{count}"
