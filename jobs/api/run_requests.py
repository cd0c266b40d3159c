"""The request that runs a workflow: body, query and ``Accept``, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from jobs.errors import InvalidJobRequest
from jobs.requests import JobRequest, parse_job_request

EVENT_STREAM = "text/event-stream"
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
# Of a run's body; everything else in it counts for nothing.
_JOB_FIELDS = ("job_id", "params", "graph")


@dataclass(slots=True, frozen=True)
class RunOptions:
    """What to run, and how the caller wants to hear of it.

    ``timeout_s`` is how long a blocking caller waits; None: to the end.
    """

    job: JobRequest
    wants_stream: bool
    is_background: bool
    timeout_s: float | None


def read_run(
    body: Mapping[str, Any],
    workflow_id: str,
    *,
    query: Mapping[str, str],
    accept: str = "",
    may_be_params: bool = False,
) -> RunOptions:
    """Read the request of a run.

    ``may_be_params``: a body without ``params`` is itself the params, as clients of old
    send them; only a flag ``stream`` still counts.

    Raises:
        InvalidJobRequest: a field has the wrong type; the message names it.
    """
    if may_be_params and "params" not in body:
        body = _as_params(body)
    wanted = _asked_stream(body, query)
    if wanted is None:
        wanted = EVENT_STREAM in accept and "application/json" not in accept
    fields = {name: body.get(name) for name in _JOB_FIELDS}
    return RunOptions(
        job=parse_job_request({**fields, "workflow_id": workflow_id}),
        wants_stream=wanted,
        is_background=_flag_of(body, "background"),
        timeout_s=_timeout(body.get("timeout")),
    )


def read_flag(query: Mapping[str, str], name: str) -> bool | None:
    """A flag of a query; None if it is absent.

    Raises:
        InvalidJobRequest: it is not one of true, false, 1, 0.
    """
    text = query.get(name)
    if text is None:
        return None
    if text.lower() not in _FLAGS:
        raise InvalidJobRequest(f"{name} must be true or false")
    return _FLAGS[text.lower()]


def _as_params(body: Mapping[str, Any]) -> dict[str, Any]:
    params = dict(body)
    is_flag = isinstance(params.get("stream"), bool)
    return {"stream": params.pop("stream") if is_flag else None, "params": params}


def _asked_stream(body: Mapping[str, Any], query: Mapping[str, str]) -> bool | None:
    """What query and body say of ``stream``; None if neither does."""
    asked = [read_flag(query, "stream")]
    if body.get("stream") is not None:
        asked.append(_flag_of(body, "stream"))
    said = [flag for flag in asked if flag is not None]
    return any(said) if said else None


def _flag_of(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidJobRequest(f"{name} must be true or false")
    return value


def _timeout(value: Any) -> float | None:
    limit: int = settings.NODETOOL_RUN_TIMEOUT
    if value is None:
        return limit or None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise InvalidJobRequest("timeout must be a number of seconds above 0")
    return min(value, limit) if limit else value
