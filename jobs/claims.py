"""Taking a job: the conditional update, and the event that tells of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from jobs import statements
from jobs.batches import Batch, pack
from jobs.querysets import IS_LIVE
from jobs.statements import ClaimedJob
from workflows.engine.events import Event, JobUpdate, LogUpdate, encode_event

_OLDEST = (
    f"SELECT id FROM jobs_job WHERE {IS_LIVE} AND status = 'scheduled'"  # noqa: S608
    " ORDER BY created_at, id LIMIT 1"
)


@dataclass(slots=True, frozen=True)
class Claim:
    """A claimed job and the event that the claim stored."""

    job: ClaimedJob
    batches: list[Batch]


def claim_job(cursor: Any, job_id: str | None, worker_id: str) -> Claim | None:
    """Claim a scheduled job, the oldest if none is named; None if there is none."""
    if job_id is None:
        cursor.execute(_OLDEST)
        row = cursor.fetchone()
        if row is None:
            return None
        job_id = str(row[0])
    job = statements.claim(cursor, job_id, worker_id)
    return None if job is None else Claim(job, first_batches(job, cursor))


def first_batches(job: ClaimedJob, cursor: Any) -> list[Batch]:
    """Store what a claim says: ``running`` once, later attempts a line of log."""
    event: Event = JobUpdate(status="running")
    if job.last_seq > 1:
        event = LogUpdate(content=f"attempt {job.attempt}", severity="warning")
    batches = list(
        pack(
            [encode_event(event)],
            job_id=job.id,
            owner_id=job.owner_id,
            workflow_id=job.workflow_id,
            first_seq=job.last_seq,
            ts=time.time(),
            is_final=False,
        )
    )
    statements.insert_batches(cursor, batches)
    return batches
