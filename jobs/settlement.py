"""Ending or rescheduling a job from outside the process that holds it.

Used for a job that nobody has claimed, whose worker was lost, or whose holder does not
react to a cancel. The attempt moves on with the change, so a holder that comes back is
fenced: the first commit wins, whoever makes it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import connection
from django.utils import timezone

from jobs import endings, feed, statements
from jobs.batches import Batch, pack
from jobs.log_writer import Deliveries, writer
from jobs.models import ALLOWED_FROM, Status
from nodetool_site.lib.sql_times import adapt, aware
from workflows.engine.events import Event, JobUpdate, NodeUpdate, encode_event

_LOCK = (
    "SELECT owner_id, workflow_id, status, last_seq, attempt, running_nodes,"
    " started_at, created_at, job_type FROM jobs_job WHERE id = %s"
)
_END = (
    "UPDATE jobs_job SET status = %s, error = %s, finished_at = %s, last_seq = %s,"
    " attempt = attempt + 1, running_nodes = '[]' WHERE id = %s AND attempt = %s"
    " AND last_seq = %s AND status = %s"
)
_RESCHEDULE = (
    "UPDATE jobs_job SET status = 'scheduled', worker_id = '', rung_at = NULL"
    " WHERE id = %s AND attempt = %s AND status = 'running' AND NOT has_started_nodes"
)


@dataclass(slots=True, frozen=True)
class Ending:
    """How a job is to end. ``attempt``: only if nobody claimed it since."""

    job_id: str
    to: str
    error: str | None = None
    message: str | None = None
    node_error: str = "Cancelled"
    attempt: int | None = None
    only_from: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Settled:
    """The events that a settlement stored; none where another change came first."""

    batches: list[Batch]
    job_type: str = ""

    def __bool__(self) -> bool:
        return bool(self.batches)


def end(cursor: Any, ending: Ending) -> Settled:
    """Store the terminal events and status of a job that is not terminal."""
    # Not FOR UPDATE: that waits for whoever has inserted a row that refers to the job,
    # and two who have both done so would wait for each other.
    suffix = " FOR NO KEY UPDATE" if connection.vendor == "postgresql" else ""
    cursor.execute(_LOCK + suffix, (ending.job_id,))
    row = cursor.fetchone()
    if row is None:
        return Settled([])
    (
        owner_id,
        workflow_id,
        status,
        last_seq,
        attempt,
        running,
        started,
        created,
        job_type,
    ) = row
    allowed = ending.only_from or ALLOWED_FROM[ending.to]
    if status not in allowed or ending.attempt not in (None, attempt):
        return Settled([])
    began = aware(started or created)
    events = _events(ending, last_seq, running, began.timestamp())
    cursor.execute(
        _END,
        (
            ending.to,
            ending.error or "",
            adapt(timezone.now()),
            last_seq + len(events),
            ending.job_id,
            attempt,
            last_seq,
            status,
        ),
    )
    if cursor.rowcount != 1:
        return Settled([])
    batches = list(
        pack(
            [encode_event(event) for event in events],
            job_id=ending.job_id,
            owner_id=owner_id,
            workflow_id=workflow_id,
            first_seq=last_seq + 1,
            ts=time.time(),
            is_final=True,
        )
    )
    statements.insert_batches(cursor, batches)
    return Settled(batches, job_type)


def reschedule(cursor: Any, job_id: str, attempt: int) -> bool:
    """Make a job claimable again; False if another change, or a node, came first."""
    cursor.execute(_RESCHEDULE, (job_id, attempt))
    return bool(cursor.rowcount)


def announce(settled: Settled, deliveries: Deliveries) -> None:
    """Tell the readers; for ``on_commit``."""
    for batch in settled.batches:
        feed.announce(batch, deliveries)


async def end_job(ending: Ending) -> bool:
    """End a job; False if another change came first."""
    settled = await writer.request(
        lambda cursor: end(cursor, ending), announce, job_id=ending.job_id
    )
    if settled:
        await endings.tell(settled.job_type, ending.job_id)
    return bool(settled)


def end_job_from_thread(ending: Ending) -> bool:
    """``end_job`` for a thread without a loop; no hook of ``endings`` is told."""
    return bool(
        writer.call(lambda cursor: end(cursor, ending), announce, job_id=ending.job_id)
    )


def _events(ending: Ending, last_seq: int, running: str, began: float) -> list[Event]:
    events: list[Event] = []
    if last_seq == 0:
        # Every job has exactly one first ``running``, also one that never ran.
        events.append(JobUpdate(status="running"))
    for node_id, node_name, node_type in msgspec.json.decode(running):
        events.append(
            NodeUpdate(
                node_id=node_id,
                node_name=node_name,
                node_type=node_type,
                status="error",
                error=ending.node_error,
            )
        )
    events.append(
        JobUpdate(
            status=Status(ending.to).value,  # type: ignore[arg-type]
            message=ending.message,
            error=ending.error,
            duration=round(max(0.0, time.time() - began), 6),
        )
    )
    return events
