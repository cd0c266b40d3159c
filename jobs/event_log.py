"""The one ordered truth about a run: number, store, then announce.

Whoever executes a job holds its ``JobLog`` and emits into it. The writer thread
numbers what is waiting, stores it as batches and announces them after the commit.
Readers never see a number twice, never miss one, and never see an event that a
later replay would not have.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, cast

import msgspec

from jobs import feed, statements
from jobs.batches import Batch, pack
from jobs.large_values import (
    MAX_INLINE_BYTES,
    LargeValues,
    StoredValue,
    holds_large_text,
)
from jobs.log_writer import Deliveries, writer
from jobs.masking import JobMask
from jobs.models import TERMINAL
from jobs.statements import Move
from nodetool_site.lib.redaction import redact
from workflows.engine.events import (
    Event,
    JobUpdate,
    NodeUpdate,
    encode_event,
    encode_value,
)
from workflows.engine.sanitize import sanitize

MAX_WAITING_EVENTS = 4_000
MAX_WAITING_BYTES = 1024 * 1024
GIVE_UP_S = 120.0


class Fenced(Exception):
    """Somebody else settled or took over the job: nothing more may be written."""


@dataclass(slots=True, frozen=True)
class StatusChange:
    """A ``job_update`` that moves the stored status in the same transaction."""

    to: str
    event: bytes
    error: str = ""
    result: str = ""
    usage: str = ""


Entry = bytes | StatusChange
# Events, and the change of status that the last of them tells, if one does.
Run = tuple[list[bytes], StatusChange | None]


class JobLog:
    """The event sink of one attempt of one job, and the only writer of its events.

    Belongs to the loop it was made on. Memory is bounded: from 4,000 events or
    1 MiB waiting on, ``is_full`` holds and ``wait_ready`` waits.

    Two threads meet here: the loop appends to ``_waiting``, the writer pops from it.
    Each counter has one thread that changes it.

    ``last_seq`` is the newest number known to be stored.
    """

    give_up_s = GIVE_UP_S
    creator = ""

    def __init__(
        self,
        *,
        job_id: str,
        workflow_id: str,
        owner_id: str,
        attempt: int,
        last_seq: int,
        on_fenced: Callable[[], None],
        at_once: bool,
    ) -> None:
        self.job_id = job_id
        self.workflow_id = workflow_id
        self.owner_id = owner_id
        self.attempt = attempt
        self.last_seq = last_seq
        self.commands_taken = 0
        self.progress: Callable[[], float] = lambda: 0.0
        self.is_fenced = False
        self.error: Exception | None = None
        self.has_started_nodes = False
        self.event_count = 0
        self.event_bytes = 0
        self.mask = JobMask()
        self._on_fenced = on_fenced
        self._at_once = at_once
        self._loop = asyncio.get_running_loop()
        self._large = LargeValues()
        self._waiting: deque[Entry] = deque()
        self._held: list[tuple[Entry, int]] | None = None
        self._is_queued = False
        self._stored_count = 0
        self._stored_bytes = 0
        self._room = asyncio.Event()
        self._running: dict[str, tuple[str, str, str]] = {}
        self._running_json = "[]"
        self._taken: list[Entry] = []
        self._taken_values: list[StoredValue] = []
        self._taken_at = 0.0
        self._batches: list[Batch] = []

    # --- the loop's side

    def emit(self, event: Event) -> None:
        """Append an event; never blocks.

        Raises:
            Fenced: the job was settled elsewhere; nothing may follow.
        """
        if self.is_fenced:
            raise Fenced(self.job_id)
        if self.mask.is_needed:
            event = self.mask.event(event)
        if type(event) is NodeUpdate:
            self._track(event)
            if event.error:
                event = msgspec.structs.replace(event, error=redact(event.error))
        # A text of many MiB takes a second to encode, which shows that it is large.
        if not holds_large_text(event):
            data = encode_event(event)
            if len(data) <= MAX_INLINE_BYTES:
                self._append(data, len(data))
                return
        before = self._large.bytes_put_aside
        for part in self._large.shrink(event):
            data = encode_event(part)
            grown = self._large.bytes_put_aside - before
            before = self._large.bytes_put_aside
            self._append(data, len(data) + grown)

    @property
    def is_full(self) -> bool:
        """Whether producers have to wait; what is held back counts too."""
        return (
            len(self._held or ()) >= MAX_WAITING_EVENTS
            or self.event_count - self._stored_count >= MAX_WAITING_EVENTS
            or self.event_bytes - self._stored_bytes >= MAX_WAITING_BYTES
        )

    async def wait_ready(self) -> None:
        """Wait until there is room again.

        Raises:
            Fenced: as ``emit``.
        """
        while self.is_full and not self.is_fenced:
            await self._next_commit()
        if self.is_fenced:
            raise Fenced(self.job_id)

    def hold(self) -> None:
        """Keep back what is emitted from now on: nothing follows a ``suspended``."""
        self._held = []

    def release(self, to: str = "", event: JobUpdate | None = None) -> None:
        """Append what ``hold`` kept back, behind a change of status if one is given."""
        held, self._held = self._held, None
        if event is not None:
            self.change_status(to, event)
        self._room.set()
        for entry, size in held or ():
            self._append(entry, size)

    def change_status(self, to: str, event: JobUpdate) -> None:
        """Append ``event`` and store the status ``to`` with it."""
        before = self._large.bytes_put_aside
        if self.mask.is_needed:
            event = cast("JobUpdate", self.mask.event(event))
        if event.error:
            event = msgspec.structs.replace(event, error=redact(event.error))
        if event.result is not None:
            small = self._large.shrink_result(event.result)
            event = msgspec.structs.replace(event, result=small)
        data = encode_event(event)
        result = "" if event.result is None else encode_value(event.result).decode()
        error = sanitize(event.error or "")
        usage = encode_value(event.usage).decode() if event.usage else ""
        change = StatusChange(
            to=to, event=data, error=error, result=result, usage=usage
        )
        self._append(change, len(data) + self._large.bytes_put_aside - before)

    async def stored(self) -> None:
        """Wait until everything that was appended is stored.

        Raises:
            Fenced: the job was settled by somebody else.
        """
        while self.event_count > self._stored_count and not self.is_fenced:
            await self._next_commit()
        if self.is_fenced:
            raise Fenced(self.job_id) from self.error

    @property
    def waiting_events(self) -> int:
        """How many entries wait to be stored."""
        return len(self._taken) + len(self._waiting)

    @property
    def running_nodes(self) -> list[tuple[str, str, str]]:
        """Id, name and type of the nodes that have begun and not ended."""
        return list(self._running.values())

    def _append(self, entry: Entry, size: int) -> None:
        if self._held is not None:
            self._held.append((entry, size))
            return
        self._waiting.append(entry)
        self.event_count += 1
        self.event_bytes += size
        if not self._is_queued:
            self._is_queued = True
            if self._at_once:
                writer.put(self)
            else:
                self._loop.call_soon(writer.put, self)

    async def _next_commit(self) -> None:
        self._room.clear()
        if self._held is not None and len(self._held) >= MAX_WAITING_EVENTS:
            await self._room.wait()
            return
        self._queue_again()
        await self._room.wait()

    def _track(self, event: NodeUpdate) -> None:
        if event.status == "running":
            self.has_started_nodes = True
            self._running[event.node_id] = (
                event.node_id,
                event.node_name,
                event.node_type,
            )
        elif event.status != "waiting":
            self._running.pop(event.node_id, None)

    # --- the writer's side

    @classmethod
    def apply_all(cls, cursor: Any, logs: list[Self], max_events: int) -> None:
        """Number and store what is waiting; the same again after a failure."""
        steps = [(log, log._begin(max_events), log.last_seq) for log in logs]
        while steps:
            moves = [
                Move(log, len(runs[0][0]), after, runs[0][1])
                for log, runs, after in steps
                if runs
            ]
            taken = iter(statements.move_all(cursor, moves))
            steps = [
                (log, runs[1:], log._number(runs[0], after))
                for log, runs, after in steps
                if runs and log._may_write(next(taken))
            ]
        statements.insert_batches(
            cursor, [batch for log in logs for batch in log._batches]
        )

    def _begin(self, max_events: int) -> list[Run]:
        if not self._taken:
            self._take(max_events)
        self._batches = []
        for value in self._taken_values:
            statements.insert_value(self.owner_id, self.job_id, value)
        return _cut_at_changes(self._taken)

    def _may_write(self, is_taken: bool) -> bool:  # noqa: FBT001 - an answer, passed on
        self.is_fenced = self.is_fenced or not is_taken
        return is_taken

    def _number(self, run: Run, after: int) -> int:
        """Make the batches of a run whose numbers are taken; the last number."""
        events, change = run
        self._batches += pack(
            events,
            job_id=self.job_id,
            owner_id=self.owner_id,
            workflow_id=self.workflow_id,
            first_seq=after + 1,
            ts=self._taken_at,
            is_final=change is not None and change.to in TERMINAL,
        )
        return after + len(events)

    def committed(self, deliveries: Deliveries) -> None:
        """Announce what was stored and let the producers go on."""
        for batch in self._batches:
            self.last_seq = batch.last_seq
            deliveries.event_count += batch.last_seq - batch.first_seq + 1
            feed.announce(batch, deliveries)
        self._finish(deliveries)

    def failed(self, error: Exception, deliveries: Deliveries) -> None:
        """The events cannot be stored: the attempt is over."""
        self.error = error
        self.is_fenced = True
        self._finish(deliveries)

    def running_nodes_json(self) -> str:
        """The nodes under way, as they are stored with the job."""
        return encode_value(list(self._running.values())).decode()

    def _take(self, max_events: int) -> None:
        # The flag first: an event that comes from here on queues the log again. Values
        # last: the loop appends a value before the event that refers to it.
        self._is_queued = False
        self._taken_at = time.time()
        waiting = self._waiting
        while waiting and len(self._taken) < max_events:
            self._taken.append(waiting.popleft())
        values = self._large.waiting
        while values:
            self._taken_values.append(values.popleft())

    def _finish(self, deliveries: Deliveries) -> None:
        self._stored_count += len(self._taken)
        self._stored_bytes += sum(
            len(entry) if isinstance(entry, bytes) else len(entry.event)
            for entry in self._taken
        ) + sum(len(value.data) for value in self._taken_values)
        self._batches, self._taken, self._taken_values = [], [], []
        self._queue_again()
        deliveries.reply(self._loop, self._after_commit)

    def _queue_again(self) -> None:
        # Both threads may come here at once; a log that is queued twice does no harm.
        if self._waiting and not self._is_queued and not self.is_fenced:
            self._is_queued = True
            writer.put(self)

    def _after_commit(self) -> None:
        self._room.set()
        if self.is_fenced:
            self._on_fenced()


def _cut_at_changes(entries: list[Entry]) -> list[Run]:
    """Cut ``entries`` behind each status change: it is stored with its event."""
    runs: list[Run] = []
    events: list[bytes] = []
    for entry in entries:
        if isinstance(entry, StatusChange):
            runs.append(([*events, entry.event], entry))
            events = []
        else:
            events.append(entry)
    if events:
        runs.append((events, None))
    return runs
