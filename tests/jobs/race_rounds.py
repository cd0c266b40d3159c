"""Rounds of everybody ending one job at once; in a process and database of its own.

Each actor writes through an event log writer of its own, with a thread and a connection
of its own, as it does in a process of its own. Every statement is preceded by a random
pause, so that the order differs from round to round.
"""

import asyncio
import json
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from jobs import event_log, feed, services, settlement
from jobs.claims import Claim, claim_job
from jobs.creation import NewJob, insert_job
from jobs.errors import JobNotFound
from jobs.event_log import Fenced, JobLog
from jobs.log_writer import LogWriter
from jobs.models import TERMINAL, EventBatch, Job, Status
from jobs.settlement import Ending
from storage.ids import new_id
from storage.models import User
from tests.end_to_end.checker import EventChecker
from tests.jobs.conftest import hold
from workflows.engine.events import JobUpdate, LogUpdate, NodeUpdate

OWNER = "racer"
MAX_PAUSE_S = 0.001
# Jobs that race side by side, so that their writes meet in group commits.
AT_ONCE = 3
TIMEOUT_S = 30
FIRST = "attempt 1 "
ENDS = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


@dataclass
class Process:
    """What stands for a process: its writer, and the pauses before its statements."""

    writer: LogWriter
    rng: random.Random

    async def start(self) -> "Process":
        await self.writer.request(
            lambda cursor: cursor.db.execute_wrappers.append(self._pause)
        )
        return self

    def _pause(self, execute: Any, *arguments: Any) -> Any:
        time.sleep(self.rng.random() * MAX_PAUSE_S)
        return execute(*arguments)

    def end(self, ending: Ending) -> bool:
        return bool(
            self.writer.call(
                lambda cursor: settlement.end(cursor, ending),
                settlement.announce,
                job_id=ending.job_id,
            )
        )

    def reschedule(self, job_id: str) -> int | None:
        """Make the first attempt's job claimable; the newest number at that moment."""

        def statements(cursor: Any) -> int | None:
            if not settlement.reschedule(cursor, job_id, 1):
                return None
            cursor.execute("SELECT last_seq FROM jobs_job WHERE id = %s", [job_id])
            return int(cursor.fetchone()[0])

        return self.writer.call(statements, job_id=job_id)


class Races:
    """The processes, and what they do to one job after the other."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.problems: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.given_away: dict[str, int] = {}
        self.threads = ThreadPoolExecutor(8 * AT_ONCE)

    async def start(self) -> None:
        make = self._process
        self.worker = await make(event_log.writer)
        self.reaper, self.canceller = await make(LogWriter()), await make(LogWriter())
        services.writer = LogWriter()
        self.web = await make(services.writer)

    async def _process(self, writer: LogWriter) -> Process:
        return await Process(writer, random.Random(self.rng.random())).start()

    async def round(self, number: int) -> None:
        """Let a job be ended by several at once, and look at what is left of it."""
        new = _new_job(claimed=number % 3 != 0)
        reader = feed.open_reader(new.id, owner_id=OWNER, is_new=True)
        if new.worker_id:
            log = await hold(new)
            actors = [self.run(log), self.kill(new.id)]
            loss = self.reap if number % 3 == 1 else self.give_away
            actors.append(loss(new.id))
        else:
            await self.web.writer.request(lambda cursor: insert_job(cursor, new))
            actors = [self.claim(new.id), self.claim(new.id), self.cancel(new.id)]
        self.rng.shuffle(actors)
        async with asyncio.timeout(TIMEOUT_S):
            claims = await asyncio.gather(*actors)
        await self._end_if_open(new.id)
        seen = await _read(reader)
        await self._in_thread(self.check, new, seen, sum(map(bool, claims)))

    # --- the actors; each begins at a moment of its own

    async def run(self, log: JobLog) -> bool:
        """The holder: some events, then an end of its own choice."""
        end, steps = self.rng.choice(ENDS), self.rng.randint(0, 3)
        error = "node 'N' failed" if end == Status.FAILED else None
        try:
            for step in range(steps):
                await self._moment()
                log.emit(_node("running"))
                log.emit(LogUpdate(content=f"attempt {log.attempt} step {step}"))
                log.emit(_node("completed"))
            await self._moment()
            log.change_status(
                end, JobUpdate(status=end.value, error=error, **_rest_of(end))
            )
            await log.stored()
        except Fenced:
            self.outcomes["holder fenced"] += 1
        return True

    async def reap(self, job_id: str) -> None:
        """Somebody who takes the worker for lost."""
        await self._moment()
        lost = Ending(job_id, Status.FAILED, error="Worker lost", attempt=1)
        await self._in_thread(self.reaper.end, lost)

    async def kill(self, job_id: str) -> None:
        """Somebody who has waited long enough for a cancel to be obeyed."""
        await self._moment()
        await self._in_thread(self.canceller.end, Ending(job_id, Status.CANCELLED))

    async def give_away(self, job_id: str) -> None:
        """Somebody who gives the job of a lost worker to the next one."""
        await self._moment()
        last_seq = await self._in_thread(self.reaper.reschedule, job_id)
        if last_seq is not None:
            self.outcomes["given away"] += 1
            self.given_away[job_id] = last_seq
            await self.claim(job_id)

    async def claim(self, job_id: str) -> bool:
        """A worker that heard the doorbell."""
        await self._moment()
        claim: Claim | None = await self.worker.writer.request(
            lambda cursor: claim_job(cursor, job_id, "next"),
            _announce_claim,
            job_id=job_id,
        )
        if claim is None:
            return False
        return await self.run(
            JobLog(
                job_id=job_id,
                workflow_id="",
                owner_id=OWNER,
                attempt=claim.job.attempt,
                last_seq=claim.job.last_seq,
                on_fenced=lambda: None,
                at_once=True,
            )
        )

    async def cancel(self, job_id: str) -> None:
        """The user."""
        await self._moment()
        try:
            await services.cancel_job(OWNER, job_id)
        except JobNotFound:
            self.outcomes["cancelled too late"] += 1

    # --- afterwards

    async def _end_if_open(self, job_id: str) -> None:
        """A cancel that reached the holder in vain leaves the job to the next look."""
        await self._in_thread(self.canceller.end, Ending(job_id, Status.CANCELLED))

    def check(self, new: NewJob, seen: list[dict[str, Any]], claims: int) -> None:
        """Compare row, stored events and what a reader saw; then try again in vain."""
        before = _row(new.id)
        stored = _stored(new.id)
        checker = EventChecker().feed_all(stored)
        problems = list(checker.problems)
        ends = [e["status"] for e in stored if e.get("status") in TERMINAL and _job(e)]
        self.outcomes[f"{before['status']} after {claims} claims"] += 1
        if ends != [before["status"]] or before["last_seq"] != len(stored):
            problems.append(f"row {before}, stored ends {ends} of {len(stored)}")
        if seen != stored:
            problems.append(f"a reader saw {len(seen)} events of {len(stored)}")
        if not new.worker_id and before["attempt"] > 2:
            problems.append(f"claimed twice: {before}")
        problems += _zombies(stored, self.given_away.get(new.id))
        again = (
            self.reaper.end(Ending(new.id, Status.FAILED, error="late")),
            self.canceller.end(Ending(new.id, Status.CANCELLED)),
            self.reaper.reschedule(new.id),
            self.worker.writer.call(lambda cursor: claim_job(cursor, new.id, "late")),
        )
        if (
            any(each not in (False, None) for each in again)
            or _row(new.id) != before
            or _stored(new.id) != stored
        ):
            problems.append(f"changed after its end: {before} -> {_row(new.id)}")
        self.problems += [f"{new.id}: {problem}" for problem in problems]
        connection.close()

    async def _moment(self) -> None:
        await asyncio.sleep(self.rng.random() * 4 * MAX_PAUSE_S)

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, function, *arguments)


def _new_job(*, claimed: bool) -> NewJob:
    return NewJob(
        id=new_id(),
        owner_id=OWNER,
        workflow_id="",
        graph='{"nodes":[],"edges":[]}',
        params="{}",
        payload_hash="",
        job_type="workflow",
        execution_strategy="threaded",
        created_at=timezone.now(),
        worker_id="first" if claimed else "",
    )


def _node(status: Any) -> NodeUpdate:
    return NodeUpdate(node_id="n", node_name="N", node_type="t", status=status)


def _rest_of(end: Status) -> dict[str, Any]:
    result = {"outputs": {}} if end == Status.COMPLETED else None
    return {"result": result, "duration": 0.1}


def _announce_claim(claim: Claim | None, deliveries: Any) -> None:
    for batch in claim.batches if claim else ():
        feed.announce(batch, deliveries)


async def _read(reader: Any) -> list[dict[str, Any]]:
    lines: list[bytes] = []
    async with asyncio.timeout(TIMEOUT_S):
        async for page in reader.pages():
            lines += page.lines
    reader.close()
    return [json.loads(line) for line in lines]


def _row(job_id: str) -> dict[str, Any]:
    fields = ("status", "last_seq", "attempt", "error", "finished_at")
    return Job.objects.filter(pk=job_id).values(*fields).get()


def _stored(job_id: str) -> list[dict[str, Any]]:
    batches = EventBatch.objects.filter(job_id=job_id).order_by("first_seq")
    lines = b"\n".join(bytes(batch.body) for batch in batches).split(b"\n")
    return [json.loads(line) for line in lines if line]


def _job(event: dict[str, Any]) -> bool:
    return event["type"] == "job_update"


def _zombies(events: list[dict[str, Any]], given_away: int | None) -> list[str]:
    """What the first attempt still said after the job was taken from it."""
    if given_away is None:
        return []
    late = [e for e in events[given_away:] if e.get("content", "").startswith(FIRST)]
    return [f"the first attempt went on behind {given_away}: {late}"] if late else []


def run(rounds: int, seed: int) -> str:
    """Race in an empty database; a report as JSON."""
    call_command("migrate", verbosity=0)
    User.objects.create(id=OWNER, username=OWNER)
    connection.close()
    return json.dumps(asyncio.run(_race(rounds, seed)))


async def _race(rounds: int, seed: int) -> dict[str, Any]:
    races = Races(seed)
    await races.start()
    for first in range(0, rounds, AT_ONCE):
        numbers = range(first, first + AT_ONCE)
        await asyncio.gather(*(races.round(number) for number in numbers))
    return {"problems": races.problems[:20], "outcomes": races.outcomes}
