"""What a blocking run answers, for each way it can turn out."""

from __future__ import annotations

from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpResponse

from jobs.api.documents import Json, folded_outputs
from jobs.models import Status
from jobs.requests import JobRequest
from nodetool_site.lib.api import json_response
from nodetool_site.lib.errors import RETRYABLE, error_code
from nodetool_site.lib.surfaces import is_on

# Names of an answer's own members. An output that is called like one of them appears
# inside ``outputs`` only.
RESERVED = frozenset(
    {
        "job_id",
        "workflow_id",
        "status",
        "outputs",
        "error",
        "duration",
        "usage",
        "results",
        "output",
        "detail",
        "code",
        "retryable",
    }
)
FAILED = "The run failed"
CANCELLED = "The run was cancelled"


class Outcome(msgspec.Struct):
    """The event that ends or holds a run; its values stay JSON texts."""

    status: str
    result: dict[str, msgspec.Raw] | None = None
    message: str | None = None
    error: str | None = None
    duration: float | None = None
    usage: dict[str, int] | None = None
    run_state: Json | None = None


decode_outcome = msgspec.json.Decoder(Outcome).decode


def completed(
    job: JobRequest, outcome: Outcome, *, with_results: bool = False
) -> HttpResponse:
    """Answer with the outputs, together and by name."""
    outputs = folded_outputs(outcome.result or {})
    body = {
        "job_id": job.job_id,
        "workflow_id": job.workflow_id,
        "status": outcome.status,
        "outputs": outputs,
        "error": None,
        "duration": outcome.duration,
        "usage": outcome.usage,
        **{name: value for name, value in outputs.items() if name not in RESERVED},
    }
    if with_results:
        body["results"] = outputs
    return json_response(body)


def not_completed(job: JobRequest, outcome: Outcome) -> HttpResponse:
    """Answer that the run failed, or was cancelled while its caller waited."""
    if outcome.status == Status.CANCELLED:
        text = outcome.error or outcome.message or CANCELLED
        return _refusal(job, 409, text, status=outcome.status, error=text)
    error = outcome.error or FAILED
    is_generic = settings.IS_PRODUCTION or not is_on("error_detail")
    detail = FAILED if is_generic else error
    return _refusal(job, 500, detail, status=outcome.status, error=error)


def timed_out(job: JobRequest, timeout_s: float) -> HttpResponse:
    """Answer that the run takes longer than its caller waits; it goes on."""
    text = f"The run goes on after {timeout_s:g} s: see /api/jobs/{job.job_id}"
    return _refusal(job, 504, text, status="running", error=text)


def suspended(job: JobRequest, outcome: Outcome, outputs: Json) -> HttpResponse:
    """Answer that the run is held until somebody resumes it."""
    return json_response(
        {
            **_ids(job),
            "status": outcome.status,
            "outputs": outputs,
            "error": None,
            "duration": outcome.duration,
            "run_state": outcome.run_state,
        },
        status=202,
    )


def accepted(job: JobRequest, status: str) -> HttpResponse:
    """Answer that the run goes on in the background."""
    return json_response(
        {**_ids(job), "status": status, "outputs": None, "error": None}, status=202
    )


def _refusal(job: JobRequest, code: int, detail: str, **members: Any) -> HttpResponse:
    return json_response(
        {
            "detail": detail,
            "code": error_code(code),
            "retryable": code in RETRYABLE,
            **_ids(job),
            **members,
            "outputs": {},
        },
        status=code,
    )


def _ids(job: JobRequest) -> Json:
    return {"job_id": job.job_id, "workflow_id": job.workflow_id}
