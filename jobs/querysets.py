"""Reads of jobs that are not hot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.db import models

if TYPE_CHECKING:
    from jobs.models import Job  # noqa: F401 - read by the type checker

# Word for word the condition of the index ``job_live``: SQLite uses a partial index
# only where a query repeats it, and else reads the whole table.
IS_LIVE = "jobs_job.status IN ('scheduled', 'running', 'paused', 'suspended')"


class JobQuerySet(models.QuerySet["Job"]):
    """Jobs, narrowed."""

    def visible_to(self, user: Any) -> JobQuerySet:
        """Keep the jobs that ``user`` (anything with a ``pk``) owns."""
        return self.filter(owner_id=user.pk)

    def live(self) -> JobQuerySet:
        """Keep the jobs that have not ended."""
        return cast("JobQuerySet", self.extra(where=[IS_LIVE]))  # noqa: S610 - constant

    def states(self) -> list[tuple[str, str, str]]:
        """Id, workflow id and status of the newest 500."""
        rows = self.order_by("-created_at", "-pk")
        return list(rows.values_list("pk", "workflow_id", "status")[:500])
