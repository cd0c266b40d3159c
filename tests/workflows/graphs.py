"""Small graphs and requests for the tests of stored workflows."""

from typing import Any


def node(node_id: str, node_type: str, **data: Any) -> dict[str, Any]:
    return {"id": node_id, "type": node_type, "data": data}


def edge(source: str, target: str, *, to: str = "value") -> dict[str, Any]:
    return {
        "source": source,
        "sourceHandle": "output",
        "target": target,
        "targetHandle": to,
    }


def echo_graph(text: str = "hi") -> dict[str, Any]:
    return {
        "nodes": [
            node("in", "nodetool.input.StringInput", name="prompt", value=text),
            node("out", "nodetool.output.Output", name="text"),
        ],
        "edges": [edge("in", "out")],
    }


def request_body(name: str = "Echo", **fields: Any) -> dict[str, Any]:
    return {"name": name, "access": "private", "graph": echo_graph(), **fields}
