"""A workflow as a node of another: R52."""

import asyncio
from typing import Any

import pytest

from tests.agents.graphs import adder, edge, output, single
from tests.nodes.harness import (
    PickledCalls,
    Recorder,
    StoredWorkflows,
    run_context,
    run_node,
    saved_workflow,
)
from workflows.engine.events import (
    Chunk,
    Event,
    LogUpdate,
    NodeProgress,
    NodeUpdate,
    PreviewUpdate,
)
from workflows.engine.graph import load_graph
from workflows.engine.runner import GraphRun

TYPE = "nodetool.workflows.workflow_node.Workflow"


class Watcher(Recorder):
    """Tells when the work inside has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = asyncio.Event()

    def emit(self, event: Event) -> None:
        super().emit(event)
        if isinstance(event, NodeProgress):
            self.has_begun.set()


async def run(graph: dict[str, Any], *, added: dict[str, str], **data: Any):
    return await run_node(
        TYPE,
        {"workflow_id": "w1", **data},
        added=added,
        workflows=StoredWorkflows(saved_workflow(graph, name="Inner")),
    )


async def test_r52_inputs_are_dynamic_properties_and_outputs_dynamic_outputs():
    outcome = await run(adder(), added={"sum": "int"}, a=2, b=3)

    assert outcome.error is None
    assert outcome.outputs == {"sum": [5]}


async def test_r52_the_nodes_inside_are_only_lines_of_the_log():
    outcome = await run(adder(), added={"sum": "int"}, a=2, b=3)

    told = outcome.recorder.of(NodeUpdate)
    assert {update.node_id for update in told} == {"node", "out sum"}
    lines = [(log.node_id, log.content) for log in outcome.recorder.of(LogUpdate)]
    assert lines == [
        ("node", "Inner: Add completed"),
        ("node", "Inner: sum completed"),
    ]


async def test_r52_items_come_while_the_workflow_runs_and_pieces_as_the_nodes_own():
    graph = single("demo.StreamText", "chunk", text="abcdefgh")

    outcome = await run(graph, added={"result": "chunk"})

    pieces = [value["content"] for value in outcome.outputs["result"]]
    assert pieces == ["abcd", "efgh"]
    chunks = outcome.recorder.of(Chunk)
    assert [(chunk.node_id, chunk.content) for chunk in chunks] == [
        ("node", "abcd"),
        ("node", "efgh"),
    ]


async def test_r52_progress_is_the_nodes_and_previews_keep_their_ids():
    graph = single("demo.SlowSteps", steps=1, seconds_per_step=0)
    preview = {"id": "seen", "type": "nodetool.workflows.base_node.Preview", "data": {}}
    graph["nodes"].append(preview)
    graph["edges"].append(edge("node", "output", "seen", "value"))

    outcome = await run(graph, added={})

    (progress,) = outcome.recorder.of(NodeProgress)
    assert (progress.node_id, progress.node_name) == ("node", "Workflow")
    (seen,) = outcome.recorder.of(PreviewUpdate)
    assert (seen.node_id, seen.value) == ("seen", 1)


async def test_r52_one_run_per_set():
    graph = {
        "nodes": [
            {"id": "e", "type": "test.Emit", "data": {"values": [1, 2]}},
            {
                "id": "node",
                "type": TYPE,
                "data": {"workflow_id": "w1", "b": 10},
                "dynamic_outputs": {"sum": "int"},
            },
            output("out"),
        ],
        "edges": [
            edge("e", "output", "node", "a"),
            edge("node", "sum", "out", "value"),
        ],
    }
    stored = StoredWorkflows(saved_workflow(adder()))
    context = run_context(Recorder(), PickledCalls(), workflows=stored)
    outer = GraphRun(load_graph(graph), context=context, params={})

    await outer.execute()

    assert (await outer.outputs.result())["outputs"] == {"out": [11, 12]}


async def test_r52_an_error_inside_fails_the_node_and_names_where():
    outcome = await run(single("demo.Fail", message="no luck"), added={})

    assert str(outcome.error) == "'Inner' failed at 'Fail': no luck"


async def test_r52_a_workflow_that_runs_itself_stops_eight_deep():
    graph = single(TYPE, workflow_id="w1")

    outcome = await run(graph, added={})

    assert str(outcome.error).endswith(
        "'Inner' was not run: workflows run inside each other 8 deep already"
    )


async def test_r52_cancelling_the_outer_run_cancels_the_inner_one():
    graph = single("demo.SlowSteps", steps=1_000, seconds_per_step=0.01)
    stored = StoredWorkflows(saved_workflow(graph))
    recorder = Watcher()
    task = asyncio.create_task(
        run_node(TYPE, {"workflow_id": "w1"}, recorder=recorder, workflows=stored)
    )
    async with asyncio.timeout(30):
        await recorder.has_begun.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert {each.get_name() for each in asyncio.all_tasks()} == {
        asyncio.current_task().get_name()
    }


async def test_many_outputs_wait_for_whoever_reads_them():
    graph = single("demo.StreamText", "chunk", text="x" * 5_000, chunk_size=1)

    outcome = await run(graph, added={"result": "chunk"})

    assert len(outcome.outputs["result"]) == 5_000
