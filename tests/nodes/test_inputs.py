"""Input nodes check their parameter and share it out."""

import asyncio

import pytest

from tests.nodes.harness import (
    Case,
    PickledCalls,
    Recorder,
    graph_of,
    run_case,
    run_context,
)
from workflows.engine.errors import InvalidParameter
from workflows.engine.events import NodeUpdate, OutputUpdate
from workflows.engine.graph import load_graph
from workflows.engine.runner import GraphRun


@pytest.mark.parametrize(
    ("name", "data", "param", "reason"),
    [
        ("IntegerInput", {}, -1, "-1 is not between 0 and 99999"),
        ("FloatInput", {"max": 1}, 1.5, "1.5 is not between 0 and 1"),
        ("IntegerInput", {}, 3.7, "expected int, got float 3.7"),
        ("StringInput", {}, 3, "expected str, got int 3"),
        ("SelectInput", {"options": ["a", "b"]}, "c", "'c' is not one of a, b"),
        ("ImageInput", {}, {"type": "audio"}, "expected image, got audio"),
    ],
)
async def test_a_bad_parameter_fails_before_any_node_starts(name, data, param, reason):
    case = Case(node_type=f"nodetool.input.{name}", data=data, param=param)

    outcome = await run_case(case)

    assert isinstance(outcome.error, InvalidParameter)
    assert str(outcome.error) == f"Invalid value for input 'node': {reason}"
    assert outcome.recorder.of(NodeUpdate) == []


@pytest.mark.parametrize(
    ("name", "data", "param", "value"),
    [
        ("FloatInput", {}, 3, 3),
        ("IntegerInput", {}, 3.0, 3),
        ("StringInput", {"max_length": 0}, "long text", "long text"),
        ("SelectInput", {}, "anything", "anything"),
        ("ImageInput", {}, {"uri": "asset://1"}, {"type": "image", "uri": "asset://1"}),
    ],
)
async def test_a_fitting_parameter_is_converted(name, data, param, value):
    case = Case(node_type=f"nodetool.input.{name}", data=data, param=param)

    assert (await run_case(case)).outputs == {"output": [value]}


async def test_without_a_parameter_the_default_is_sent_r27():
    case = Case(node_type="nodetool.input.IntegerInput", data={"value": 12})

    outcome = await run_case(case)

    assert outcome.outputs == {"output": [12]}
    spoke = {each.node_id for each in outcome.recorder.of(NodeUpdate)}
    assert "node" not in spoke


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("", ""),
        ("notes/a b.txt", "file:notes/a%20b.txt"),
        ("/data/a.txt", "file:///data/a.txt"),
        ("file:///data/a.txt", "file:///data/a.txt"),
    ],
)
async def test_a_document_file_gives_document_and_path_and_both_end(path, uri):
    case = Case(node_type="nodetool.input.DocumentFileInput", data={"value": path})

    async with asyncio.timeout(30):
        outcome = await run_case(case)

    assert outcome.outputs["path"] == [path]
    assert outcome.outputs["document"][0]["uri"] == uri


async def test_realtime_audio_takes_chunks_until_it_is_ended_r28():
    recorder = Recorder()
    graph = graph_of(Case(node_type="nodetool.input.RealtimeAudioInput"))
    run = GraphRun(
        load_graph(graph),
        context=run_context(recorder, PickledCalls()),
        params={},
    )
    pieces = [{"type": "chunk", "content": text} for text in ("a", "b")]

    task = asyncio.create_task(run.execute())
    await asyncio.sleep(0)
    for piece in pieces:
        run.push_input("node", piece)
    run.end_input("node")
    await task

    assert [event.value for event in recorder.of(OutputUpdate)] == pieces


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, {"text": "", "image": None, "audio": None}),
        ("plain", {"text": "plain", "image": None, "audio": None}),
        (
            [
                {"type": "text", "text": "first"},
                {"type": "text", "text": "last"},
                {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
            ],
            {"text": "last", "image": "https://a/b.png", "audio": None},
        ),
    ],
)
async def test_a_message_is_taken_apart_whatever_its_content(content, expected):
    message = {"type": "message", "role": None, "content": content}
    case = Case(
        node_type="nodetool.input.MessageDeconstructor", data={"value": message}
    )

    outputs = (await run_case(case)).outputs

    assert outputs["text"] == [expected["text"]]
    assert outputs["audio"] == [expected["audio"]]
    [image] = outputs["image"]
    assert (image and image["uri"]) == expected["image"]
    assert outputs["role"] == [""]
    assert outputs["model"] == [None]
