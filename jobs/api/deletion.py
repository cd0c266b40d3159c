"""Deleting a job that has ended, with its events, commands and large values."""

from __future__ import annotations

import asyncio
from typing import Any

from jobs.api.base import UNKNOWN
from jobs.errors import InvalidTransition, JobNotFound
from jobs.log_writer import writer
from jobs.retention import delete_rows
from jobs.services import JobState, read_state
from storage.files import FileRef
from storage.services import delete_files


async def delete_job(owner_id: str, job_id: str) -> None:
    """Delete the job. Files that its nodes wrote for their user stay.

    Raises:
        JobNotFound: the owner has no such job.
        InvalidTransition: it has not ended.
    """
    files: list[FileRef] = []

    def statements(cursor: Any) -> JobState | None:
        # A terminal state is final, so nothing can come between the look and the end.
        state = read_state(cursor, owner_id, job_id)
        if state is not None and state.is_terminal:
            files[:] = delete_rows(cursor, owner_id, job_id)
        return state

    state = await writer.request(statements, job_id=job_id)
    if state is None:
        raise JobNotFound(UNKNOWN)
    if not state.is_terminal:
        raise InvalidTransition(
            f"Cannot delete job: status is '{state.status}', it must have ended"
        )
    await asyncio.to_thread(delete_files, files)
