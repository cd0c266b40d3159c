"""The commands of ``/ws`` that concern jobs: parse, call one service, reply."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from jobs import services
from jobs.api.documents import status_event
from jobs.errors import InvalidJobRequest
from jobs.models import Job
from jobs.requests import check_job_id, parse_job_request
from jobs.run_state import wire_status
from jobs.services import JobState
from jobs.sessions import CommandError, Handler, Message, Session
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import ApplicationError, TooManyRequests
from workflows.engine.events import JobUpdate
from workflows.errors import WorkflowNotFound

GONE = "Job not found: it may have finished long ago or never existed."


async def run_job(session: Session, data: Message) -> Message | None:
    """Create a job, or find the one of the same request, and follow it."""
    request = parse_job_request(data)
    ids = {"job_id": request.job_id, "workflow_id": request.workflow_id}
    is_new_here = session.follow(request.job_id, is_new=True)
    try:
        state = await services.create_job(session.user_id, request)
    except WorkflowNotFound:
        session.unfollow(request.job_id)
        _refuse(session, data, ids, f"Workflow {request.workflow_id} not found")
        return None
    except TooManyRequests as error:
        if is_new_here:
            session.unfollow(request.job_id)
        existing = await services.get_state(session.user_id, request.job_id)
        if existing is not None:  # it has not failed: only this request has
            raise CommandError(error.message, **ids) from error
        _refuse(session, data, ids, error.message)
        return None
    except BaseException as error:
        if is_new_here:
            session.unfollow(request.job_id)
        if isinstance(error, ApplicationError) and not isinstance(
            error, InvalidJobRequest
        ):
            raise CommandError(error.message, job_id=request.job_id) from error
        raise
    if not state.is_new and is_new_here:
        session.look_again(request.job_id)
    return {"message": "Job started", **ids}


async def cancel_job(session: Session, data: Message) -> Message:
    """Ask for the end of a job."""
    job_id, ids = _job_ids(data)
    session.hold(job_id)
    state = await _call(services.cancel_job(session.user_id, job_id), ids)
    return {"message": "Job cancellation requested", **_ids_of(state)}


async def pause_job(session: Session, data: Message) -> Message:
    """Stop handing out work."""
    job_id, ids = _job_ids(data)
    session.hold(job_id)
    state = await _call(services.pause_job(session.user_id, job_id), ids)
    paused = len(msgspec.json.decode(state.running_nodes))
    return {
        "message": "Job paused successfully",
        **_ids_of(state),
        "paused_nodes": paused,
    }


async def resume_job(session: Session, data: Message) -> Message | None:
    """Let a paused job go on; what cannot is said in a message after the reply."""
    job_id, ids = _job_ids(data)
    session.hold(job_id)
    reply = {"message": f"Resumption initiated for job {job_id}", **ids}
    try:
        state = await services.resume_job(session.user_id, job_id)
    except ApplicationError as error:
        text = f"Failed to resume job {job_id}: {error.message}"
        session.send({**reply, **_request_id(data)})
        session.send({"type": "error", "message": text, "error": text, **ids})
        return None
    reply |= _ids_of(state)
    if state.status != "running":
        return reply
    session.send({**reply, **_request_id(data)})
    session.send(_status_message(state))
    return None


async def reconnect_job(session: Session, data: Message) -> Message | None:
    """Say where the job stands, replay what is asked for, follow the rest."""
    job_id, ids = _job_ids(data)
    last_seq = data.get("last_seq", 0)
    if not isinstance(last_seq, int) or isinstance(last_seq, bool) or last_seq < 0:
        raise InvalidJobRequest("last_seq must be a whole number, 0 or more")
    reply = {"message": f"Reconnecting to job {job_id}", **ids}
    state = await services.get_state(session.user_id, job_id)
    if state is None:
        session.send({**reply, **_request_id(data)})
        session.send(_failed(ids, GONE))
        return None
    session.send({**reply, **_ids_of(state), **_request_id(data)})
    if not state.is_terminal:
        session.send(_status_message(state))
    if not state.is_terminal or last_seq < state.last_seq:
        session.follow(job_id, after=last_seq)
    return None


async def stream_input(session: Session, data: Message) -> Message:
    """Give one item to a running input."""
    job_id, name, handle, ids = await _input_target(session, data)
    state = await _call(
        services.send_input(session.user_id, job_id, name, data.get("value"), handle),
        ids,
    )
    return {"message": "Input item streamed", **_ids_of(state)}


async def end_input_stream(session: Session, data: Message) -> Message:
    """End a running input."""
    job_id, name, handle, ids = await _input_target(session, data)
    state = await _call(services.end_input(session.user_id, job_id, name, handle), ids)
    return {"message": "Input stream ended", **_ids_of(state)}


async def get_status(session: Session, data: Message) -> Message:
    """Tell where one job stands, or which are live."""
    if data.get("job_id"):
        job_id, _ = _job_ids(data)
        state = await services.get_state(session.user_id, job_id)
        if state is None:
            return {"status": "not_found", "job_id": job_id}
        return {"status": wire_status(state.status), **_ids_of(state)}
    live = Job.objects.filter(owner_id=session.user_id).live()
    jobs = await db(live.states)
    return {
        "active_jobs": [
            {"job_id": pk, "workflow_id": workflow_id, "status": wire_status(status)}
            for pk, workflow_id, status in jobs
        ]
    }


async def set_mode(session: Session, data: Message) -> Message:
    """Pin the encoding of what is sent."""
    mode = data.get("mode")
    if mode not in ("text", "binary"):
        raise CommandError("mode must be binary or text")
    session.pin(mode)
    return {"message": f"Mode set to {mode}"}


async def ping(session: Session, data: Message) -> Message:
    """Answer; also while jobs run."""
    del session, data
    return {"type": "pong", "ts": time.time()}


COMMANDS: dict[str, Handler] = {
    "run_job": run_job,
    "cancel_job": cancel_job,
    "pause_job": pause_job,
    "resume_job": resume_job,
    "reconnect_job": reconnect_job,
    "stream_input": stream_input,
    "end_input_stream": end_input_stream,
    "get_status": get_status,
    "set_mode": set_mode,
    "ping": ping,
}


def _job_ids(data: Message) -> tuple[str, Message]:
    workflow_id = data.get("workflow_id") or ""
    if not isinstance(workflow_id, str):
        raise InvalidJobRequest("workflow_id must be a string")
    job_id = check_job_id(data.get("job_id"))
    if not job_id:
        raise CommandError("job_id is required", workflow_id=workflow_id)
    return job_id, {"job_id": job_id, "workflow_id": workflow_id}


async def _call(work: Any, ids: Message) -> JobState:
    try:
        state: JobState = await work
    except ApplicationError as error:
        raise CommandError(error.message, **ids) from error
    return state


async def _input_target(
    session: Session, data: Message
) -> tuple[str, str, str | None, Message]:
    name, handle = data.get("input"), data.get("handle")
    if not isinstance(name, str) or not name.strip():
        raise CommandError("Invalid input name")
    if handle is not None and not isinstance(handle, str):
        raise InvalidJobRequest("handle must be a string")
    if data.get("job_id"):
        job_id, ids = _job_ids(data)
        return job_id, name, handle, ids
    live = session.followed
    if not live:
        raise CommandError("No active job/context")
    if len(live) > 1:
        raise CommandError(
            "job_id is required: several jobs are running on this connection"
        )
    return live[0], name, handle, {"job_id": live[0], "workflow_id": ""}


def _ids_of(state: JobState) -> Message:
    return {"job_id": state.job_id, "workflow_id": state.workflow_id}


def _request_id(data: Message) -> Message:
    request_id = data.get("_request_id")
    return {"request_id": request_id} if request_id else {}


def _refuse(session: Session, data: Message, ids: Message, error: str) -> None:
    """Tell of a run that never was: watchers wait for a job's end, not for replies."""
    session.send({"message": "Job started", **ids, **_request_id(data)})
    session.send(_failed(ids, error))


def _failed(ids: Message, error: str) -> Message:
    update = JobUpdate(status="failed", error=error)
    return {"type": "job_update", **ids, **msgspec.structs.asdict(update)}


def _status_message(state: JobState) -> Message:
    message: Message = msgspec.json.decode(status_event(state))
    return message
