"""What a run tells, and in which order: R43 to R47, R50, R51."""

import msgspec
import pytest

from tests.engine.running import Recording, graph, run
from workflows.engine.events import (
    Chunk,
    EdgeUpdate,
    LogUpdate,
    NodeProgress,
    NodeUpdate,
    Notification,
    OutputUpdate,
    SaveUpdate,
    encode_event,
)

HELLO = (
    {"x": "StringInput", "p": ("P", {"b": "!"}), "r": "Output"},
    "x -> p.a",
    "p -> r",
)


async def test_r43_the_whole_story_of_a_small_run():
    done = await run(*HELLO, params={"x": "hi"})

    assert done.story() == [
        "e0 message_sent",
        "e0 drained",
        "p running",
        "p completed",
        "e1 message_sent",
        "e1 drained",
        "r running",
        "r hi-!",
        "r completed",
    ]


async def test_r43_a_generator_completes_after_its_edges():
    done = await run({"c": ("Count", {"stop": 5}), "r": "Output"}, "c -> r")

    story = done.story(NodeUpdate, EdgeUpdate)
    assert story.index("e0 drained") < story.index("c completed")


async def test_r43_a_generator_that_runs_again_tells_its_counts_before_it_completes():
    done = await run(
        {"e": ("E", {"values": [["a"], ["b"]]}), "s": "ForEach", "r": "Output"},
        "e -> s.input_list",
        "s -> r",
    )

    story = [line for line in done.story() if line[0] in "se" and "e0" not in line]
    assert story == [
        "e running",
        "e completed",
        "s running",
        "e1 message_sent",
        "s completed",
        "s running",
        "e1 message_sent",
        "e1 drained",
        "s completed",
    ]


async def test_r43_counts_rise_and_drained_is_the_last():
    done = await run(
        {
            "e": ("E", {"values": list(range(500))}),
            "s": "Slow",
            "r": "Output",
        },
        "e -> s",
        "s -> r",
    )

    for edge_id in ("e0", "e1"):
        told = done.edge(edge_id)
        counts = [count for status, count in told if status == "message_sent"]
        assert counts == sorted(set(counts))
        assert counts[-1] == 500
        assert told[-1] == ("drained", 500)


async def test_r43_a_node_that_fails_tells_its_counts_first():
    done = await run({"f": "FailLater", "r": "Output"}, "f -> r")

    story = done.story(NodeUpdate, EdgeUpdate)
    assert story.index("e0 message_sent") < story.index("f error")


async def test_r44_running_comes_once_with_all_properties():
    done = await run(*HELLO, params={"x": "hi"})

    running = done.of(NodeUpdate, node_id="p", status="running")
    assert [update.properties for update in running] == [{"a": "hi", "b": "!"}]
    assert running[0].node_type == "test.P"


async def test_r44_the_result_has_the_outputs_without_pieces():
    done = await run(
        {
            "s": ("Pieces", {"pieces": ["a", "b"]}),
            "c": ("Count", {"stop": 3}),
            "n": ("Returns", {"result": {"x": 1, "y": None}}),
            "q": ("Quiet", {"value": 1}),
        }
    )

    results = {u.node_id: u.result for u in done.of(NodeUpdate, status="completed")}
    assert results == {
        "s": {"text": "ab"},
        "c": {"output": 2},
        "n": {"x": 1, "y": None},
        "q": None,
    }


async def test_r45_every_edge_is_drained_once():
    done = await run(
        {
            "e": ("E", {"values": ["a", "b"]}),
            "none": ("E", {"values": []}),
            "f": "Filter",
            "p": "P",
            "v": "Preview",
            "bad": "Fail",
            "r": "Output",
        },
        "e -> f.value",
        "f -> p.a",
        "none -> p.b",
        "p -> r",
        "e -> v",
        "e -> bad",
    )

    drained = [event.edge_id for event in done.of(EdgeUpdate, status="drained")]
    assert sorted(drained) == ["e0", "e1", "e2", "e3", "e4", "e5"]


async def test_r46_what_a_node_says_while_it_runs():
    done = await run({"t": "Talk", "r": "Output"}, "t -> r")

    progress = done.of(NodeProgress)
    assert [(p.node_id, p.progress, p.total) for p in progress] == [
        ("t", 1, 3),
        ("t", 3, 3),
        ("t", 3, 3),
    ]
    assert [(c.node_id, c.content) for c in done.of(Chunk)] == [("t", "piece")]
    assert [(e.content, e.severity) for e in done.of(LogUpdate)] == [
        ("line", "warning")
    ]
    assert [e.content for e in done.of(Notification)] == ["look"]
    assert [(e.name, e.output_type) for e in done.of(SaveUpdate)] == [("file", "image")]
    said = [e for e in done.events if getattr(e, "node_id", "") == "t"]
    assert said[0].status == "running"
    assert said[-1].status == "completed"


@pytest.mark.parametrize(
    ("fields", "name"),
    [({}, "Format Text"), ({"ui_properties": {"title": "Mine"}}, "Mine")],
)
async def test_r46_a_node_is_named_by_its_title_or_its_class(fields, name):
    done = await run({"t": "FormatText"}, t=fields)

    assert {update.node_name for update in done.of(NodeUpdate)} == {name}


async def test_r46_outputs_are_named_by_the_user():
    done = await run({"r": ("Output", {"name": "the answer", "value": 42})})

    assert {update.node_name for update in done.of(NodeUpdate)} == {"the answer"}
    assert done.of(OutputUpdate)[0].node_name == "the answer"
    assert done.values == {"the answer": [42]}


async def test_r47_values_for_clients_hold_no_private_addresses_and_no_objects():
    hidden = {"type": "image", "uri": "memory://1", "asset_id": "a"}
    local = {"type": "image", "uri": "file:///etc/passwd"}
    done = await run(
        {"e": ("E", {"values": [hidden, local, object()]}), "r": "Output"}, "e -> r"
    )

    sent = [msgspec.json.decode(encode_event(e)) for e in done.of(OutputUpdate)]
    assert [event["value"] for event in sent] == [
        {"type": "image", "uri": "", "asset_id": "a"},
        {"type": "image", "uri": ""},
        "<object>",
    ]
    assert done.values["r"][0]["uri"] == ""


async def test_r50_a_group_is_layout():
    done = await run(
        {"g": "Group", "k": ("K", {"value": 4}), "r": "Output"},
        "k -> r",
        k={"parent_id": "g"},
    )

    assert done.values == {"r": [4]}


async def test_r51_layout_and_notes_say_nothing():
    done = await run({"g": "Group"})

    assert done.events == []
    assert done.error is None


async def test_an_empty_graph_completes():
    done = await run({})

    assert done.result == {"outputs": {}}
    assert done.run.progress == 0.0


async def test_nothing_is_told_after_the_end():
    recording = Recording(graph({"t": "Talk", "r": "Output"}, "t -> r"))
    await recording.execute()
    told = list(recording.events)
    recording.run.resume()

    assert recording.events == told
    assert told[-1].status == "completed"
