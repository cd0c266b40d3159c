"""The Celery task: an edge, as thin as a view."""

from __future__ import annotations

from celery import shared_task

from jobs import process
from jobs.dispatch import TASK_NAME


@shared_task(name=TASK_NAME)
def run_job(job_id: str) -> None:
    """Claim the job and run it to its end; nothing to do if somebody else has.

    The task thread waits for the run, so that Celery's own view of what is active, and
    its warm shutdown, tell the truth.
    """
    process.start("worker").claim_and_run(job_id)
