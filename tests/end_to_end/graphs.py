"""Graphs that end-to-end tests run, built from shipped nodes."""

from typing import Any

Graph = dict[str, list[dict[str, Any]]]


def node(node_id: str, type_: str, **data: Any) -> dict[str, Any]:
    return {"id": node_id, "type": type_, "data": data}


def edge(
    source: str, target: str, handle: str = "value", output: str = "output"
) -> dict[str, Any]:
    return {
        "id": f"{source}.{output}>{target}.{handle}",
        "source": source,
        "sourceHandle": output,
        "target": target,
        "targetHandle": handle,
    }


def output(name: str = "text", node_id: str = "out") -> dict[str, Any]:
    return node(node_id, "nodetool.output.Output", name=name)


def text_input(name: str = "prompt", node_id: str = "in") -> dict[str, Any]:
    return node(node_id, "nodetool.input.StringInput", name=name, value="")


def hello() -> Graph:
    """Input prompt, append " world", output text."""
    return {
        "nodes": [
            text_input(),
            node("cat", "nodetool.text.Concat", b=" world"),
            output(),
        ],
        "edges": [edge("in", "cat", "a"), edge("cat", "out")],
    }


def sequence(count: int) -> Graph:
    """Stream 0, 1, ... to output numbers."""
    generator = "nodetool.list.GenerateSequence"
    return {
        "nodes": [
            node("seq", generator, start=0, stop=count, step=1),
            output("numbers"),
        ],
        "edges": [edge("seq", "out")],
    }
