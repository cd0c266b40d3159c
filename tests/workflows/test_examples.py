"""The examples that come with the server."""

import asyncio

import msgspec
import pytest

from tests.engine.running import (
    MemoryAssets,
    NoBlocking,
    NoSecrets,
    Recorder,
    settle,
)
from tests.nodes.harness import OfflineModels, saved_workflow
from workflows.engine.context import RunContext
from workflows.engine.errors import NodeError
from workflows.engine.events import Chunk, NodeProgress
from workflows.engine.graph import load_graph
from workflows.engine.runner import GraphRun
from workflows.graph_check import problems_of
from workflows.nodes import registry
from workflows.shipped_examples import (
    FOLDER,
    all_examples,
    example_tools,
    find_example,
)


@pytest.mark.parametrize("example", all_examples(), ids=lambda example: example.id)
def test_example_can_run(example):
    assert problems_of(example.fields.graph) == {"valid": True, "problems": []}


@pytest.mark.parametrize("example", all_examples(), ids=lambda example: example.id)
def test_example_says_what_it_shows_and_has_named_outputs(example):
    assert example.fields.description
    assert example.fields.tags
    assert '"output_schema":{"type":"object","properties":{}' not in example.document


def test_every_file_is_an_example():
    files = {path.stem for path in FOLDER.iterdir()}

    assert files == {example.id for example in all_examples()}


def test_example_is_found_by_name_and_by_id():
    assert find_example("nodetool", "Hello") is find_example("nodetool", "hello")
    assert find_example("other", "Hello") is None


class ShippedTools:
    """The workflows of a user who has none."""

    async def tools(self):
        documents = (msgspec.json.decode(e.document) for e in example_tools())
        return [
            saved_workflow(
                each["graph"], tool_name=each["tool_name"], name=each["name"]
            )
            for each in documents
        ]


def start(example_name, **params):
    example = find_example("nodetool", example_name)
    sink = Recorder()
    context = RunContext(
        job_id="job",
        user_id="1",
        nodes=registry,
        sink=sink,
        assets=MemoryAssets(),
        secrets=NoSecrets(),
        blocking=NoBlocking(),
        images=None,
        workspace=None,
        models=OfflineModels(),
        threads=None,
        workflows=ShippedTools(),
    )
    graph = load_graph(example.fields.graph)
    run = GraphRun(graph, context=context, params=params)
    return run, sink


async def outputs_of(example_name, params):
    run, _ = start(example_name, **params)
    await run.execute()
    return (await run.outputs.result())["outputs"]


@pytest.mark.parametrize(
    ("name", "params", "outputs"),
    [
        ("hello", {"name": "Ada"}, {"greeting": ["Hello, Ada"]}),
        ("streaming-text", {"text": "abcdefgh"}, {"text": ["abcdefgh"]}),
        (
            "fan-out",
            {"text": "A b"},
            {"upper": ["A B"], "lower": ["a b"], "words": [2]},
        ),
        ("if-else", {"number": 11}, {"large": [11]}),
        ("if-else", {"number": 10}, {"small": [10]}),
        ("foreach-collect", {"words": "a,b"}, {"words": [["A", "B"]]}),
        ("slow-job", {"steps": 1}, {"done": [1]}),
        ("add-tool", {"a": 2, "b": 0.5}, {"sum": [2.5]}),
        ("agent-with-tool", {}, {"text": ["Let me add them.\n\n2 and 3 make 5."]}),
        ("agent-with-tool", {"prompt": "Hi"}, {"text": ["Hi"]}),
    ],
)
async def test_example_computes_what_it_says(name, params, outputs):
    assert await outputs_of(name, params) == outputs


async def test_streaming_text_arrives_in_pieces():
    run, sink = start("streaming-text", text="abcdefgh")

    await run.execute()

    chunks = [event.content for event in sink.events if isinstance(event, Chunk)]
    assert chunks == ["abcd", "efgh"]


async def test_slow_job_reports_every_step():
    run, sink = start("slow-job", steps=2)

    await run.execute()

    reports = [event for event in sink.events if isinstance(event, NodeProgress)]
    assert [(each.progress, each.total) for each in reports] == [(1, 2), (2, 2)]


async def test_stream_is_echoed_until_it_ends():
    run, _ = start("stream-input-echo")
    running = asyncio.create_task(run.execute())
    await settle()

    for value in ("a", {"b": 1}, None):
        run.push_input("stream", value)
    run.end_input("stream")
    await running

    assert (await run.outputs.result())["outputs"] == {"echo": ["a", {"b": 1}, None]}


async def test_failing_node_is_named_after_the_other_branch_has_finished():
    run, _ = start("failing-node")

    with pytest.raises(NodeError) as failed:
        await run.execute()

    assert failed.value.node_id == "fail"
    assert "fails on purpose" in str(failed.value)
    assert (await run.outputs.result())["outputs"] == {"upper": ["STILL HERE"]}
