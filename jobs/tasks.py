"""Celery's side of a worker: the task, an edge as thin as a view, and its life."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_init, worker_shutdown, worker_shutting_down
from django.conf import settings

from jobs import process
from jobs.dispatch import TASK_NAME

SHUT_DOWN = "Worker shut down"
# The event log's thread waits for the database some dozen times in a group commit, and
# each time for the interpreter after it: with Python's 5 ms a busy engine would make a
# commit ten times as long.
SWITCH_INTERVAL_S = 0.0005


@shared_task(name=TASK_NAME)
def run_job(job_id: str) -> None:
    """Claim the job and run it to its end; nothing to do if somebody else has.

    The task thread waits for the run, so that Celery's own view of what is active, and
    its warm shutdown, tell the truth.
    """
    process.start("worker").claim_and_run(job_id)


@worker_init.connect
def _start(**_: Any) -> None:
    """Be alive, and warm, before the first job comes."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    process.start("worker")


@worker_shutting_down.connect
def _drain(**_: Any) -> None:
    """Claim no more; what still runs at the end of the drain ends, saying why."""
    host = process.current_host()
    if host is not None:
        timer = threading.Timer(
            settings.WORKER_DRAIN_SECONDS, host.abandon, args=[SHUT_DOWN]
        )
        timer.daemon = True
        timer.start()


@worker_shutdown.connect
def _stop(**_: Any) -> None:
    """Sign off, so that nobody waits for this worker's heartbeat to run out."""
    asyncio.run(process.stop(SHUT_DOWN))
