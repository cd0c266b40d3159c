"""Readers of a run: a cursor each, never a queue.

What is announced only sets state and wakes the reader; the reader's own task takes
the next page from its cursor on. A live batch is used as it is when it begins at
cursor + 1, else the log is read. So a reader costs the server one page at most, however
slow it is, and an announcement that is lost costs time, never an event.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.db import DatabaseError, connection

from jobs import broadcast
from jobs.batches import Batch
from jobs.models import TERMINAL
from nodetool_site.lib.db import db

if TYPE_CHECKING:
    from jobs.log_writer import Deliveries

logger = logging.getLogger(__name__)

PAGE_EVENTS = 500
PAGE_BYTES = 1024 * 1024
SILENCE_S = 2.0
OUTAGE_S = 1.0
MAX_STATES = 500

_PAGE = (
    "SELECT first_seq, last_seq, is_final, body FROM ("
    "SELECT first_seq, last_seq, is_final, body, size,"
    " SUM(size) OVER (ORDER BY first_seq) AS total FROM jobs_eventbatch"
    " WHERE job_id = %s AND last_seq > %s ORDER BY first_seq LIMIT %s"
    ") page WHERE total - size < %s ORDER BY first_seq"
)

_STATES = "SELECT id, last_seq, status FROM jobs_job WHERE id IN ({})"


@dataclass(slots=True, frozen=True)
class Page:
    """The next events of a job: complete JSON messages, in order, without a gap.

    ``missing_before`` is the number of the first event that is left, where retention
    has taken those before it.
    """

    lines: list[bytes]
    last_seq: int
    is_final: bool
    missing_before: int | None = None


class Reader:
    """A cursor over the events of one job.

    Belongs to the loop it was made on. ``wake`` is called whenever a page may be there;
    ``page`` gives it. Close it when done.
    """

    def __init__(
        self,
        job_id: str,
        *,
        owner_id: str,
        after: int = 0,
        wake: Callable[[], None] | None = None,
    ) -> None:
        self.job_id = job_id
        self.owner_id = owner_id
        self.cursor = after
        self.is_done = False
        self.loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._wake = wake or self._event.set
        self._live: deque[Batch] = deque()
        self._live_bytes = 0
        self._announced = 0
        self._must_read = False
        self.last_heard = self.loop.time()

    def on_batch(self, batch: Batch) -> None:
        """Note that ``batch`` was stored."""
        self.last_heard = self.loop.time()
        self._announced = max(self._announced, batch.last_seq)
        next_seq = self._live[-1].last_seq + 1 if self._live else self.cursor + 1
        size = len(batch.body)
        continues = batch.first_seq <= next_seq <= batch.last_seq
        if size and continues and self._live_bytes + size <= PAGE_BYTES:
            self._live.append(batch)
            self._live_bytes += size
        self._wake()

    def look_again(self) -> None:
        """Read the log to its end, whatever was announced."""
        self._must_read = True
        self.last_heard = self.loop.time()
        self._wake()

    async def page(self) -> Page | None:
        """The next page, or None while there is nothing new.

        The first None after ``look_again`` says that the log has no more: what was
        heard of before it is no reason to leave out the rest.
        """
        page = self._live_page()
        if page is None and (self._must_read or self._announced > self.cursor):
            page = await self._stored_page()
        if page is not None:
            self.cursor = page.last_seq
            self.is_done = page.is_final
        return page

    def go_back(self, cursor: int) -> None:
        """Give the page behind ``cursor`` once more: it could not be sent."""
        self.cursor = cursor
        self.is_done = False

    async def patient_page(self) -> Page | None:
        """``page``; a database that is away costs time alone."""
        while True:
            try:
                return await self.page()
            except DatabaseError as error:
                logger.warning("a stream waits for the database: %s", error)
                await asyncio.sleep(OUTAGE_S)

    async def pages(self) -> AsyncIterator[Page]:
        """Every page from the cursor to the terminal event, as it comes."""
        while not self.is_done:
            self._event.clear()
            page = await self.page()
            if page is not None:
                yield page
            elif not self.is_done:
                await self._event.wait()

    async def wait(self, timeout_s: float) -> bool:
        """Wait for something new, ``timeout_s`` at most; False if nothing came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        was_set = self._event.is_set()
        self._event.clear()
        return was_set

    def end(self) -> None:
        """Note that nothing follows the cursor: the job has ended and all was read."""
        self.is_done = True
        self._wake()

    def close(self) -> None:
        """Stop listening."""
        feed.remove(self)

    async def _stored_page(self) -> Page | None:
        announced, self._must_read = self._announced, False
        try:
            page = await db(read_page, self.job_id, self.cursor)
        except BaseException:
            self._must_read = True
            raise
        if page is not None:
            # There may be more than a page: read on until there is nothing.
            self._must_read = True
        elif self._announced == announced:
            self._announced = self.cursor
        return page

    def _live_page(self) -> Page | None:
        live = self._live
        while live and live[0].last_seq <= self.cursor:
            self._live_bytes -= len(live.popleft().body)
        if not live or live[0].first_seq > self.cursor + 1:
            return None
        batch = live.popleft()
        self._live_bytes -= len(batch.body)
        lines = batch.lines(self.cursor)
        return Page(lines, batch.last_seq, batch.is_final)


def read_page(job_id: str, after: int) -> Page | None:
    """The stored events above ``after``: at most 500, or the first over 1 MiB."""
    with connection.cursor() as cursor:
        cursor.execute(_PAGE, (job_id, after, PAGE_EVENTS, PAGE_BYTES))
        rows = cursor.fetchall()
    lines: list[bytes] = []
    missing: int | None = None
    last_seq = after
    is_final = False
    for first_seq, batch_last, final, body in rows:
        if first_seq > last_seq + 1:
            if lines:
                break
            missing = first_seq
        batch = Batch(job_id, "", first_seq, batch_last, bytes(body), bool(final))
        lines += batch.lines(last_seq)
        last_seq, is_final = batch_last, batch.is_final
        if len(lines) >= PAGE_EVENTS:
            break
    if not lines:
        return None
    return Page(lines, last_seq, is_final, missing)


class Feed:
    """Who listens to which job, in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers: dict[str, tuple[Reader, ...]] = {}

    def add(self, reader: Reader) -> None:
        """Deliver the job's batches to ``reader`` from now on."""
        with self._lock:
            others = self._readers.get(reader.job_id, ())
            self._readers[reader.job_id] = (*others, reader)
        broadcast.subscribe(reader.owner_id)

    def remove(self, reader: Reader) -> None:
        """Forget ``reader``."""
        with self._lock:
            others = self._readers.pop(reader.job_id, ())
            rest = tuple(other for other in others if other is not reader)
            if rest:
                self._readers[reader.job_id] = rest
        if len(rest) < len(others):
            broadcast.unsubscribe(reader.owner_id)

    def readers_of(self, job_id: str) -> tuple[Reader, ...]:
        """Who listens to the job."""
        return self._readers.get(job_id, ())

    def all_readers(self) -> list[Reader]:
        """Everybody who listens, a snapshot."""
        with self._lock:
            return [reader for group in self._readers.values() for reader in group]


feed = Feed()


def open_reader(
    job_id: str,
    *,
    owner_id: str,
    after: int = 0,
    wake: Callable[[], None] | None = None,
    is_new: bool = False,
) -> Reader:
    """A reader that is listening.

    ``is_new``: the job is about to be created, so there is nothing to replay yet.
    """
    reader = Reader(job_id, owner_id=owner_id, after=after, wake=wake)
    feed.add(reader)
    if not is_new:
        reader.look_again()
    return reader


def announce(batch: Batch, deliveries: Deliveries) -> None:
    """Tell the readers of this process and those of the others; any thread."""
    for reader in feed.readers_of(batch.job_id):
        deliveries.batch(reader.loop, partial(reader.on_batch, batch))
    broadcast.publish_batch(batch)


def hear(batch: Batch) -> None:
    """Deliver a batch that another process announced; on the loop of the readers."""
    for reader in feed.readers_of(batch.job_id):
        reader.loop.call_soon_threadsafe(reader.on_batch, batch)


def look_again_all() -> None:
    """Let every reader read the log once more."""
    for reader in feed.all_readers():
        reader.loop.call_soon_threadsafe(reader.look_again)


async def watch_silence() -> None:
    """Check the readers that heard nothing for 2 s against the log, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SILENCE_S / 2)
        silent = [
            reader
            for reader in feed.all_readers()
            if loop.time() - reader.last_heard >= SILENCE_S
        ]
        if silent:
            try:
                states = await db(read_states, [reader.job_id for reader in silent])
            except DatabaseError as error:
                logger.warning("silent readers could not be checked: %s", error)
                continue
            for reader in silent:
                _check(reader, states.get(reader.job_id))


def read_states(job_ids: list[str]) -> dict[str, tuple[int, bool]]:
    """Newest number, and whether the job has ended, by job id."""
    states: dict[str, tuple[int, bool]] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(job_ids), MAX_STATES):
            part = job_ids[start : start + MAX_STATES]
            marks = ", ".join(["%s"] * len(part))
            cursor.execute(_STATES.format(marks), part)
            for job_id, last_seq, status in cursor.fetchall():
                states[job_id] = (last_seq, status in TERMINAL)
    return states


def _check(reader: Reader, state: tuple[int, bool] | None) -> None:
    reader.last_heard = reader.loop.time()
    if state is None:
        return
    last_seq, has_ended = state
    if last_seq > reader.cursor:
        reader.loop.call_soon_threadsafe(reader.look_again)
    elif has_ended:
        reader.loop.call_soon_threadsafe(reader.end)
