"""What waits to be announced to other processes, and what a message says."""

import asyncio

import pytest

from jobs.batches import Batch
from jobs.broadcast import (
    MAX_BODY_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_QUEUED,
    MAX_QUEUED_BYTES,
    Broadcast,
    shortened,
)


class NobodysLoop:
    """A loop that Redis keeps from turning."""

    def call_soon_threadsafe(self, callback, *args):
        pass


@pytest.fixture
def stuck():
    broadcast = Broadcast()
    broadcast._loop = NobodysLoop()
    broadcast._has_work = asyncio.Event()
    return broadcast


def batch(number: int, size: int, job_id: str = "job") -> Batch:
    return Batch(job_id, "owner", number, number, b"x" * size)


def test_f01_announcements_that_cannot_leave_hold_little_memory(stuck):
    body = b"x" * MAX_BODY_BYTES

    for number in range(1, MAX_QUEUED + 1):
        stuck.announce(Batch("job", "owner", number, number, body))

    waiting = stuck.take_batches()
    assert [each.last_seq for each in waiting] == [*range(1, MAX_QUEUED + 1)]
    assert sum(len(each.body) for each in waiting) == MAX_QUEUED_BYTES
    assert waiting[0].body == body


def test_what_has_left_makes_room(stuck):
    for _ in range(2 * MAX_QUEUED_BYTES // MAX_BODY_BYTES):
        stuck.announce(batch(1, MAX_BODY_BYTES))
        assert stuck.take_batches() == [batch(1, MAX_BODY_BYTES)]


def test_a_large_batch_waits_as_its_numbers(stuck):
    stuck.announce(batch(7, MAX_BODY_BYTES + 1))

    assert stuck.take_batches() == [batch(7, 0)]


def test_a_message_has_bodies_as_far_as_they_fit():
    fitting = MAX_MESSAGE_BYTES // MAX_BODY_BYTES
    batches = [batch(number, MAX_BODY_BYTES) for number in range(1, fitting + 3)]

    said = shortened(batches)

    assert said[:-1] == batches[:fitting]
    assert said[-1] == Batch("job", "owner", fitting + 1, fitting + 2, b"")


def test_no_body_follows_the_numbers_of_its_job():
    said = shortened([batch(1, MAX_BODY_BYTES + 1), batch(2, 1), batch(1, 1, "other")])

    assert said == [batch(1, 1, "other"), Batch("job", "owner", 1, 2, b"")]
