"""Reads of the REST surface: fixed statements, every one scoped to the owner."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from jobs import feed
from jobs.feed import Page
from jobs.models import TERMINAL, Status
from jobs.querysets import IS_LIVE
from nodetool_site.lib.pagination import TimePosition
from nodetool_site.lib.sql_times import adapt, aware

_SUMMARY = (
    "id, owner_id, workflow_id, job_type, status, name, created_at, started_at,"
    " finished_at, error, execution_strategy, progress, last_seq"
)
# The constants of this module; every value is bound.
_ONE = (
    f"SELECT {_SUMMARY}, params, result, usage FROM jobs_job"  # noqa: S608
    " WHERE id = %s AND owner_id = %s"
)
_LIST = f"SELECT {_SUMMARY} FROM jobs_job WHERE owner_id = %s"  # noqa: S608
# The owner's id is no plain column here, or SQLite would read all their jobs in order
# instead of the few that the index of the live ones holds.
_LIVE = f"SELECT {_SUMMARY} FROM jobs_job WHERE {IS_LIVE} AND owner_id || '' = %s"  # noqa: S608
_NEWEST_FIRST = " ORDER BY created_at DESC, id DESC LIMIT %s"
_HEAD = (
    "SELECT workflow_id, status, last_seq FROM jobs_job WHERE id = %s AND owner_id = %s"
)
_NEWEST_BATCH = (
    "SELECT job.status, batch.body FROM jobs_job job LEFT JOIN jobs_eventbatch batch"
    " ON batch.job_id = job.id AND batch.last_seq = job.last_seq WHERE job.id = %s"
)
MAX_LIVE = 500


class JobRow(NamedTuple):
    """A row of ``jobs_job`` as it is sent: times are aware.

    ``params``, ``result`` and ``usage`` are JSON texts; rows of a list come without.
    """

    id: str
    owner_id: str
    workflow_id: str
    job_type: str
    status: str
    name: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str
    execution_strategy: str
    progress: float
    last_seq: int
    params: str | None = None
    result: str = ""
    usage: str = ""

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended for good."""
        return self.status in TERMINAL

    @property
    def duration_s(self) -> float | None:
        """From the start to the end; None before the end."""
        if self.finished_at is None:
            return None
        began = self.started_at or self.created_at
        return round(max(0.0, (self.finished_at - began).total_seconds()), 6)


class JobList(NamedTuple):
    """A page of jobs, and where the next one starts; None: nothing is left."""

    jobs: list[JobRow]
    next_position: TimePosition | None


class EventPage(NamedTuple):
    """Stored events of a job. ``last_seq`` is the job's newest number."""

    page: Page | None
    workflow_id: str
    last_seq: int
    is_terminal: bool


def read_job(owner_id: str, job_id: str) -> JobRow | None:
    """The job with its params and result; None if the owner has none of that id."""
    row = _fetch_one(_ONE, (job_id, owner_id))
    return None if row is None else _job(row)


def list_jobs(
    owner_id: str,
    *,
    limit: int,
    after: TimePosition | None = None,
    workflow_id: str | None = None,
    statuses: Sequence[str] = (),
) -> JobList:
    """The owner's jobs, the newest first."""
    where, params = "", [owner_id]
    if workflow_id:
        where += " AND workflow_id = %s"
        params.append(workflow_id)
    if statuses:
        where += f" AND status IN ({', '.join(['%s'] * len(statuses))})"
        params += statuses
    if after is not None:
        where += " AND (created_at, id) < (%s, %s)"
        params += [adapt(after.moment), after.row_id]
    with connection.cursor() as cursor:
        # One row more than asked for tells whether a next page exists.
        cursor.execute(_LIST + where + _NEWEST_FIRST, [*params, limit + 1])
        rows = [_job(row) for row in cursor.fetchall()]
    if len(rows) <= limit:
        return JobList(rows, None)
    last = rows[limit - 1]
    return JobList(rows[:limit], TimePosition(last.created_at, last.id))


def live_jobs(owner_id: str) -> list[JobRow]:
    """The owner's jobs that have not ended, the newest first; at most 500."""
    with connection.cursor() as cursor:
        cursor.execute(_LIVE + _NEWEST_FIRST, (owner_id, MAX_LIVE))
        return [_job(row) for row in cursor.fetchall()]


def read_events(owner_id: str, job_id: str, after: int) -> EventPage | None:
    """The next stored events above ``after``; None if the owner has no such job."""
    row = _fetch_one(_HEAD, (job_id, owner_id))
    if row is None:
        return None
    workflow_id, status, last_seq = row
    page = feed.read_page(job_id, after) if after < last_seq else None
    return EventPage(page, workflow_id, last_seq, status in TERMINAL)


def read_outcome(job_id: str) -> tuple[str, bytes | None] | None:
    """Status and newest event of a job that has ended or is held; None while it runs.

    The event is None where retention has taken it.
    """
    row = _fetch_one(_NEWEST_BATCH, (job_id,))
    if row is None or row[0] not in (*TERMINAL, Status.PAUSED, Status.SUSPENDED):
        return None
    body = None if row[1] is None else bytes(row[1])
    return row[0], body and body[body.rfind(b"\n") + 1 :]


def _fetch_one(statement: str, params: Sequence[Any]) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchone()


def _job(row: Sequence[Any]) -> JobRow:
    moments = (None if moment is None else aware(moment) for moment in row[6:9])
    values: list[Any] = [*row[:6], *moments, *row[9:]]
    return JobRow(*values)
