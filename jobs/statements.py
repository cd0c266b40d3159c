"""The SQL of the hot writes. Only the event log's thread runs these.

The ORM costs a millisecond a statement and hides which columns guard a change; here
both would matter. The statements are the same on SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from jobs.batches import Batch
from jobs.large_values import StoredValue
from jobs.models import ALLOWED_FROM, LIVE, TERMINAL, Status
from nodetool_site.lib.sql_times import adapt, aware
from storage.job_assets import write_value_sync

if TYPE_CHECKING:
    from jobs.event_log import JobLog, StatusChange

CLAIM = (
    "UPDATE jobs_job SET status = 'running', worker_id = %s, attempt = attempt + 1,"
    " started_at = COALESCE(started_at, %s), last_seq = last_seq + 1"
    " WHERE id = %s AND status = 'scheduled'"
    " RETURNING owner_id, workflow_id, name, graph, params, attempt, last_seq,"
    " started_at, execution_strategy, job_type"
)
# Whoever holds a job finds it in one of these. One that was taken away because its
# worker counts as lost waits as ``scheduled`` and still has the old attempt's number.
_HELD = LIVE - {Status.SCHEDULED}


def _quoted(statuses: Iterable[str]) -> str:
    return ", ".join(f"'{status}'" for status in sorted(statuses))


MOVE = (
    "UPDATE jobs_job SET last_seq = last_seq + %s, progress = %s, running_nodes = %s,"
    " has_started_nodes = %s, commands_taken = %s"
    " WHERE id = %s AND attempt = %s AND last_seq = %s"
)
MOVE_ONLY = f"{MOVE} AND status IN ({_quoted(_HELD)}) RETURNING last_seq"
INSERT_BATCH = (
    "INSERT INTO jobs_eventbatch"
    " (job_id, first_seq, last_seq, size, is_final, body)"
    " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (job_id, first_seq) DO NOTHING"
)


def _move_to(status: str) -> str:
    allowed = _quoted(_HELD.intersection(ALLOWED_FROM[status]))
    head, condition = MOVE.split(" WHERE ")
    return (
        f"{head}, status = %s, result = %s, error = %s, usage = %s, finished_at = %s"
        f" WHERE {condition} AND status IN ({allowed}) RETURNING last_seq"
    )


MOVE_TO = {status: _move_to(status) for status in ALLOWED_FROM}


_MOVE_ROW = f"({', '.join(['%s'] * 14)})"
MOVE_MANY = (
    "WITH move (id, attempt, after, count, progress, running, started, taken, status,"
    " result, error, usage, finished, allowed) AS (VALUES {}),"
    # In one order, or two processes that change the same jobs wait for each other.
    " held AS (SELECT jobs_job.id FROM jobs_job JOIN move ON jobs_job.id = move.id"
    " ORDER BY jobs_job.id FOR NO KEY UPDATE OF jobs_job)"
    " UPDATE jobs_job SET last_seq = jobs_job.last_seq + move.count,"
    " progress = move.progress, running_nodes = move.running,"
    " has_started_nodes = move.started, commands_taken = move.taken,"
    " status = CASE WHEN move.status = '' THEN jobs_job.status ELSE move.status END,"
    " result = CASE WHEN move.status = '' THEN jobs_job.result ELSE move.result END,"
    " error = CASE WHEN move.status = '' THEN jobs_job.error ELSE move.error END,"
    " usage = CASE WHEN move.status = '' THEN jobs_job.usage ELSE move.usage END,"
    " finished_at = CASE WHEN move.status = '' THEN jobs_job.finished_at"
    " ELSE CAST(move.finished AS timestamptz) END"
    " FROM move JOIN held ON held.id = move.id"
    " WHERE jobs_job.id = move.id AND jobs_job.attempt = move.attempt"
    " AND jobs_job.last_seq = move.after"
    " AND jobs_job.status = ANY (string_to_array(move.allowed, ','))"
    " RETURNING jobs_job.id"
)


@dataclass(slots=True, frozen=True)
class Move:
    """``count`` events of a log, to be numbered behind ``after``."""

    log: JobLog
    count: int
    after: int
    change: StatusChange | None


@dataclass(slots=True, frozen=True)
class ClaimedJob:
    """A job that this process holds, and all it needs to run it.

    ``waited``: it was scheduled before, so commands to it may be stored already.
    """

    id: str
    owner_id: str
    workflow_id: str
    name: str
    graph: str
    params: str
    attempt: int
    last_seq: int
    started_at: datetime
    execution_strategy: str
    waited: bool
    job_type: str = "workflow"


def claim(cursor: Any, job_id: str, worker_id: str) -> ClaimedJob | None:
    """Take a scheduled job; None if there is nothing to take."""
    cursor.execute(CLAIM, (worker_id, adapt(timezone.now()), job_id))
    row = cursor.fetchone()
    if row is None:
        return None
    (
        owner_id,
        workflow_id,
        name,
        graph,
        params,
        attempt,
        last_seq,
        started,
        strategy,
        kind,
    ) = row
    return ClaimedJob(
        id=job_id,
        owner_id=owner_id,
        workflow_id=workflow_id,
        name=name,
        graph=graph,
        params=params,
        attempt=attempt,
        last_seq=last_seq,
        started_at=aware(started),
        execution_strategy=strategy,
        waited=True,
        job_type=kind,
    )


def move_all(cursor: Any, moves: list[Move]) -> list[bool]:
    """Take the numbers of every move; tell which may be written, which are fenced.

    On PostgreSQL one statement for all: each costs a journey, and a wait for the
    interpreter behind it. On SQLite a statement costs less than a longer one would.
    """
    if len(moves) > 1 and connection.vendor == "postgresql":
        rows = ", ".join([_MOVE_ROW] * len(moves))
        cursor.execute(
            MOVE_MANY.format(rows), [value for move in moves for value in _row(move)]
        )
        moved = {row[0] for row in cursor.fetchall()}
        return [move.log.job_id in moved or _was_taken(cursor, move) for move in moves]
    return [_move(cursor, move) or _was_taken(cursor, move) for move in moves]


def _move(cursor: Any, move: Move) -> bool:
    log, change = move.log, move.change
    guard = (log.job_id, log.attempt, move.after)
    if change is None:
        cursor.execute(MOVE_ONLY, (*_progress(move), *guard))
    else:
        values = (*_progress(move), *_outcome(change), *guard)
        cursor.execute(MOVE_TO[change.to], values)
    return cursor.fetchone() is not None


def _row(move: Move) -> tuple[Any, ...]:
    log, change = move.log, move.change
    guard = (log.job_id, log.attempt, move.after)
    if change is None:
        return (*guard, *_progress(move), "", "", "", "", None, ",".join(_HELD))
    allowed = ",".join(_HELD.intersection(ALLOWED_FROM[change.to]))
    return (*guard, *_progress(move), *_outcome(change), allowed)


def _outcome(change: StatusChange) -> tuple[Any, ...]:
    finished = adapt(timezone.now()) if change.to in TERMINAL else None
    return (change.to, change.result, change.error, change.usage, finished)


def _progress(move: Move) -> tuple[Any, ...]:
    log = move.log
    return (
        move.count,
        log.progress(),
        log.running_nodes_json(),
        log.has_started_nodes,
        log.commands_taken,
    )


def _was_taken(cursor: Any, move: Move) -> bool:
    """Whether an earlier commit, whose answer was lost, took these very numbers."""
    cursor.execute(
        "SELECT 1 FROM jobs_job WHERE id = %s AND attempt = %s AND last_seq >= %s",
        (move.log.job_id, move.log.attempt, move.after + move.count),
    )
    return cursor.fetchone() is not None


def insert_batches(cursor: Any, batches: Iterable[Batch]) -> None:
    """Store batches; one that is there already is left as it is."""
    rows = [
        (
            batch.job_id,
            batch.first_seq,
            batch.last_seq,
            len(batch.body),
            batch.is_final,
            batch.body,
        )
        for batch in batches
    ]
    if len(rows) == 1:
        cursor.execute(INSERT_BATCH, rows[0])
    elif rows:
        cursor.executemany(INSERT_BATCH, rows)


def insert_value(owner_id: str, job_id: str, value: StoredValue) -> None:
    """Store a large value: the file first, then its row in this transaction."""
    write_value_sync(
        owner_id,
        job_id,
        value.data,
        content_type=value.content_type,
        name=f"value.{value.extension}",
        asset_id=value.asset_id,
    )
