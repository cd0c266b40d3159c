"""The engine's thread: one long-lived loop that runs this process's jobs.

In the embedded mode it lives in the server process, in scale-out in each Celery worker.
At most ``concurrency`` jobs run at once; what comes above that waits as ``scheduled``
rows, which whoever has a free place claims; a command runs its own job alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection

from jobs import broadcast, feed
from jobs.claims import Claim, claim_job
from jobs.event_log import JobLog
from jobs.executor import Attempt
from jobs.log_writer import Deliveries, writer
from jobs.ports import make_context
from jobs.statements import ClaimedJob
from nodetool_site.lib.db import db
from nodetool_site.lib.process_pool import BlockingPool
from workflows.providers.http_client import close_shared

logger = logging.getLogger(__name__)

COMMAND_POLL_S = 0.5
TICK_S = 0.25
STOP_S = 4.0
_NEW_COMMANDS = (
    "SELECT job_id, MAX(id) FROM jobs_command WHERE job_id IN ({}) GROUP BY job_id"
)


class EngineHost:
    """Runs jobs on a thread of its own. Every public method is thread-safe."""

    def __init__(
        self,
        *,
        worker_id: str,
        concurrency: int,
        at_once: bool,
        takes_waiting: bool = True,
    ) -> None:
        self.worker_id = worker_id
        self._takes_waiting = takes_waiting
        self.last_tick = time.monotonic()
        self._free = concurrency
        self._at_once = at_once
        self._lock = threading.Lock()
        self._is_ready = threading.Event()
        self._attempts: dict[str, Attempt] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._may_be_more = False
        self._is_stopping = False
        self._blocking = BlockingPool()
        self.loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread and wait until its loop runs."""
        self._thread.start()
        self._is_ready.wait()

    def abandon(self, reason: str) -> None:
        """End what runs, saying why, and claim no more."""
        self._is_stopping = True
        self._spawn_threadsafe(lambda: self._abandon(reason, STOP_S))

    def stop(self, reason: str) -> None:
        """``abandon``, then end the thread; takes a few seconds at most."""
        self._is_stopping = True
        done = asyncio.run_coroutine_threadsafe(self._stop(reason), self.loop)
        with contextlib.suppress(TimeoutError):
            done.result(STOP_S + 1)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(1)
        self._blocking.close()

    def try_reserve(self) -> bool:
        """Take a place for a job that is about to be created claimed."""
        with self._lock:
            if self._free <= 0 or self._is_stopping:
                self._may_be_more = True
                return False
            self._free -= 1
            return True

    def release(self) -> None:
        """Give a reserved place back."""
        with self._lock:
            self._free += 1

    def begin(self, job: ClaimedJob, deliveries: Deliveries) -> None:
        """Run a claimed job, whose place is reserved, once its commit is told."""
        deliveries.reply(self.loop, partial(self._begin_soon, job))

    def claim_waiting(self) -> None:
        """Look for scheduled jobs and run them while there are places."""
        if not self._takes_waiting:
            return
        self._spawn_threadsafe(self._claim_waiting)

    def wake_commands(self, job_id: str) -> None:
        """Read the new commands of a job, if it is held here."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._read_commands, job_id)

    def claim_and_run(self, job_id: str) -> None:
        """Claim one job and wait for its end; for a worker's task thread."""
        # Celery's own concurrency is the cap here, so the place is always there.
        with self._lock:
            self._free -= 1
        try:
            claim = writer.call(
                lambda cursor: claim_job(cursor, job_id, self.worker_id),
                _announce,
                job_id=job_id,
            )
        except BaseException:
            self.release()
            raise
        if claim is None:
            self.release()
            return
        asyncio.run_coroutine_threadsafe(self._run_job(claim.job), self.loop).result()

    @property
    def held_jobs(self) -> list[str]:
        """The ids of the jobs that run here."""
        return list(self._attempts)

    def running_nodes(self) -> list[str]:
        """Names of the nodes under way, for the log."""
        return [
            f"{name} of job {job_id}"
            for job_id, attempt in list(self._attempts.items())
            for _, name, _ in attempt.running_nodes
        ]

    # --- on the loop

    def _run(self) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._tick)
        if broadcast.is_remote():
            self.loop.call_soon(self._spawn, self._poll_commands())
        self.loop.call_soon(self._is_ready.set)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    def _tick(self) -> None:
        self.last_tick = time.monotonic()
        self.loop.call_later(TICK_S, self._tick)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _spawn_threadsafe(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(lambda: self._spawn(work()))

    def _begin_soon(self, job: ClaimedJob) -> None:
        self._begin(job)

    def _begin(self, job: ClaimedJob) -> asyncio.Task[Any]:
        return self._spawn(self._run_job(job))

    async def _run_job(self, job: ClaimedJob) -> None:
        attempt = Attempt(
            job,
            make_context=self._make_context,
            at_once=self._at_once,
            time_limit_s=settings.JOB_TIME_LIMIT,
        )
        self._attempts[job.id] = attempt
        try:
            await attempt.execute()
        except Exception:
            logger.exception("job %s could not be recorded", job.id)
        finally:
            self._attempts.pop(job.id, None)
            self.release()
            if self._may_be_more and not self._is_stopping:
                self.claim_waiting()

    def _make_context(self, job: ClaimedJob, log: JobLog) -> Any:
        return make_context(job, log, self._blocking)

    async def _claim_waiting(self) -> None:
        self._may_be_more = False
        while self.try_reserve():
            claim = await self._claim_oldest()
            if claim is None:
                self.release()
                return
            self._begin(claim.job)

    async def _claim_oldest(self) -> Claim | None:
        return await writer.request(
            lambda cursor: claim_job(cursor, None, self.worker_id), _announce
        )

    def _read_commands(self, job_id: str) -> None:
        attempt = self._attempts.get(job_id)
        if attempt is not None:
            self._spawn(attempt.read_commands())

    async def _poll_commands(self) -> None:
        while True:
            await asyncio.sleep(COMMAND_POLL_S)
            if self._attempts:
                try:
                    await self.look_for_commands()
                except Exception as error:  # noqa: BLE001 - the next round tries again
                    logger.warning("commands could not be read: %s", error)

    async def look_for_commands(self) -> None:
        """Read the commands of every job held here that has new ones."""
        for job_id, newest in (await db(newest_commands, self.held_jobs)).items():
            attempt = self._attempts.get(job_id)
            if attempt is not None and attempt.last_command < newest:
                self._spawn(attempt.read_commands())

    async def _abandon(self, reason: str, patience_s: float) -> None:
        attempts = list(self._attempts.values())
        for attempt in attempts:
            attempt.abandon(reason)
        tasks = [attempt.task for attempt in attempts if attempt.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=patience_s)

    async def _stop(self, reason: str) -> None:
        await self._abandon(reason, STOP_S)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await close_shared()


def _announce(claim: Claim | None, deliveries: Deliveries) -> None:
    for batch in claim.batches if claim else ():
        feed.announce(batch, deliveries)


def newest_commands(job_ids: list[str]) -> dict[str, int]:
    """The highest command number of each job that has one."""
    if not job_ids:
        return {}
    marks = ", ".join(["%s"] * len(job_ids))
    with connection.cursor() as cursor:
        cursor.execute(_NEW_COMMANDS.format(marks), job_ids)
        return dict(cursor.fetchall())
