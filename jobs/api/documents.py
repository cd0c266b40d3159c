"""The Job object of the API, and what it shares with the answer of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from jobs.api.reads import JobRow
from jobs.models import Status
from jobs.run_state import run_state, wire_status
from jobs.services import JobState
from nodetool_site.lib.rendering import etag_of, format_time
from workflows.engine.events import JobUpdate, encode_event
from workflows.engine.values import is_chunk

Json = dict[str, Any]

PAUSED_BY_USER = "paused by user"
_RESUMABLE = frozenset({Status.SUSPENDED, Status.PAUSED, Status.FAILED})


def job_document(job: JobRow, result: Json | None = None) -> Json:
    """The complete Job object. ``result`` is the stored one, fit for its reader."""
    params = None if job.params is None else msgspec.json.decode(job.params)
    finished = None if job.finished_at is None else format_time(job.finished_at)
    error = job.error or None
    state = _run_state(job)
    document = {
        "id": job.id,
        "user_id": job.owner_id,
        "workflow_id": job.workflow_id,
        "job_type": job.job_type,
        "status": wire_status(job.status),
        "name": job.name or None,
        "created_at": format_time(job.created_at),
        "started_at": None if job.started_at is None else format_time(job.started_at),
        "finished_at": finished,
        "completed_at": finished,
        "error": error,
        "error_message": error,
        "cost": None,
        "usage": msgspec.json.decode(job.usage) if job.usage else None,
        "suspended_node_id": state["suspended_node_id"],
        "suspension_reason": state["suspension_reason"],
        "execution_strategy": job.execution_strategy,
        "is_resumable": state["is_resumable"],
        "run_state": state,
        "params": params,
        "result": result,
        "outputs": None if result is None else folded_outputs(result),
        "progress": 1.0 if job.status == Status.COMPLETED else job.progress,
        "duration": job.duration_s,
    }
    return {**document, "etag": etag_of(document)}


def live_document(job: JobRow) -> Json:
    """The short form in which jobs that have not ended are listed."""
    return {
        "job_id": job.id,
        "status": wire_status(job.status),
        "workflow_id": job.workflow_id,
        "created_at": format_time(job.created_at),
        "is_running": job.status == Status.RUNNING,
        "is_completed": job.is_terminal,
    }


def folded_outputs(result: Mapping[str, Any]) -> Json:
    """Output name -> folded value, of a ``job_update.result``.

    An output called ``outputs`` has its list there alone, so that one is folded here.
    The values may be JSON texts that nobody has decoded.
    """
    folded = {name: value for name, value in result.items() if name != "outputs"}
    lists = result.get("outputs")
    if isinstance(lists, msgspec.Raw):
        is_named = b'"outputs":' in bytes(lists)
        lists = msgspec.json.decode(lists) if is_named else None
    if isinstance(lists, Mapping) and lists.get("outputs"):
        folded["outputs"] = fold(lists["outputs"])
    return folded


def fold(values: Any) -> Any:
    """The text that chunks make together, or the last of other values."""
    if not isinstance(values, list):
        return values
    pieces = [text_of_chunk(value) for value in values]
    if None in pieces:
        return values[-1]
    return "".join(piece for piece in pieces if piece is not None)


def text_of_chunk(value: Any) -> str | None:
    """The text of a streamed piece of text; None for every other value."""
    is_text = is_chunk(value) and value.get("content_type", "text") == "text"
    content = value.get("content") if is_text else None
    return content if isinstance(content, str) else None


def gap_event(job_id: str, workflow_id: str, next_seq: int) -> bytes:
    """What a reader gets in the place of events that retention has taken."""
    return msgspec.json.encode(
        {
            "type": "replay_incomplete",
            "job_id": job_id,
            "workflow_id": workflow_id or None,
            "next_seq": next_seq,
        }
    )


def status_event(state: JobState) -> bytes:
    """Where a live job stands, for who joins it; it has no number of its own."""
    is_scheduled = state.status == Status.SCHEDULED
    event = JobUpdate(
        status="running" if is_scheduled else wire_status(state.status),  # type: ignore[arg-type]
        run_state=run_state(state.status),
    )
    ids = {"job_id": state.job_id, "workflow_id": state.workflow_id or None}
    return _with_head(ids, event)


def terminal_event(job: JobRow) -> bytes:
    """The terminal ``job_update`` of an ended job, made of its row.

    It stands in for the stored one where retention has taken that.
    """
    event = JobUpdate(
        status=job.status,  # type: ignore[arg-type] # an ended job's is a wire status
        result=msgspec.json.decode(job.result) if job.result else None,
        error=job.error or None,
        duration=job.duration_s,
        usage=msgspec.json.decode(job.usage) if job.usage else UNSET,
    )
    head = {
        "job_id": job.id,
        "workflow_id": job.workflow_id or None,
        "ts": (job.finished_at or job.created_at).timestamp(),
        "job_seq": job.last_seq,
    }
    return _with_head(head, event)


def _with_head(head: Json, event: JobUpdate) -> bytes:
    return msgspec.json.encode(head)[:-1] + b"," + encode_event(event)[1:]


def _run_state(job: JobRow) -> Json:
    is_paused = job.status == Status.PAUSED
    state = run_state(
        job.status,
        reason=PAUSED_BY_USER if is_paused else None,
        error=job.error or None,
        strategy=job.execution_strategy,
    )
    return {**state, "is_resumable": job.status in _RESUMABLE}
