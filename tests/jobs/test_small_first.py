"""What is small is stored before what is large, and no job's order is changed."""

import asyncio
import threading

import pytest

from jobs.log_writer import SMALL_EVENTS, SMALL_GROUP_EVENTS, split_small, writer
from tests.jobs.conftest import hold
from workflows.engine.events import LogUpdate


class Waiting:
    """An operation with so many events."""

    def __init__(self, job_id: str, waiting_events: int) -> None:
        self.job_id = job_id
        self.waiting_events = waiting_events


LARGE = SMALL_EVENTS + 1


def test_small_operations_go_before_a_stream():
    stream, begin, end = Waiting("a", LARGE), Waiting("b", 0), Waiting("c", 8)

    assert split_small([stream, begin, end]) == ([begin, end], [stream])


def test_a_group_without_a_stream_stays_together():
    group = [Waiting(str(number), SMALL_EVENTS) for number in range(32)]

    assert split_small(group) == (group, [])


def test_operations_on_one_job_keep_their_order():
    stream, cancel = Waiting("a", LARGE), Waiting("a", 0)

    assert split_small([stream, cancel]) == ([], [stream, cancel])


def test_operations_without_a_job_never_wait_for_one():
    stream, first, second = Waiting("a", LARGE), Waiting("", 0), Waiting("", 0)

    assert split_small([first, stream, second]) == ([first, second], [stream])


def test_the_short_commit_is_short():
    stream = Waiting("stream", LARGE)
    many = [Waiting(str(number), SMALL_EVENTS) for number in range(40)]

    small, large = split_small([stream, *many])

    assert sum(waiting.waiting_events for waiting in small) <= SMALL_GROUP_EVENTS
    assert len(small) + len(large) == 41


@pytest.mark.django_db(transaction=True)
async def test_a_request_overtakes_the_events_of_a_stream(new_job, monkeypatch):
    log = await hold(new_job)
    order: list[str] = []
    committed = log.committed

    def note(deliveries) -> None:
        order.append("stream")
        committed(deliveries)

    monkeypatch.setattr(log, "committed", note)
    begun, gate = threading.Event(), threading.Event()

    def block(_) -> None:
        begun.set()
        gate.wait(20)

    blocked = asyncio.create_task(writer.request(block))
    assert await asyncio.to_thread(begun.wait, 20)
    for number in range(LARGE):
        log.emit(LogUpdate(content=str(number)))
    request = asyncio.create_task(
        writer.request(lambda _: None, lambda *_: order.append("request"))
    )
    await asyncio.sleep(0)  # now it waits as well
    gate.set()
    await asyncio.gather(blocked, request, log.stored())

    assert order == ["request", "stream"]
