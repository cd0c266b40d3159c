"""The doorbell: Celery is told that a job waits. The database is the truth.

A ring may be lost or come twice; the claim makes the second harmless and the sweeper
rings again. Ringing takes milliseconds and may hang with the broker, so it has a thread
of its own and never holds up the event log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

from django.conf import settings

from nodetool_site.lib.errors import Unavailable

logger = logging.getLogger(__name__)

RING_TIMEOUT_S = 1.5
TASK_NAME = "jobs.run_job"


_loaders: list[Callable[[], object]] = []


def configure_celery_by(load: Callable[[], object]) -> None:
    """Let the project say how its Celery application is loaded."""
    _loaders.append(load)


@lru_cache(maxsize=1)
def load_celery() -> None:
    """Load the project's Celery application.

    A server does so before it has threads: some abstract classes of Celery look up
    their own names, and whoever tests an object against their bases while those are
    not bound yet, as Django does for every field, gets a NameError.
    """
    for load in _loaders:
        load()


@lru_cache(maxsize=1)
def _bell() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="doorbell")


def is_remote() -> bool:
    """Whether jobs are run by Celery workers."""
    return bool(settings.CELERY_BROKER_URL)


def ring(job_id: str) -> Future[None]:
    """Tell the workers about a job; any thread. The future says whether it went out."""
    future = _bell().submit(_send, job_id)
    future.add_done_callback(_log_failure)
    return future


async def ring_or_fail(job_id: str) -> None:
    """``ring``, for a caller who waits for the run.

    Raises:
        Unavailable: the broker did not take it in 1.5 s.
    """
    try:
        async with asyncio.timeout(RING_TIMEOUT_S):
            await asyncio.wrap_future(ring(job_id))
    except Exception as error:
        raise Unavailable("The message broker does not answer; try again.") from error


def _send(job_id: str) -> None:
    load_celery()
    # Celery costs start-up time that the embedded mode does not need.
    from celery import current_app

    current_app.send_task(TASK_NAME, args=(job_id,))


def _log_failure(future: Future[None]) -> None:
    if not future.cancelled() and future.exception() is not None:
        logger.warning("a job could not be rung for: %s", future.exception())
