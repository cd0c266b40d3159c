"""Commands to a running job: rows, announced like events, read in order by the holder.

Nothing is lost when the holder changes: whoever holds the job next reads them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import connection
from django.utils import timezone

from nodetool_site.lib.sql_times import adapt

_INSERT = (
    "INSERT INTO jobs_command (job_id, kind, payload, created_at)"
    " VALUES (%s, %s, %s, %s) RETURNING id"
)
_READ = (
    "SELECT id, kind, payload FROM jobs_command"
    " WHERE job_id = %s AND id > %s ORDER BY id LIMIT 1000"
)
_COUNT_INPUTS = (
    "SELECT COUNT(*) FROM jobs_command command JOIN jobs_job job"
    " ON job.id = command.job_id WHERE command.job_id = %s AND command.kind = 'input'"
    " AND command.id > job.commands_taken"
)
_ENDS = "SELECT payload FROM jobs_command WHERE job_id = %s AND kind = 'end_input'"


@dataclass(slots=True, frozen=True)
class StoredCommand:
    """A row of ``jobs_command``, decoded."""

    id: int
    kind: str
    payload: dict[str, Any]


def insert(cursor: Any, job_id: str, kind: str, payload: dict[str, Any]) -> int:
    """Store a command and return its number."""
    cursor.execute(
        _INSERT,
        (job_id, kind, msgspec.json.encode(payload).decode(), adapt(timezone.now())),
    )
    return int(cursor.fetchone()[0])


def read(job_id: str, *, after: int) -> list[StoredCommand]:
    """The commands of a job above ``after``, in order."""
    with connection.cursor() as cursor:
        cursor.execute(_READ, (job_id, after))
        rows = cursor.fetchall()
    return [
        StoredCommand(pk, kind, msgspec.json.decode(text)) for pk, kind, text in rows
    ]


def waiting_inputs(cursor: Any, job_id: str) -> int:
    """How many input items the holder has not taken yet."""
    cursor.execute(_COUNT_INPUTS, (job_id,))
    return int(cursor.fetchone()[0])


def ended_inputs(cursor: Any, job_id: str) -> list[dict[str, Any]]:
    """The payloads of the ``end_input`` commands of a job."""
    cursor.execute(_ENDS, (job_id,))
    return [msgspec.json.decode(row[0]) for row in cursor.fetchall()]
