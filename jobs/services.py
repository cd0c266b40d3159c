"""All writes to jobs from outside a run; every surface calls these.

They are coroutines of any loop. A job that is not the caller's does not exist.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from jobs import (
    broadcast,
    commands,
    dispatch,
    endings,
    feed,
    inputs,
    process,
    settlement,
)
from jobs.claims import Claim, first_batches
from jobs.creation import Caps, NewJob, insert_job, is_over_caps
from jobs.errors import (
    InvalidInput,
    InvalidTransition,
    JobIdTaken,
    JobNotFound,
    TooManyJobs,
)
from jobs.executor import CANCELLED_BY_USER
from jobs.log_writer import Deliveries, writer
from jobs.models import TERMINAL, Command, Status
from jobs.requests import JobRequest
from jobs.settlement import Ending
from jobs.statements import ClaimedJob
from nodetool_site.lib import rate_limits
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import ApplicationError, Unavailable
from workflows.engine.events import encode_value
from workflows.errors import WorkflowNotFound
from workflows.node_policy import check_brought_graph

MAX_WAITING_INPUTS = 1000
APPLIED_S = 1.5
NOT_FOUND_OR_COMPLETED = "Job not found or already completed"

_EXISTING = (
    "SELECT owner_id, payload_hash, workflow_id, status, last_seq FROM jobs_job"
    " WHERE id = %s"
)
_STATE = (
    "SELECT workflow_id, status, last_seq, running_nodes FROM jobs_job"
    " WHERE id = %s AND owner_id = %s"
)
_HAS_CANCEL = "SELECT 1 FROM jobs_command WHERE job_id = %s AND kind = 'cancel'"


@dataclass(slots=True, frozen=True)
class JobState:
    """Where a job stands. ``is_new``: it was created by this very call."""

    job_id: str
    workflow_id: str
    status: str
    last_seq: int
    is_new: bool = False
    running_nodes: str = "[]"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended for good."""
        return self.status in TERMINAL


async def create_job(
    owner_id: str, request: JobRequest, *, must_start: bool = False
) -> JobState:
    """Store a run and see that it starts; the same request again finds the same job.

    ``must_start``: the caller waits for the run, so a broker that is down is an error
    and the job is cancelled; else it starts when the broker is back.

    Raises:
        WorkflowNotFound: no workflow of that id that the caller may run.
        JobIdTaken: the id was used with another payload, or by another user.
        NodesNotAllowed: the request's own graph has a node that the mode leaves out.
        TooManyJobs: the caller has as many live or waiting jobs as they may.
        TooManyRequests: the caller starts too many runs a minute.
        Unavailable: the database, or with ``must_start`` the broker, does not answer.
    """
    await rate_limits.check_run(owner_id)
    check_brought_graph(request.graph)
    host = process.host()
    is_reserved = host is not None and host.try_reserve()
    new = NewJob(
        id=request.job_id,
        owner_id=owner_id,
        workflow_id=request.workflow_id,
        graph=None if request.graph is None else encode_value(request.graph).decode(),
        params=encode_value(request.params).decode(),
        payload_hash=request.payload_hash,
        job_type=request.job_type,
        execution_strategy=request.execution_strategy,
        created_at=timezone.now(),
        worker_id=host.worker_id if host is not None and is_reserved else "",
        caps=_caps(),
    )

    def release() -> None:
        if host is not None and is_reserved:
            host.release()

    def on_commit(answer: _Created, deliveries: Deliveries) -> None:
        if answer.claim is not None and host is not None:
            for batch in answer.claim.batches:
                feed.announce(batch, deliveries)
            host.begin(answer.claim.job, deliveries)
            return
        release()
        if answer.state is not None and answer.state.is_new:
            _offer(request.job_id, must_start=must_start)

    answer = await writer.request(
        lambda cursor: _create(cursor, new), on_commit, release, creator=owner_id
    )
    state = answer.found(request.workflow_id)
    if must_start and state.is_new and dispatch.is_remote():
        await _ring_or_cancel(request.job_id)
    return state


async def cancel_job(owner_id: str, job_id: str) -> JobState:
    """Ask for the end of a job; one that nobody has claimed ends at once.

    Raises:
        JobNotFound: unknown, ended, or cancelled before.
    """

    def statements(cursor: Any) -> tuple[JobState | None, settlement.Settled]:
        state = read_state(cursor, owner_id, job_id)
        if state is None or state.is_terminal:
            return None, settlement.Settled([])
        unclaimed = Ending(
            job_id,
            Status.CANCELLED,
            message=CANCELLED_BY_USER,
            only_from=(Status.SCHEDULED,),
        )
        settled = settlement.end(cursor, unclaimed)
        if not settled:
            cursor.execute(_HAS_CANCEL, (job_id,))
            if cursor.fetchone():
                return None, settled
            commands.insert(cursor, job_id, Command.Kind.CANCEL, {})
        return state, settled

    def on_commit(answer: Any, deliveries: Deliveries) -> None:
        state, settled = answer
        settlement.announce(settled, deliveries)
        if state is not None and not settled:
            _announce_command(job_id, deliveries)

    state, settled = await writer.request(statements, on_commit, job_id=job_id)
    if settled:
        await endings.tell(settled.job_type, job_id)
    if state is None:
        raise JobNotFound(NOT_FOUND_OR_COMPLETED)
    return state


async def pause_job(owner_id: str, job_id: str) -> JobState:
    """Stop handing out work in a running job; returns once the holder has.

    Raises:
        JobNotFound: no such job.
        InvalidTransition: the job is not running; the message is the wire's.
    """
    state = await get_state(owner_id, job_id)
    if state is None:
        raise JobNotFound("Job not found")
    if state.status != Status.RUNNING:
        raise InvalidTransition(
            f"Cannot pause job: status is '{state.status}', must be 'running'"
        )
    await _send(job_id, Command.Kind.PAUSE, {})
    await _applied(owner_id, state, Status.PAUSED)
    return state


async def resume_job(owner_id: str, job_id: str) -> JobState:
    """Let a paused job go on; returns once the holder does. A running one just runs.

    Raises:
        JobNotFound: no such job.
        InvalidTransition: the job has ended or was not claimed yet.
    """
    state = await get_state(owner_id, job_id)
    if state is None:
        raise JobNotFound("Job not found")
    if state.status == Status.RUNNING:
        return state
    if state.status != Status.PAUSED:
        raise InvalidTransition(f"status is '{state.status}', must be 'paused'")
    await _send(job_id, Command.Kind.RESUME, {})
    await _applied(owner_id, state, Status.RUNNING)
    return state


async def send_input(
    owner_id: str, job_id: str, name: str, value: Any, handle: str | None = None
) -> JobState:
    """Give one item to an input of a running job.

    Raises:
        JobNotFound: no such job, or it has ended.
        InvalidInput: unknown input or handle, ended stream, or 1,000 items waiting.
    """
    return await _send_input(
        owner_id, job_id, Command.Kind.INPUT, name, handle, {"value": value}
    )


async def end_input(
    owner_id: str, job_id: str, name: str, handle: str | None = None
) -> JobState:
    """End an input's stream; harmless when it has ended. Raises as ``send_input``."""
    return await _send_input(owner_id, job_id, Command.Kind.END_INPUT, name, handle, {})


async def answer_question(
    owner_id: str, job_id: str, question: str, answer: Any
) -> JobState:
    """Give a running job what one of its nodes has asked of the client.

    An answer that nobody waits for is ignored by the run.

    Raises:
        JobNotFound: no such job, or it has ended.
    """

    def statements(cursor: Any) -> JobState | ApplicationError:
        state = read_state(cursor, owner_id, job_id)
        if state is None or state.is_terminal:
            return JobNotFound(NOT_FOUND_OR_COMPLETED)
        payload = {"question": question, "answer": answer}
        commands.insert(cursor, job_id, Command.Kind.ANSWER, payload)
        return state

    return await _told(job_id, statements)


async def get_state(owner_id: str, job_id: str) -> JobState | None:
    """Where the job stands; None if the caller has no such job."""
    return await db(_get_state, owner_id, job_id)


async def wait_for_end(
    owner_id: str, state: JobState, timeout_s: float
) -> JobState | None:
    """Wait until the job has ended; its state then, or None if it has not."""
    reader = feed.open_reader(state.job_id, owner_id=owner_id, after=state.last_seq)
    try:
        async with asyncio.timeout(timeout_s):
            async for _ in reader.pages():
                pass
    except TimeoutError:
        return None
    finally:
        reader.close()
    return await get_state(owner_id, state.job_id)


# --- creating


@dataclass(slots=True, frozen=True)
class _Created:
    state: JobState | None
    claim: Claim | None = None
    is_taken: bool = False
    is_refused: bool = False

    def found(self, workflow_id: str) -> JobState:
        """The job. Raises as ``create_job`` where there is none."""
        if self.state is not None:
            return self.state
        if self.is_taken:
            raise JobIdTaken("job_id already used")
        if self.is_refused:
            raise TooManyJobs
        raise WorkflowNotFound(workflow_id)


def _caps() -> Caps:
    live = settings.MAX_RUNNING_JOBS_PER_USER if rate_limits.users_differ() else 0
    return Caps(live=live, waiting=settings.MAX_QUEUED_JOBS_PER_USER)


def _create(cursor: Any, new: NewJob) -> _Created:
    row = insert_job(cursor, new)
    if row is None:
        return _existing(cursor, new)
    name, graph = row
    if not new.worker_id:
        return _Created(JobState(new.id, new.workflow_id, "scheduled", 0, is_new=True))
    job = ClaimedJob(
        id=new.id,
        owner_id=new.owner_id,
        workflow_id=new.workflow_id,
        name=name,
        graph=graph,
        params=new.params,
        attempt=1,
        last_seq=1,
        started_at=new.created_at,
        execution_strategy=new.execution_strategy,
        waited=False,
        job_type=new.job_type,
    )
    claim = Claim(job, first_batches(job, cursor))
    state = JobState(new.id, new.workflow_id, Status.RUNNING, 1, is_new=True)
    return _Created(state, claim)


def _existing(cursor: Any, new: NewJob) -> _Created:
    cursor.execute(_EXISTING, (new.id,))
    row = cursor.fetchone()
    if row is None:
        return _Created(None, is_refused=is_over_caps(new))
    owner_id, payload_hash, workflow_id, status, last_seq = row
    if owner_id != new.owner_id or payload_hash != new.payload_hash:
        return _Created(None, is_taken=True)
    return _Created(JobState(new.id, workflow_id, status, last_seq))


def _offer(job_id: str, *, must_start: bool) -> None:
    if dispatch.is_remote():
        if not must_start:
            dispatch.ring(job_id)
    elif (host := process.current_host()) is not None:
        host.claim_waiting()


async def _ring_or_cancel(job_id: str) -> None:
    try:
        await dispatch.ring_or_fail(job_id)
    except Unavailable:
        message = "Cancelled: the message broker does not answer"
        await settlement.end_job(
            Ending(
                job_id,
                Status.CANCELLED,
                message=message,
                only_from=(Status.SCHEDULED,),
            )
        )
        raise


# --- commands


def read_state(cursor: Any, owner_id: str, job_id: str) -> JobState | None:
    """``get_state`` with a cursor at hand."""
    cursor.execute(_STATE, (job_id, owner_id))
    row = cursor.fetchone()
    if row is None:
        return None
    workflow_id, status, last_seq, running_nodes = row
    return JobState(job_id, workflow_id, status, last_seq, running_nodes=running_nodes)


def _get_state(owner_id: str, job_id: str) -> JobState | None:
    with connection.cursor() as cursor:
        return read_state(cursor, owner_id, job_id)


async def _send(job_id: str, kind: str, payload: dict[str, Any]) -> None:
    await writer.request(
        lambda cursor: commands.insert(cursor, job_id, kind, payload),
        lambda _, deliveries: _announce_command(job_id, deliveries),
        job_id=job_id,
    )


def _announce_command(job_id: str, deliveries: Deliveries) -> None:
    host = process.current_host()
    if host is not None:
        # A delivery: the job may begin with this very commit, and does so before.
        deliveries.reply(host.loop, partial(host.wake_commands, job_id))
    broadcast.publish_command(job_id)


def _announce_accepted(
    job_id: str, answer: JobState | ApplicationError, deliveries: Deliveries
) -> None:
    # What is refused wakes nobody: a stranger could tell that there is a job.
    if not isinstance(answer, ApplicationError):
        _announce_command(job_id, deliveries)


async def _applied(owner_id: str, before: JobState, wanted: str) -> None:
    """Wait until the holder has acted: the log has moved and the status is there."""
    reader = feed.open_reader(before.job_id, owner_id=owner_id, after=before.last_seq)
    try:
        async with asyncio.timeout(APPLIED_S):
            async for _ in reader.pages():
                state = await get_state(owner_id, before.job_id)
                if state is None or state.status == wanted or state.is_terminal:
                    return
    except TimeoutError:
        return
    finally:
        reader.close()


async def _send_input(
    owner_id: str,
    job_id: str,
    kind: str,
    name: str,
    handle: str | None,
    extra: dict[str, Any],
) -> JobState:
    # A refusal is an answer here, not an exception: one in a group commit would make
    # every operation of the group run again by itself.
    def statements(cursor: Any) -> JobState | ApplicationError:
        state = read_state(cursor, owner_id, job_id)
        if state is None or state.is_terminal:
            return JobNotFound(NOT_FOUND_OR_COMPLETED)
        target = inputs.find(cursor, job_id, name, handle)
        if target is None:
            return InvalidInput(f"Input '{name}' not found")
        payload = {"input": name, "handle": target}
        has_ended = payload in commands.ended_inputs(cursor, job_id)
        if kind == Command.Kind.INPUT:
            if has_ended:
                return InvalidInput("Input stream already ended")
            if commands.waiting_inputs(cursor, job_id) >= MAX_WAITING_INPUTS:
                return InvalidInput("Input queue full")
        if not has_ended:
            commands.insert(cursor, job_id, kind, {**payload, **extra})
        return state

    return await _told(job_id, statements)


async def _told(
    job_id: str, statements: Callable[[Any], JobState | ApplicationError]
) -> JobState:
    """Store a command, unless it is refused, and wake the job's holder."""
    answer = await writer.request(
        statements, partial(_announce_accepted, job_id), job_id=job_id
    )
    if isinstance(answer, ApplicationError):
        raise answer
    return answer
