"""The one thread of a process that writes job tables, in groups.

Operations wait in a queue. The writer takes all that are there, applies them in
one transaction, and only after the commit tells their loops: so a slow disk makes
groups larger, never a queue longer than its producers allow, and nothing is
announced that a crash could take back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from itertools import groupby
from typing import Any, Generic, Protocol, TypeVar

from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    connection,
    transaction,
)

from nodetool_site.lib.errors import Unavailable

T = TypeVar("T")

logger = logging.getLogger(__name__)

MAX_GROUP = 256
# Whoever asks for a commit waits for the one under way: so many events that it takes
# some ten milliseconds, shared by the logs of the group. A log that is alone may take
# more: nobody waits behind it.
MAX_GROUP_EVENTS = 500
MAX_ALONE_EVENTS = 2_000
MIN_SHARE = 20
# What is small goes first, in a commit of its own: a job that begins or ends waits for
# the commit under way, not for the next one of the streams too.
SMALL_EVENTS = 50
SMALL_GROUP_EVENTS = 200
MAX_SMALL_IN_LINE = 3
POLL_S = 0.05
# A wake-up costs more than what it looks at: a server that rests looks half as often.
RESTING_POLL_S = 0.1
REST_AFTER_S = 2.0
RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)
# SQLite lets one process write at a time and does not queue the others fairly: a
# pause after a large commit lets a second process (the CLI, the admin) in.
YIELD_AFTER_EVENTS = 100
YIELD_S = 0.002


class Deliveries:
    """What a commit has to tell, by loop: one wake-up each, replies before batches."""

    def __init__(self) -> None:
        self._replies: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}
        self._batches: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}
        self.event_count = 0

    def reply(
        self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]
    ) -> None:
        """Run ``callback`` on ``loop`` before any batch is delivered there."""
        self._replies.setdefault(loop, []).append(callback)

    def batch(
        self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]
    ) -> None:
        """Run ``callback`` on ``loop`` after the replies."""
        self._batches.setdefault(loop, []).append(callback)

    def send(self) -> None:
        """Hand everything over: one ``call_soon_threadsafe`` for each loop."""
        for loop in {**self._replies, **self._batches}:
            calls = [*self._replies.get(loop, ()), *self._batches.get(loop, ())]
            # The loop may be closed: its readers and callers are gone with it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_run_all, calls)


def _run_all(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        try:
            call()
        except Exception:
            logger.exception("a delivery failed")


class Operation(Protocol):
    """A piece of work for the writer. ``apply_all`` may run more than once.

    ``job_id`` names the row it changes, or is ``""``. A group goes by these ids: two
    processes that change the same jobs never wait for each other. ``creator`` is the
    owner of a job that is to be created, whose jobs are counted and locked, or ``""``.
    """

    job_id: str
    creator: str

    give_up_s: float

    @property
    def waiting_events(self) -> int:
        """About how many events it has to store; 0 for a statement or two."""

    @classmethod
    def apply_all(cls, cursor: Any, operations: Any, max_events: int) -> None:
        """Execute the statements of a group; ``max_events`` of each at most."""

    def committed(self, deliveries: Deliveries) -> None:
        """The transaction is durable: say so."""

    def failed(self, error: Exception, deliveries: Deliveries) -> None:
        """The operation will not be tried again."""


OnCommit = Callable[[Any, Deliveries], None]


class Request(Generic[T]):
    """An operation with one answer, awaited by a coroutine of any loop.

    ``on_commit`` gets the answer and the deliveries on the writer's thread; else
    ``on_failure`` is called there: exactly one of them, also when nobody waits.
    """

    give_up_s = 2.0
    waiting_events = 0

    def __init__(
        self,
        statements: Callable[[Any], T],
        on_commit: OnCommit | None = None,
        on_failure: Callable[[], None] | None = None,
        *,
        job_id: str = "",
        creator: str = "",
    ) -> None:
        self.job_id = job_id
        self.creator = creator
        self._statements = statements
        self._on_commit = on_commit
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self._loop.create_future()
        self._answer: Any = None

    @classmethod
    def apply_all(cls, cursor: Any, operations: Any, max_events: int) -> None:
        """Execute the statements and keep their answers."""
        del max_events
        for request in operations:
            request._answer = request._statements(cursor)

    def committed(self, deliveries: Deliveries) -> None:
        """Resolve the future on its loop."""
        deliveries.reply(self._loop, self._resolve)
        if self._on_commit is not None:
            self._on_commit(self._answer, deliveries)

    def failed(self, error: Exception, deliveries: Deliveries) -> None:
        """Fail the future on its loop."""
        if self._on_failure is not None:
            self._on_failure()
        deliveries.reply(self._loop, lambda: self._reject(error))

    def _resolve(self) -> None:
        if not self.future.done():
            self.future.set_result(self._answer)

    def _reject(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class ThreadRequest(Generic[T]):
    """An operation with one answer, waited for by a thread."""

    give_up_s = 2.0
    creator = ""
    waiting_events = 0

    def __init__(
        self, statements: Callable[[Any], T], on_commit: OnCommit | None, job_id: str
    ) -> None:
        self.job_id = job_id
        self._statements = statements
        self._on_commit = on_commit
        self.future: Future[T] = Future()
        self._answer: Any = None

    @classmethod
    def apply_all(cls, cursor: Any, operations: Any, max_events: int) -> None:
        """Execute the statements and keep their answers."""
        Request.apply_all(cursor, operations, max_events)

    def committed(self, deliveries: Deliveries) -> None:
        """Wake the thread."""
        if self._on_commit is not None:
            self._on_commit(self._answer, deliveries)
        self.future.set_result(self._answer)

    def failed(self, error: Exception, deliveries: Deliveries) -> None:
        """Fail the call."""
        del deliveries
        self.future.set_exception(error)


class LogWriter:
    """The writer thread. Started on the first operation, ends with the process."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Operation] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._idle: Callable[[Any], bool] | None = None
        self._active_at = 0.0

    def put(self, operation: Operation) -> None:
        """Queue ``operation``; may be called from any thread."""
        self._queue.put(operation)
        if self._thread is None:
            self._start()

    async def request(
        self,
        statements: Callable[[Any], T],
        on_commit: OnCommit | None = None,
        on_failure: Callable[[], None] | None = None,
        *,
        job_id: str = "",
        creator: str = "",
    ) -> T:
        """Run ``statements(cursor)`` in a group commit and return its answer.

        ``job_id``: the stored job that they change, if they do. ``creator``: the user
        for whom they create one, if they do. A caller that is cancelled stops waiting;
        what it asked for happens anyway.

        Raises:
            Unavailable: the database did not answer in 2 s.
        """
        request = Request(
            statements, on_commit, on_failure, job_id=job_id, creator=creator
        )
        self.put(request)
        return await request.future

    def call(
        self,
        statements: Callable[[Any], T],
        on_commit: OnCommit | None = None,
        *,
        job_id: str = "",
    ) -> T:
        """``request`` for a thread without a loop."""
        request = ThreadRequest(statements, on_commit, job_id)
        self.put(request)
        return request.future.result()

    def poll(self, callback: Callable[[Any], bool] | None) -> None:
        """Call ``callback(connection)`` on the writer's thread when it is idle.

        Every 50 ms at most, every 100 ms once nothing has happened for 2 s. This is
        how another process's commits are noticed on SQLite: ``PRAGMA data_version``
        tells about every connection but one's own. ``callback`` tells whether it saw
        something.
        """
        self._idle = callback
        self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="event-log-writer", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        next_poll = 0.0
        while True:
            group = self._take()
            if group:
                self._commit_in_turn(group)
                self._active_at = time.monotonic()
            if self._idle is not None and time.monotonic() >= next_poll:
                self._poll_once(self._idle)
                next_poll = time.monotonic() + POLL_S

    def _pause_s(self) -> float | None:
        """How long to wait for an operation before the next poll; None: for ever."""
        if self._idle is None:
            return None
        is_resting = time.monotonic() - self._active_at > REST_AFTER_S
        return RESTING_POLL_S if is_resting else POLL_S

    def _take(self) -> list[Operation]:
        try:
            group = [self._queue.get(timeout=self._pause_s())]
        except queue.Empty:
            return []
        return self._take_more(group)

    def _take_more(self, group: list[Operation]) -> list[Operation]:
        """Add what is in the queue by now; nothing twice."""
        with contextlib.suppress(queue.Empty):
            while len(group) < MAX_GROUP:
                group.append(self._queue.get_nowait())
        return list(dict.fromkeys(group))

    def _commit_in_turn(self, group: list[Operation]) -> None:
        """Commit a group: first what is small, a few times if more of it comes."""
        for _ in range(MAX_SMALL_IN_LINE):
            small, group = split_small(group)
            if not small:
                break
            self._commit(small)
            if not group:
                return
            group = self._take_more(group)
        self._commit(group)

    def _poll_once(self, callback: Callable[[Any], bool]) -> None:
        try:
            if callback(connection):
                self._active_at = time.monotonic()
        except DatabaseError:
            connection.close()
            logger.warning("the database could not be polled", exc_info=True)
        except Exception:
            logger.exception("the poll of the event log failed")

    def _commit(self, group: list[Operation]) -> None:
        started = time.monotonic()
        attempt = 0
        while group:
            deliveries = Deliveries()
            error = self._try(group, deliveries)
            if error is None:
                deliveries.send()
                if (
                    deliveries.event_count > YIELD_AFTER_EVENTS
                    and connection.vendor == "sqlite"
                ):
                    time.sleep(YIELD_S)
                return
            if not _is_outage(error):
                self._commit_alone(group, error)
                return
            connection.close()
            waited = time.monotonic() - started
            logger.warning("the event log cannot be written: %s", error)
            group = self._give_up(group, waited)
            time.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1

    def _try(self, group: list[Operation], deliveries: Deliveries) -> Exception | None:
        in_order = sorted(group, key=_lock_order)
        try:
            share = max(MIN_SHARE, MAX_GROUP_EVENTS // len(group))
            if len(group) == 1:
                share = MAX_ALONE_EVENTS
            with transaction.atomic(), connection.cursor() as cursor:
                for _, alike in groupby(in_order, type):
                    operations = list(alike)
                    operations[0].apply_all(cursor, operations, share)
        except Exception as error:  # noqa: BLE001 - one bad operation ends alone
            return error
        # As they were applied: a job begins before its commands are read.
        for operation in in_order:
            operation.committed(deliveries)
        return None

    def _commit_alone(self, group: list[Operation], error: Exception) -> None:
        """After a failure that is not an outage: each operation by itself."""
        if len(group) == 1:
            deliveries = Deliveries()
            group[0].failed(error, deliveries)
            deliveries.send()
            return
        for operation in group:
            self._commit([operation])

    def _give_up(self, group: list[Operation], waited_s: float) -> list[Operation]:
        deliveries = Deliveries()
        remaining = []
        for operation in group:
            if waited_s < operation.give_up_s:
                remaining.append(operation)
            else:
                operation.failed(
                    Unavailable("The database does not answer; try again."), deliveries
                )
        deliveries.send()
        return remaining


def _lock_order(operation: Operation) -> tuple[bool, str, str]:
    """Users first, then jobs, each in the order of their ids: see ``Operation``."""
    return operation.creator == "", operation.creator, operation.job_id


def split_small(
    group: list[Operation],
) -> tuple[list[Operation], list[Operation]]:
    """Return what a short commit can hold, and what is left.

    All of it goes together where nothing is large. Operations on one job keep their
    order: one that follows a large one of the same job stays behind it.
    """
    if all(operation.waiting_events <= SMALL_EVENTS for operation in group):
        return group, []
    small: list[Operation] = []
    large: list[Operation] = []
    room, behind = SMALL_GROUP_EVENTS, set()
    for operation in group:
        count = operation.waiting_events
        if count > min(room, SMALL_EVENTS) or operation.job_id in behind:
            large.append(operation)
            if operation.job_id:
                behind.add(operation.job_id)
        else:
            small.append(operation)
            room -= count
    return small, large


def _is_outage(error: Exception) -> bool:
    return isinstance(error, OperationalError | InterfaceError)


writer = LogWriter()
