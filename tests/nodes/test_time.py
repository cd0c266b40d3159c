"""Nodes that take time: triggers and demonstrations."""

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
from workflows.engine.events import Chunk, NodeProgress, OutputUpdate
from workflows.engine.graph import load_graph
from workflows.engine.runner import GraphRun
from workflows.nodes import triggers

INTERVAL = "nodetool.triggers.IntervalTrigger"


class Watcher(Recorder):
    """Tells when enough values have come out."""

    def __init__(self, enough):
        super().__init__()
        self.left = enough
        self.has_enough = asyncio.Event()

    def emit(self, event):
        super().emit(event)
        self.left -= isinstance(event, OutputUpdate)
        if self.left <= 0:
            self.has_enough.set()


class Clock:
    """A monotonic clock that only sleeping moves on."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    async def sleep(self, delay):
        self.now += max(0.0, delay)


@pytest.fixture
def clock(monkeypatch):
    fake = Clock()
    monkeypatch.setattr(triggers.time, "monotonic", fake.monotonic)
    monkeypatch.setattr(triggers.asyncio, "sleep", fake.sleep)
    return fake


async def ticks(clock, *, busy=0.0, **properties):
    """Return when each tick came; the rest of the graph is ``busy`` after each."""
    node = triggers.IntervalTrigger(**properties)
    times = []
    async for tick in node.generate(None):
        times.append(tick["elapsed_seconds"])
        clock.now += busy
    return times


async def test_ticks_keep_the_interval(clock):
    assert await ticks(clock, interval_seconds=2.0, max_events=3) == [0, 2, 4]


async def test_the_first_tick_may_wait(clock):
    options = {"interval_seconds": 2.0, "max_events": 3}

    assert await ticks(clock, emit_on_start=False, **options) == [2, 4, 6]
    delayed = await ticks(clock, initial_delay_seconds=0.5, **options)
    assert delayed == [0.5, 2.5, 4.5]


async def test_ticks_make_up_for_what_the_rest_takes(clock):
    options = {"interval_seconds": 2.0, "max_events": 3, "busy": 0.5}

    assert await ticks(clock, **options) == [0, 2, 4]
    drifting = await ticks(clock, include_drift_compensation=False, **options)
    assert drifting == [0, 2.5, 5]


async def test_missed_ticks_are_left_out(clock):
    late = await ticks(clock, interval_seconds=1.0, max_events=3, busy=10.0)

    assert late == [0, 10, 20]


async def test_an_interval_of_nothing_is_an_error():
    case = Case(node_type=INTERVAL, data={"interval_seconds": 0})

    outcome = await run_case(case)

    assert str(outcome.error) == "interval_seconds must be more than 0"


async def test_a_trigger_without_a_limit_runs_until_it_is_cancelled():
    recorder = Watcher(enough=30)
    graph = graph_of(Case(node_type=INTERVAL, data={"interval_seconds": 0.001}))
    run = GraphRun(
        load_graph(graph),
        context=run_context(recorder, PickledCalls()),
        params={},
    )
    task = asyncio.create_task(run.execute())
    async with asyncio.timeout(30):
        await recorder.has_enough.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_streamed_text_goes_out_as_chunk_messages_too():
    case = Case(node_type="demo.StreamText", data={"text": "abc", "chunk_size": 2})

    outcome = await run_case(case)

    pieces = [(each.content, each.done) for each in outcome.recorder.of(Chunk)]
    assert pieces == [("ab", False), ("c", True)]
    assert {each.node_id for each in outcome.recorder.of(Chunk)} == {"node"}


async def test_streamed_text_may_be_repeated_and_sends_the_whole_once():
    data = {"text": "ab", "chunk_size": 2, "repeat": 3}

    outcome = await run_case(Case(node_type="demo.StreamText", data=data))

    dones = [each.done for each in outcome.recorder.of(Chunk)]
    assert dones == [False, False, True]
    assert outcome.outputs["text"] == ["ab"]


async def test_an_empty_text_is_one_empty_piece():
    outcome = await run_case(Case(node_type="demo.StreamText", data={"text": ""}))

    assert [(c.content, c.done) for c in outcome.recorder.of(Chunk)] == [("", True)]
    assert outcome.outputs["text"] == [""]


async def test_slow_steps_tell_how_far_they_are():
    data = {"steps": 2, "seconds_per_step": 0.001}

    outcome = await run_case(Case(node_type="demo.SlowSteps", data=data))

    progress = outcome.recorder.of(NodeProgress)
    assert [(each.progress, each.total) for each in progress] == [(1, 2), (2, 2)]


async def test_busy_works_in_another_process():
    outcome = await run_case(Case(node_type="demo.Busy", data={"seconds": 0}))

    assert outcome.error is None
    assert len(outcome.blocking.calls) == 1
