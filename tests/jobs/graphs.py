"""Graphs that the tests of the HTTP surface run, and workflows that hold them."""

from typing import Any

from tests.end_to_end.graphs import edge, hello, node, output, text_input
from workflows.documents import WorkflowFields
from workflows.services import create_workflow

__all__ = ["edge", "hello", "node", "output", "text_input"]

Graph = dict[str, Any]


def echo(*names: str) -> Graph:
    """The text input ``prompt`` at several outputs."""
    outputs = [output(name, f"out-{name}") for name in names]
    return {
        "nodes": [text_input(), *outputs],
        "edges": [edge("in", f"out-{name}") for name in names],
    }


def failing() -> Graph:
    """An output that arrives, and a node that fails."""
    return {
        "nodes": [text_input(), output(), node("bad", "demo.Fail", message="no luck")],
        "edges": [edge("in", "out")],
    }


def slow(steps: int = 2000) -> Graph:
    """The text input at once, and a job that goes on until somebody ends it."""
    return {
        "nodes": [
            text_input(),
            output(),
            node("slow", "demo.SlowSteps", steps=steps, seconds_per_step=0.01),
            output("done", "out-done"),
        ],
        "edges": [edge("in", "out"), edge("slow", "out-done")],
    }


def streamed_input() -> Graph:
    """An input that is fed while the job runs."""
    return {
        "nodes": [
            node("in", "nodetool.input.RealtimeAudioInput", name="items"),
            node("re", "nodetool.control.Reroute"),
            output("items"),
        ],
        "edges": [
            edge("in", "re", "input_value", output="chunk"),
            edge("re", "out"),
        ],
    }


def slow_streamed_input() -> Graph:
    """``streamed_input`` in a job that goes on when the input has ended."""
    fed, other = streamed_input(), slow()
    return {
        "nodes": [*fed["nodes"], *other["nodes"][2:]],
        "edges": [*fed["edges"], *other["edges"][1:]],
    }


def save(graph: Graph, *, owner_id: str = "1", access: str = "private") -> str:
    """Store a workflow; returns its id. Call it from a thread."""
    fields = WorkflowFields(name="test", graph=graph, access=access)
    return create_workflow(fields, owner_id=owner_id).pk
