"""The event log and its readers, on a real database file, without an engine."""

import asyncio
import json
import random
import threading

import pytest

from jobs import feed, settlement
from jobs.event_log import MAX_WAITING_EVENTS, Fenced
from jobs.log_writer import writer
from jobs.models import EventBatch, Job, Status
from jobs.settlement import Ending
from tests.jobs.conftest import hold, read_all
from workflows.engine.events import (
    Chunk,
    JobUpdate,
    LogUpdate,
    NodeUpdate,
    OutputUpdate,
)

pytestmark = pytest.mark.django_db(transaction=True)


def seqs(lines: list[bytes]) -> list[int]:
    return [json.loads(line)["job_seq"] for line in lines]


def completed() -> JobUpdate:
    return JobUpdate(status="completed", result={"outputs": {}}, duration=0.1)


async def emit_all(log, count: int) -> None:
    for number in range(count):
        log.emit(LogUpdate(content=str(number)))
        if log.is_full:
            await log.wait_ready()
        if number % 97 == 0:
            await asyncio.sleep(0)


async def test_e01_events_are_numbered_without_gap_and_stored_with_the_end(new_job):
    log = await hold(new_job)

    await emit_all(log, 1500)
    log.change_status(Status.COMPLETED, completed())
    await log.stored()

    page_lines = await read_all(feed.open_reader(new_job.id, owner_id="owner"))
    assert seqs(page_lines) == list(range(1, 1503))
    assert json.loads(page_lines[-1])["status"] == "completed"
    assert json.loads(page_lines[5])["job_id"] == new_job.id


async def test_e02_every_cut_point_replays_exactly_what_is_above_it(new_job):
    log = await hold(new_job)
    await emit_all(log, 498)
    log.change_status(Status.COMPLETED, completed())
    await log.stored()
    whole = await read_all(feed.open_reader(new_job.id, owner_id="owner"))

    for cut in range(len(whole)):
        reader = feed.open_reader(new_job.id, owner_id="owner", after=cut)
        assert await read_all(reader) == whole[cut:]
        reader.close()


async def test_e02_live_readers_that_join_anywhere_get_every_event_once(new_job):
    log = await hold(new_job)
    rng = random.Random(7)
    readers: list[tuple[int, asyncio.Task]] = []

    for number in range(2000):
        log.emit(LogUpdate(content=str(number)))
        if rng.random() < 0.06:
            after = rng.randint(0, number)
            reader = feed.open_reader(new_job.id, owner_id="owner", after=after)
            readers.append((after, asyncio.create_task(read_all(reader))))
        if rng.random() < 0.2:
            await asyncio.sleep(0)
    log.change_status(Status.COMPLETED, completed())
    await log.stored()

    assert len(readers) >= 100
    for after, task in readers:
        assert seqs(await task) == list(range(after + 1, 2003))


async def test_e04_a_reader_never_sees_what_is_not_stored(new_job):
    log = await hold(new_job)
    reader = feed.open_reader(new_job.id, owner_id="owner")
    seen = 0

    async def watch() -> None:
        nonlocal seen
        async for page in reader.pages():
            stored = EventBatch.objects.filter(last_seq__gte=page.last_seq)
            assert await stored.aexists()
            seen = page.last_seq

    watching = asyncio.create_task(watch())
    await emit_all(log, 300)
    log.change_status(Status.COMPLETED, completed())
    await watching

    assert seen == 302


async def test_producers_wait_when_4000_events_are_not_stored(new_job):
    log = await hold(new_job)
    gate = threading.Event()
    slow_commit = asyncio.create_task(writer.request(lambda cursor: gate.wait(20)))
    await asyncio.sleep(0)

    for number in range(MAX_WAITING_EVENTS + 1):
        log.emit(LogUpdate(content=str(number)))

    assert log.is_full
    gate.set()
    assert await slow_commit
    await log.wait_ready()
    assert not log.is_full


async def test_j05_the_first_terminal_state_wins_and_the_holder_is_fenced(new_job):
    fenced = asyncio.Event()
    log = await hold(new_job, on_fenced=fenced.set)
    log.emit(NodeUpdate(node_id="n", node_name="Node", node_type="t", status="running"))
    await log.stored()

    assert await settlement.end_job(Ending(new_job.id, Status.CANCELLED))
    log.change_status(Status.COMPLETED, completed())
    with pytest.raises(Fenced):
        await log.stored()

    lines = await read_all(feed.open_reader(new_job.id, owner_id="owner"))
    events = [json.loads(line) for line in lines]
    assert [event["job_seq"] for event in events] == [1, 2, 3, 4]
    assert (events[2]["node_id"], events[2]["error"]) == ("n", "Cancelled")
    assert events[3]["status"] == "cancelled"
    assert (await Job.objects.aget(pk=new_job.id)).status == Status.CANCELLED
    await asyncio.wait_for(fenced.wait(), 20)
    assert not await settlement.end_job(Ending(new_job.id, Status.FAILED, error="x"))


async def test_a_commit_whose_answer_was_lost_is_not_repeated(new_job, monkeypatch):
    log = await hold(new_job)
    real = writer._try
    failures = iter([True])

    def lose_the_answer(group, deliveries):
        error = real(group, deliveries)
        if error is None and next(failures, False):
            from django.db import OperationalError

            return OperationalError("server closed the connection unexpectedly")
        return error

    monkeypatch.setattr(writer, "_try", lose_the_answer)
    monkeypatch.setattr(log, "committed", _skip_once(log.committed))
    log.emit(LogUpdate(content="once"))
    await log.stored()
    log.change_status(Status.COMPLETED, completed())
    await log.stored()

    lines = await read_all(feed.open_reader(new_job.id, owner_id="owner"))
    assert seqs(lines) == [1, 2, 3]


def _skip_once(committed):
    """The first commit is durable, but the writer does not learn of it."""
    calls = iter([True])

    def call(deliveries):
        if not next(calls, False):
            committed(deliveries)

    return call


async def test_large_values_become_references_once_and_long_chunks_are_cut(new_job):
    log = await hold(new_job)
    text = "ä" * 300_000

    for handle in ("a", "b"):
        log.emit(
            OutputUpdate(
                node_id="n",
                node_name="n",
                output_name=handle,
                value=text,
                output_type="str",
            )
        )
    log.emit(Chunk(node_id="n", content="x" * 300_000, done=True))
    log.change_status(
        Status.COMPLETED,
        JobUpdate(status="completed", result={"outputs": {"a": [text]}, "a": text}),
    )
    await log.stored()

    lines = await read_all(feed.open_reader(new_job.id, owner_id="owner"))
    events = [json.loads(line) for line in lines]
    references = [e["value"] for e in events if e["type"] == "output_update"]
    chunks = [e for e in events if e["type"] == "chunk"]
    assert references[0] == references[1]
    assert references[0]["type"] == "text"
    assert references[0]["metadata"] == {"size": 600_000, "inlined_data": False}
    assert "".join(chunk["content"] for chunk in chunks) == "x" * 300_000
    assert [chunk["done"] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert max(len(line) for line in lines) < 256 * 1024
    assert events[-1]["result"]["a"] == references[0]


async def test_what_follows_a_pause_is_kept_back_until_the_resume(new_job):
    log = await hold(new_job)

    log.change_status(Status.PAUSED, JobUpdate(status="suspended"))
    log.hold()
    log.emit(LogUpdate(content="late"))
    await log.stored()
    assert (await Job.objects.aget(pk=new_job.id)).last_seq == 2
    log.release(Status.RUNNING, JobUpdate(status="running"))
    log.change_status(Status.COMPLETED, completed())
    await log.stored()

    lines = await read_all(feed.open_reader(new_job.id, owner_id="owner"))
    words = [json.loads(line).get("status") for line in lines]
    assert words == ["running", "suspended", "running", None, "completed"]
