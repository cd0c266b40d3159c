"""Who is alive, and what becomes of the jobs of those who are not.

A thread of its own, with its own connection: a busy engine does not delay a heartbeat.
Only the database's clock decides. In every process one thread does, in turn: renew the
heartbeat, end cancels that nobody obeyed, settle the jobs of lost workers, ring again
for jobs that nobody claimed. What may take long is done beside it, by ``Upkeep``.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from jobs import dispatch, settlement
from jobs.executor import CANCELLED_BY_USER, describe_loss
from jobs.log_writer import writer
from jobs.models import Command, Job, Status, Worker
from jobs.querysets import IS_LIVE
from jobs.settlement import Ending
from jobs.upkeep import Upkeep

if TYPE_CHECKING:
    from jobs.engine_host import EngineHost

logger = logging.getLogger(__name__)

TICK_S = 0.5
REGISTER_S = 5.0
RENEW_S = 3.0
VALID_S = 10.0
REAP_S = 2.0
SWEEP_S = 10.0
RING_AGAIN_S = 15.0
OBEY_S = 3.5
MAX_ATTEMPTS = 3
SLOW_LOOP_S = 1.0
STUCK_LOOP_S = 30.0
FORGET_WORKER_S = 3600.0
STUCK_EXIT_CODE = 70
REAPER_LOCK = 0x6E6F6465  # any number that nobody else locks
_ANY_LIVE = f"SELECT 1 FROM jobs_job WHERE {IS_LIVE} LIMIT 1"  # noqa: S608


class Liveness(threading.Thread):
    """The thread. ``host`` is None in a process that only serves.

    ``replace_host`` gives a server a new engine when the loop of the old one is stuck:
    a server does not end for that, as a worker does.
    """

    def __init__(
        self,
        worker_id: str,
        kind: str,
        host: EngineHost | None,
        replace_host: Callable[[], EngineHost] | None = None,
    ) -> None:
        super().__init__(name="liveness", daemon=True)
        self._replace_host = replace_host
        self._worker_id = worker_id
        self._kind = kind
        self._host = host
        self._stopping = threading.Event()
        self._upkeep = Upkeep()
        self._is_registered = threading.Event()
        self._due: dict[str, float] = {}
        self._slow_since = 0.0
        # The others get one whole validity to renew before anybody is taken for dead:
        # also after an outage of the database, when nobody could.
        self._reap_from = time.monotonic() + VALID_S

    def start(self) -> None:
        """Register, then go on in the background; returns when the row is there."""
        super().start()
        if self._may_settle():
            self._upkeep.start()
        self._is_registered.wait(REGISTER_S)

    def stop(self) -> None:
        """Stop, and be gone at once for the others."""
        self._stopping.set()
        self._upkeep.stop()
        self.join(TICK_S * 4)

    def run(self) -> None:
        """Tick until stopped."""
        self._safely(self._register)
        self._is_registered.set()
        self._due["renew"] = time.monotonic() + RENEW_S
        while not self._stopping.wait(TICK_S):
            self._safely(self._tick)
        self._safely(Worker.objects.filter(pk=self._worker_id).delete)
        connection.close()

    def _safely(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except DatabaseError as error:
            connection.close()
            self._reap_from = time.monotonic() + VALID_S
            logger.warning("the heartbeat could not be written: %s", error)
        except Exception:
            logger.exception("the liveness thread failed; it goes on")

    def _tick(self) -> None:
        self._watch_loop()
        self._every("renew", RENEW_S, self._renew)
        if not self._may_settle():
            return
        if not self._is_any_live():
            return
        self._every("cancels", TICK_S, self._end_ignored_cancels)
        if time.monotonic() >= self._reap_from:
            self._every("reap", REAP_S, self._reap)
        self._every("sweep", SWEEP_S, self._sweep)

    def _every(self, name: str, period_s: float, action: Callable[[], None]) -> None:
        now = time.monotonic()
        if now >= self._due.get(name, 0.0):
            self._due[name] = now + period_s
            action()

    def _may_settle(self) -> bool:
        # A command on SQLite comes and goes; the server settles.
        return self._kind != "cli"

    # --- this process

    def _renew(self) -> None:
        renewed = Worker.objects.filter(pk=self._worker_id).update(heartbeat_at=Now())
        if not renewed:
            self._register()

    def _register(self) -> None:
        Worker.objects.create(
            id=self._worker_id,
            kind=self._kind,
            host=socket.gethostname()[:255],
            pid=os.getpid(),
            started_at=Now(),
            heartbeat_at=Now(),
        )

    def _watch_loop(self) -> None:
        """Name a slow loop's nodes; give up on one that is stuck."""
        if self._host is None:
            return
        silent_s = time.monotonic() - self._host.last_tick
        if silent_s < SLOW_LOOP_S:
            self._slow_since = 0.0
            return
        if not self._slow_since:
            self._slow_since = time.monotonic()
            logger.warning(
                "the engine's loop does not answer for %.1f s; running: %s",
                silent_s,
                ", ".join(self._host.running_nodes()) or "nothing",
            )
        if silent_s >= STUCK_LOOP_S:
            self._give_up_on(self._host)

    def _give_up_on(self, stuck: EngineHost) -> None:
        """Nothing can be done with a thread that does not return but leave it."""
        if self._replace_host is None:
            logger.error("the engine is stuck: this process ends, its jobs are settled")
            os._exit(STUCK_EXIT_CODE)
        held = stuck.held_jobs
        self._host = self._replace_host()
        self._slow_since = 0.0
        logger.error("the engine was stuck and is replaced; it held %d jobs", len(held))
        for job in Job.objects.filter(pk__in=held[:500], status=Status.RUNNING):
            running = [tuple(node) for node in msgspec.json.decode(job.running_nodes)]
            error = describe_loss("The engine did not answer for 30 s", running)
            settlement.end_job_from_thread(
                Ending(job.pk, Status.FAILED, error=error, node_error="Engine stuck")
            )

    # --- everybody's jobs

    def _is_any_live(self) -> bool:
        """Whether there is anything to look after: an idle server costs one look-up."""
        with connection.cursor() as cursor:
            cursor.execute(_ANY_LIVE)
            return cursor.fetchone() is not None

    def _end_ignored_cancels(self) -> None:
        overdue = Job.objects.live().filter(
            commands__kind=Command.Kind.CANCEL,
            commands__created_at__lt=Now() - timedelta(seconds=OBEY_S),
        )
        for job_id in overdue.values_list("pk", flat=True).distinct()[:100]:
            logger.warning("job %s did not obey a cancel: it is ended", job_id)
            settlement.end_job_from_thread(
                Ending(job_id, Status.CANCELLED, message=CANCELLED_BY_USER)
            )

    def _reap(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (REAPER_LOCK,))
                if not cursor.fetchone()[0]:
                    return
            lost = list(self._lost_jobs())
        for job in lost:
            self._settle_lost(job)
        Worker.objects.filter(
            heartbeat_at__lt=Now() - timedelta(seconds=FORGET_WORKER_S)
        ).delete()

    def _lost_jobs(self) -> Any:
        alive = Worker.objects.filter(
            heartbeat_at__gt=Now() - timedelta(seconds=VALID_S)
        ).values("pk")
        # A paused job stays paused without a worker, until somebody wants it to go on.
        wanted_again = Q(
            status=Status.PAUSED,
            commands__kind=Command.Kind.RESUME,
            commands__id__gt=F("commands_taken"),
        )
        return (
            Job.objects.live()
            .filter(Q(status=Status.RUNNING) | wanted_again)
            .exclude(worker_id__in=alive)
            .only("pk", "attempt", "has_started_nodes", "running_nodes", "status")
            .distinct()[:500]
        )

    def _settle_lost(self, job: Job) -> None:
        attempt = job.attempt
        if not job.has_started_nodes and attempt < MAX_ATTEMPTS:
            logger.warning("job %s lost its worker before it began", job.pk)
            if writer.call(
                lambda cursor: settlement.reschedule(cursor, job.pk, attempt),
                job_id=job.pk,
            ):
                self._offer(job.pk)
            return
        allowed = 1 if job.has_started_nodes else MAX_ATTEMPTS
        running = [tuple(node) for node in msgspec.json.decode(job.running_nodes)]
        reason = (
            describe_loss("Worker lost", running)
            if job.has_started_nodes
            else "Worker lost before a node started"
        )
        error = f"{reason} (attempt {min(attempt, allowed)} of {allowed})"
        logger.warning("job %s: %s", job.pk, error)
        settlement.end_job_from_thread(
            Ending(
                job.pk,
                Status.FAILED,
                error=error,
                node_error="Worker lost",
                attempt=attempt,
            )
        )

    def _sweep(self) -> None:
        waiting = Job.objects.live().filter(status=Status.SCHEDULED)
        if dispatch.is_remote():
            waiting = waiting.filter(
                created_at__lt=Now() - timedelta(seconds=RING_AGAIN_S)
            ).exclude(rung_at__gt=Now() - timedelta(seconds=RING_AGAIN_S))
        for job_id in list(waiting.values_list("pk", flat=True)[:100]):
            if dispatch.is_remote():
                Job.objects.filter(pk=job_id).update(rung_at=Now())
            self._offer(job_id)

    def _offer(self, job_id: str) -> None:
        if dispatch.is_remote():
            dispatch.ring(job_id)
        elif self._host is not None:
            self._host.claim_waiting()
