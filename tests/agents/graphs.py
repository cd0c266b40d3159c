"""Graphs that are tools."""

from typing import Any

Json = dict[str, Any]


def adder() -> Json:
    """Two numbers in, their sum out."""
    return {
        "nodes": [
            {"id": "a", "type": "nodetool.input.IntegerInput", "data": {"name": "a"}},
            {"id": "b", "type": "nodetool.input.IntegerInput", "data": {"name": "b"}},
            {"id": "add", "type": "lib.math.Add", "data": {}},
            output("sum"),
        ],
        "edges": [
            edge("a", "output", "add", "a"),
            edge("b", "output", "add", "b"),
            edge("add", "output", "sum", "value"),
        ],
    }


def single(node_type: str, out: str = "output", **data: Any) -> Json:
    """A node whose output is an output of the graph, called ``result``."""
    return {
        "nodes": [{"id": "node", "type": node_type, "data": data}, output("result")],
        "edges": [edge("node", out, "result", "value")],
    }


def output(name: str) -> Json:
    return {"id": name, "type": "nodetool.output.Output", "data": {"name": name}}


def edge(source: str, out: str, target: str, handle: str) -> Json:
    return {
        "source": source,
        "sourceHandle": out,
        "target": target,
        "targetHandle": handle,
    }
