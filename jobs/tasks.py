"""The Celery task: an edge, as thin as a view."""

from __future__ import annotations

from nodetool_site.celery import app

from jobs import process


@app.task(name="jobs.run_job")  # type: ignore[untyped-decorator]
def run_job(job_id: str) -> None:
    """Claim the job and run it to its end; nothing to do if somebody else has.

    The task thread waits for the run, so that Celery's own view of what is active, and
    its warm shutdown, tell the truth.
    """
    process.start("worker").claim_and_run(job_id)
