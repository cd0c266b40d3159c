"""The engine's ports on Django: what one run may reach."""

from __future__ import annotations

from jobs.event_log import JobLog
from jobs.statements import ClaimedJob
from storage.job_assets import JobAssetStore
from workflows.engine.context import BlockingRunner, RunContext


class NoSecrets:
    """The secrets of a user who has stored none."""

    async def get(self, name: str) -> str | None:
        """No secret has any name."""
        return None


def make_context(job: ClaimedJob, log: JobLog, blocking: BlockingRunner) -> RunContext:
    """What the nodes of this job get; everything is the job owner's."""
    return RunContext(
        job_id=job.id,
        user_id=job.owner_id,
        sink=log,
        assets=JobAssetStore(job.owner_id, job.id),
        secrets=NoSecrets(),
        blocking=blocking,
    )
