"""The graphs that are measured: plain nodes that any NodeTool server has."""

from typing import Any

from tests.end_to_end.graphs import (
    Graph,
    edge,
    hello,
    node,
    output,
    sequence,
    text_input,
)

__all__ = ["chain", "fan", "hello", "sequence"]


def chain(length: int) -> Graph:
    """``length`` nodes in a row, each changing the case of the text."""
    types = ("nodetool.text.ToUppercase", "nodetool.text.ToLowercase")
    names = [f"n{i}" for i in range(length)]
    nodes: list[dict[str, Any]] = [text_input()]
    nodes += [node(name, types[i % 2]) for i, name in enumerate(names)]
    edges = [edge(a, b, "text") for a, b in zip(["in", *names], names, strict=False)]
    return {"nodes": [*nodes, output()], "edges": [*edges, edge(names[-1], "out")]}


def fan(width: int) -> Graph:
    """One text to ``width`` nodes, and all of theirs into one list."""
    names = [f"n{i}" for i in range(width)]
    nodes = [text_input(), node("all", "nodetool.text.Join", separator=",")]
    nodes += [node(name, "nodetool.text.ToUppercase") for name in names]
    edges = [edge("in", name, "text") for name in names]
    edges += [edge(name, "all", "strings") for name in names]
    return {"nodes": [*nodes, output()], "edges": [*edges, edge("all", "out")]}
