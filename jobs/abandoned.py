"""Ends the jobs of clients that have left before the end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from jobs import services
from nodetool_site.lib.errors import ApplicationError

logger = logging.getLogger(__name__)

_cancelling: set[asyncio.Task[None]] = set()


def cancel_soon(
    owner_id: str, job_id: str, *, created: asyncio.Future[Any] | None = None
) -> None:
    """Cancel a job without being waited for.

    ``created``: the call that creates it, which may be under way. What it raises is
    for whoever else waits for it.
    """
    task = asyncio.get_running_loop().create_task(_cancel(owner_id, job_id, created))
    _cancelling.add(task)
    task.add_done_callback(_cancelling.discard)


async def _cancel(
    owner_id: str, job_id: str, created: asyncio.Future[Any] | None
) -> None:
    if created is not None:
        await asyncio.wait([created])
        if created.cancelled() or created.exception() is not None:
            return
    try:
        await services.cancel_job(owner_id, job_id)
    except ApplicationError as error:
        logger.info("job %s was left by its client: %s", job_id, error)
