"""The SQL that creates a job, within the caps of its owner.

One statement reads a saved workflow, counts the owner's jobs and inserts: the graph
that runs is the one that was checked for ownership, and no two requests both find the
last place free. Only the event log's thread runs these.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import connection

from jobs.querysets import IS_LIVE
from nodetool_site.lib.sql_times import adapt
from workflows.reads import may_run

_COLUMNS = (
    "id, owner_id, workflow_id, name, job_type, execution_strategy, status, graph,"
    " params, payload_hash, result, error, usage, progress, last_seq, attempt,"
    " worker_id, running_nodes, has_started_nodes, commands_taken, created_at,"
    " started_at"
)
_CONSTANT_TAIL = "'', '', '', 0, %s, %s, %s, '[]', %s, 0, %s, %s"
_INSERT = f"INSERT INTO jobs_job ({_COLUMNS}) "
_SAVED = (
    "SELECT %s, %s, workflow.id, workflow.name, %s, %s, %s, workflow.graph, %s, %s, "  # noqa: S608 - constants only
    f"{_CONSTANT_TAIL} FROM workflows_workflow workflow"
    " WHERE workflow.id = %s AND (workflow.owner_id = %s OR workflow.access = 'public')"
)
_INLINE = (
    f"SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, {_CONSTANT_TAIL}"
    # An upsert from a select without a condition is no grammar of SQLite's.
    " WHERE true"
)
_RETURNING = " ON CONFLICT (id) DO NOTHING RETURNING name, graph"
_COUNT = f"SELECT COUNT(*) FROM jobs_job WHERE {IS_LIVE} AND owner_id = %s"  # noqa: S608
# One that is suspended holds no place: it may wait for a person for days.
_LIVE_CAP = f" AND ({_COUNT} AND status <> 'suspended') < %s"
_WAITING_CAP = f" AND ({_COUNT} AND status = 'scheduled') < %s"
# Counting is not enough where several processes insert: PostgreSQL shows none what the
# others have not committed. The lock comes first, in the same journey, or the insert
# would count what was there before it was granted. On SQLite one process writes.
_LOCK = "SELECT pg_advisory_xact_lock(%s, hashtext(%s)); "
_LOCK_CLASS = 0x6A6F6273  # any number that nobody else locks


@dataclass(slots=True, frozen=True)
class Caps:
    """How many jobs of one owner there may be; 0 is no cap.

    ``live``: claimed and waiting ones together, without the suspended. ``waiting``:
    those that nobody has claimed; a job that is born claimed never counts there.
    """

    live: int = 0
    waiting: int = 0


NO_CAPS = Caps()


@dataclass(slots=True, frozen=True)
class NewJob:
    """A row to be. ``graph`` is None where the saved workflow's is to run."""

    id: str
    owner_id: str
    workflow_id: str
    graph: str | None
    params: str
    payload_hash: str
    job_type: str
    execution_strategy: str
    created_at: datetime
    worker_id: str
    caps: Caps = NO_CAPS


def insert_job(cursor: Any, job: NewJob) -> tuple[str, str] | None:
    """Insert the job; its name and graph, or None where no row came to be.

    None means that the workflow does not exist for this owner, that the id is taken, or
    that the owner has as many jobs as they may: see ``is_over_caps``. A job with a
    ``worker_id`` is born claimed, as attempt 1 with its first event.
    """
    cap_values = _cap_values(job)
    sql = _statement(job.graph is not None, *(cap > 0 for _, cap in cap_values))
    values = [*_values(job)]
    for owner_id, cap in cap_values:
        if cap:
            values += (owner_id, cap)
    is_locked = connection.vendor == "postgresql" and any(c for _, c in cap_values)
    if is_locked:
        cursor.execute(_LOCK + sql, [_LOCK_CLASS, job.owner_id, *values])
        cursor.nextset()
    else:
        cursor.execute(sql, values)
    row: tuple[str, str] | None = cursor.fetchone()
    return row


def is_over_caps(job: NewJob) -> bool:
    """Tell whether the caps are why ``insert_job`` made no row of a free id.

    Else there is no such workflow.
    """
    return job.graph is not None or may_run(job.workflow_id, user_id=job.owner_id)


def _cap_values(job: NewJob) -> tuple[tuple[str, int], tuple[str, int]]:
    """The cap of live and of waiting jobs that the row has to pass."""
    waiting = 0 if job.worker_id else job.caps.waiting
    return (job.owner_id, job.caps.live), (job.owner_id, waiting)


@lru_cache(maxsize=8)
def _statement(is_inline: bool, has_live_cap: bool, has_waiting_cap: bool) -> str:  # noqa: FBT001
    caps = _LIVE_CAP * has_live_cap + _WAITING_CAP * has_waiting_cap
    return _INSERT + (_INLINE if is_inline else _SAVED) + caps + _RETURNING


def _values(job: NewJob) -> tuple[Any, ...]:
    claimed = bool(job.worker_id)
    created = adapt(job.created_at)
    kind = (job.job_type, job.execution_strategy, "running" if claimed else "scheduled")
    tail = (
        int(claimed),
        int(claimed),
        job.worker_id,
        False,
        created,
        created if claimed else None,
    )
    if job.graph is None:
        head = (job.id, job.owner_id, *kind, job.params, job.payload_hash)
        return (*head, *tail, job.workflow_id, job.owner_id)
    label = (job.workflow_id, "")
    content = (job.graph, job.params, job.payload_hash)
    return (job.id, job.owner_id, *label, *kind, *content, *tail)
