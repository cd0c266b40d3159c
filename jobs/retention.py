"""Jobs that go soon after their end, with all that belongs to them."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import connection
from django.utils import timezone

from jobs.log_writer import writer
from jobs.models import SHORT_LIVED
from nodetool_site.lib.sql_times import adapt
from storage.files import FileRef
from storage.services import delete_files, delete_values_of_job

logger = logging.getLogger(__name__)

KEPT = timedelta(hours=1)
MAX_AT_ONCE = 100
_OVERDUE = (
    "SELECT id, owner_id FROM jobs_job"  # noqa: S608 - constants only
    f" WHERE job_type = '{SHORT_LIVED}' AND finished_at < %s LIMIT {MAX_AT_ONCE}"
)
_DELETE = (
    "DELETE FROM jobs_command WHERE job_id = %s",
    "DELETE FROM jobs_eventbatch WHERE job_id = %s",
    "DELETE FROM jobs_job WHERE id = %s",
)


def delete_rows(cursor: Any, owner_id: str, job_id: str) -> list[FileRef]:
    """Delete a job that has ended, in the writer's transaction.

    Returns the files of its large values, for ``delete_files`` after the commit. Files
    that its nodes wrote for their user stay.
    """
    for statement in _DELETE:
        cursor.execute(statement, (job_id,))
    return delete_values_of_job(owner_id, job_id)


def delete_overdue() -> None:
    """Delete the short-lived jobs whose time is over; for a thread without a loop."""
    with connection.cursor() as cursor:
        cursor.execute(_OVERDUE, (adapt(timezone.now() - KEPT),))
        rows = cursor.fetchall()
    for job_id, owner_id in rows:
        delete = partial(delete_rows, owner_id=owner_id, job_id=job_id)
        delete_files(writer.call(delete, job_id=job_id))
    if rows:
        logger.info("%d short-lived jobs are over and deleted", len(rows))
