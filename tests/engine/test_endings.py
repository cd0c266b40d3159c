"""Errors, cancellation and pauses: R34 to R38, R41."""

import asyncio
import gc
import warnings

import pytest

from tests.engine import running
from tests.engine.running import Recording, graph, run, settle
from tests.engine.sample_nodes import Stubborn, Wait
from workflows.engine import scheduler
from workflows.engine.events import (
    JobUpdate,
    LogUpdate,
    NodeUpdate,
    OutputUpdate,
)


async def test_r34_an_error_ends_the_node_and_the_others_run_on():
    Wait.prepare()
    recording = Recording(
        graph({"f": "Fail", "w": ("Wait", {"value": 1}), "r": "Output"}, "w -> r")
    )
    execution = asyncio.create_task(recording.execute())
    await Wait.started.wait()
    await settle()
    assert recording.statuses("f") == ["running", "error"]
    Wait.go.set()
    await execution

    assert str(recording.error) == "boom"
    assert recording.values == {"r": [1]}


async def test_r34_the_first_error_in_graph_order_counts():
    done = await run(
        {
            "k": ("K", {"value": 1}),
            "slow": "Slow",
            "first": ("Fail", {"message": "first"}),
            "second": ("Fail", {"message": "second"}),
        },
        "k -> slow",
        "slow -> first",
    )

    failed = [event.node_id for event in done.of(NodeUpdate, status="error")]
    assert failed == ["second", "first"]
    assert str(done.error) == "first"
    assert (done.error.node_id, done.error.node_name) == ("first", "Fail")
    assert isinstance(done.error.__cause__, RuntimeError)


async def test_r34_nodes_behind_a_failed_one_stay_silent():
    done = await run({"f": "Fail", "p": "P", "r": "Output"}, "f -> p.a", "p -> r")

    assert done.statuses("p") == done.statuses("r") == []
    assert done.edge("e0") == [("drained", 0)]


async def test_r34_an_item_sent_before_the_error_is_processed():
    done = await run({"f": "FailLater", "r": "Output"}, "f -> r")

    assert str(done.error) == "late boom"
    assert done.values == {"r": ["sent"]}


async def test_r34_the_error_text_is_bounded_and_never_empty():
    long = await run({"f": ("Fail", {"message": "x" * 5000})})
    empty = await run({"f": ("Fail", {"message": ""})})

    assert len(str(long.error)) == 1000
    assert [len(u.error) for u in long.of(NodeUpdate, status="error")] == [1000]
    assert str(empty.error) == "RuntimeError without a message"


async def test_r35_the_first_failing_item_ends_the_node():
    done = await run(
        {"e": ("E", {"values": [1, 2, 3]}), "f": ("Fail", {"on": 2}), "r": "Output"},
        "e -> f",
        "f -> r",
    )

    assert done.values == {"r": [1]}
    assert done.statuses("f") == ["running", "completed", "running", "error"]
    assert done.edge("e0")[-1] == ("drained", 3)


async def test_r36_the_engine_leaves_the_end_of_the_job_to_its_caller():
    done = await run({"f": "Fail"})

    assert done.of(JobUpdate) == []


@pytest.mark.parametrize(
    ("how", "text"), [("exit", "SystemExit: 3"), ("cancel", "Cancelled")]
)
async def test_a_node_that_wants_to_end_the_process_has_failed(how, text):
    done = await run(
        {"x": ("Exit", {"how": how}), "k": ("K", {"value": 1}), "r": "Output"},
        "k -> r",
    )

    assert str(done.error) == text
    assert done.values == {"r": [1]}


async def start(recording: Recording) -> asyncio.Task[None]:
    execution = asyncio.create_task(recording.run.execute())
    await Wait.started.wait()
    await settle(5)
    return execution


async def cancelled(execution: asyncio.Task[None]) -> None:
    execution.cancel()
    with pytest.raises(asyncio.CancelledError):
        await execution


@pytest.mark.parametrize("clean_up", [False, True])
async def test_r38_cancelling_ends_every_node_and_says_so(clean_up):
    Wait.prepare()
    before = asyncio.all_tasks()
    recording = Recording(
        graph(
            {
                "w": ("Wait", {"clean_up": clean_up}),
                "v": ("Wait", {"clean_up": clean_up}),
                "x": "StreamInput",
                "c": "Collect",
                "r": "Output",
            },
            "w -> r",
            "x.chunk -> c.input_item",
        ),
        {"x": 1},
    )
    await cancelled(await start(recording))

    assert Wait.ends == ["cancelled", "cancelled"]
    for node_id in ("w", "v", "c"):
        updates = recording.of(NodeUpdate, node_id=node_id)
        assert [(u.status, u.error) for u in updates] == [
            ("running", None),
            ("error", "Cancelled"),
        ]
    assert recording.statuses("r") == []
    assert asyncio.all_tasks() == before


async def test_r38_a_finished_node_is_not_reported_as_cut_off():
    Wait.prepare()
    recording = Recording(
        graph({"k": ("K", {"value": 1}), "r": "Output", "w": "Wait"}, "k -> r")
    )
    await cancelled(await start(recording))

    assert recording.statuses("k") == ["running", "completed"]
    assert recording.statuses("r") == ["running", "completed"]


async def test_r38_a_node_that_does_not_end_is_left_behind_and_silenced(monkeypatch):
    monkeypatch.setattr(scheduler, "CLEAN_UP_S", 0.05)
    Wait.prepare()
    Stubborn.go = asyncio.Event()
    recording = Recording(
        graph({"s": "Stubborn", "w": "Wait", "r": "Output"}, "s -> r")
    )
    await cancelled(await start(recording))
    told = list(recording.events)

    assert recording.statuses("s") == ["running", "error"]
    Stubborn.go.set()
    await settle()
    assert recording.events == told
    assert [e.content for e in recording.of(LogUpdate)] == ["still here"]


async def test_r38_cancelling_at_once_leaves_nothing_behind():
    before = asyncio.all_tasks()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rounds in range(8):
            recording = Recording(
                graph(
                    {
                        "c": ("Count", {"stop": 10**6}),
                        "s": "Slow",
                        "f": "Filter",
                        "t": ("Text", {"value": "x"}),
                        "r": "Output",
                    },
                    "c -> s",
                    "s -> r",
                    "t -> f.value",
                )
            )
            execution = asyncio.create_task(recording.run.execute())
            await settle(rounds)
            await cancelled(execution)
            gc.collect()

    assert asyncio.all_tasks() == before


async def test_r38_a_generator_is_closed():
    Wait.prepare()
    recording = Recording(
        graph({"c": ("Count", {"stop": 10**9}), "w": "Wait"}, "c -> w")
    )
    await cancelled(await start(recording))

    assert recording.statuses("c") == ["running", "error"]


async def test_r38_a_generator_that_does_not_let_itself_be_cancelled_ends_too():
    before = asyncio.all_tasks()
    recording = Recording(graph({"s": "StubbornStream"}))
    execution = asyncio.create_task(recording.run.execute())
    await settle()
    await cancelled(execution)

    assert recording.statuses("s") == ["running", "error"]
    assert [e.content for e in recording.of(LogUpdate)] == ["still here"]
    assert asyncio.all_tasks() == before


async def test_r41_a_paused_run_hands_out_no_set_and_goes_on_in_place():
    Wait.prepare()
    recording = Recording(
        graph(
            {"w": ("Wait", {"value": 1}), "p": "P", "r": "Output"},
            "w -> p.a",
            "p -> r",
        )
    )
    execution = await start(recording)
    recording.run.pause()
    Wait.go.set()
    await settle()

    assert recording.run.is_paused
    assert recording.statuses("w") == ["running", "completed"]
    assert recording.statuses("p") == []
    assert recording.run.paused_nodes == 1
    recording.run.resume()
    await execution
    assert [event.value for event in recording.of(OutputUpdate)] == ["1-"]
    assert recording.run.paused_nodes == 0


async def test_r41_a_paused_stream_stops_at_its_next_item():
    recording = Recording(
        graph(
            {"c": ("Count", {"stop": 2000}), "all": "Collect", "r": "Output"},
            "c -> r",
            "c -> all.input_item",
        )
    )
    execution = asyncio.create_task(recording.execute())
    await settle(6)
    recording.run.pause()
    await settle()
    seen = len(recording.of(OutputUpdate))
    await settle()

    assert 0 < seen < 2000
    assert len(recording.of(OutputUpdate)) == seen
    assert recording.run.paused_nodes >= 1
    recording.run.resume()
    await execution
    assert recording.values == {"r": list(range(2000))}


async def test_r41_a_pause_while_a_generator_waits_holds_its_very_next_item():
    Wait.prepare()
    recording = Recording(graph({"g": "WaitThenCount", "r": "Output"}, "g -> r"))
    execution = asyncio.create_task(recording.execute())
    await settle()
    recording.run.pause()
    Wait.go.set()
    await settle()

    assert [event.value for event in recording.of(OutputUpdate)] == [0]
    recording.run.resume()
    await execution
    assert recording.values == {"r": list(range(10))}


async def test_r41_a_paused_run_can_be_cancelled():
    Wait.prepare()
    recording = Recording(graph({"c": ("Count", {"stop": 10**6}), "w": "Wait"}))
    execution = await start(recording)
    recording.run.pause()
    await settle()
    await cancelled(execution)

    assert recording.statuses("w") == ["running", "error"]


async def test_r41_a_run_can_be_paused_before_it_starts():
    recording = Recording(graph({"k": ("K", {"value": 1}), "r": "Output"}, "k -> r"))
    recording.run.pause()
    execution = asyncio.create_task(recording.execute())
    await settle()

    assert not recording.run.has_started
    recording.run.resume()
    await execution
    assert recording.values == {"r": [1]}


async def test_running_nodes_and_progress_can_be_asked_for():
    Wait.prepare()
    recording = Recording(
        graph({"k": ("K", {"value": 1}), "w": "Wait", "r": "Output"}, "k -> r")
    )
    assert (recording.run.has_started, recording.run.progress) == (False, 0.0)
    execution = await start(recording)

    assert recording.run.running_nodes == [("w", "Wait", "test.Wait")]
    assert recording.run.has_started
    assert recording.run.progress == pytest.approx(2 / 3)
    Wait.go.set()
    await execution
    assert recording.run.running_nodes == []
    assert recording.run.progress == 1.0


async def test_two_runs_tell_the_same_on_every_channel():
    nodes: running.Nodes = {
        "s": ("ForEach", {"input_list": list("abcdefgh")}),
        "u": "FormatText",
        "p": "P",
        "r": "Output",
    }
    edges = ("s -> p.a", "s -> u.text", "u -> p.b", "p -> r")
    first, second = await run(nodes, *edges), await run(nodes, *edges)

    for node_id in nodes:
        one, other = (r.of(NodeUpdate, node_id=node_id) for r in (first, second))
        assert one == other
    assert first.of(OutputUpdate) == second.of(OutputUpdate)
