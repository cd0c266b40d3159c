"""Commands to a job over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from jobs import services
from jobs.api.base import UNKNOWN, FollowingView, body_of, caller_of, known_job_id
from jobs.api.documents import Json, live_document
from jobs.api.job_views import whole_job
from jobs.api.reads import JobRow, read_job
from jobs.api.waiting import open_end_reader
from jobs.errors import (
    InvalidJobRequest,
    InvalidTransition,
    JobNotFound,
)
from jobs.models import Status
from jobs.run_state import wire_status
from jobs.services import JobState
from nodetool_site.lib.api import json_response
from nodetool_site.lib.db import db

CANCEL_WAIT_S = 5.0
CANCELLED = "cancelled"
TOO_LATE = "not_found_or_completed"


class CancelJob(FollowingView):
    """The end of a job, asked for."""

    async def post(self, request: Request, job_id: str) -> HttpResponse:
        """Cancel it and wait for its end, at most 5 s."""
        job_id, owner_id = known_job_id(job_id), caller_of(request)
        job = await _find(owner_id, job_id)
        if job.is_terminal:
            return json_response(_cancel_answer(job, TOO_LATE))
        job = await _cancel_and_wait(owner_id, job_id)
        is_late = job.is_terminal and job.status != Status.CANCELLED
        return json_response(_cancel_answer(job, TOO_LATE if is_late else CANCELLED))


class PauseJob(FollowingView):
    """A halt of a running job."""

    async def post(self, request: Request, job_id: str) -> HttpResponse:
        """Hand out no more work; answer the job as it stands then."""
        job_id = known_job_id(job_id)
        await services.pause_job(caller_of(request), job_id)
        return json_response(await whole_job(request, job_id))


class ResumeJob(FollowingView):
    """The way on of a paused job."""

    async def post(self, request: Request, job_id: str) -> HttpResponse:
        """Hand out work again; answer the job as it stands then."""
        job_id = known_job_id(job_id)
        try:
            state = await services.resume_job(caller_of(request), job_id)
        except InvalidTransition as error:
            raise InvalidTransition(f"Cannot resume job: {error}") from error
        if state.status == Status.RUNNING:
            raise InvalidTransition("Cannot resume job: it is running")
        return json_response(await whole_job(request, job_id))


class JobInput(FollowingView):
    """An item for an input of a running job."""

    async def post(self, request: Request, job_id: str) -> HttpResponse:
        """Hand it over; it is delivered in order."""
        job_id, owner_id = known_job_id(job_id), caller_of(request)
        body = body_of(request)
        name, handle = _target(body)
        value = body.get("value")
        sending = services.send_input(owner_id, job_id, name, value, handle)
        return json_response(await _input_answer(owner_id, job_id, sending))


class JobInputEnd(FollowingView):
    """The end of an input of a running job."""

    async def post(self, request: Request, job_id: str) -> HttpResponse:
        """End it; harmless when it has ended."""
        job_id, owner_id = known_job_id(job_id), caller_of(request)
        name, handle = _target(body_of(request))
        ending = services.end_input(owner_id, job_id, name, handle)
        return json_response(await _input_answer(owner_id, job_id, ending))


async def _find(owner_id: str, job_id: str) -> JobRow:
    job = await db(read_job, owner_id, job_id)
    if job is None:
        raise JobNotFound(UNKNOWN)
    return job


async def _cancel_and_wait(owner_id: str, job_id: str) -> JobRow:
    reader = open_end_reader(job_id, owner_id)
    try:
        try:
            await services.cancel_job(owner_id, job_id)
        except JobNotFound:
            # Cancelled before, or it has ended in this moment: the end tells.
            reader.look_again()
        async with asyncio.timeout(CANCEL_WAIT_S):
            await reader.end_of_job()
    except TimeoutError:
        pass
    finally:
        reader.close()
    return await _find(owner_id, job_id)


def _cancel_answer(job: JobRow, status: str) -> Json:
    return {**live_document(job), "status": status}


def _target(body: Mapping[str, Any]) -> tuple[str, str | None]:
    name, handle = body.get("input"), body.get("handle")
    if not isinstance(name, str) or not name.strip():
        raise InvalidJobRequest("Invalid input name")
    if handle is not None and not isinstance(handle, str):
        raise InvalidJobRequest("handle must be a string")
    return name, handle


async def _input_answer(owner_id: str, job_id: str, sending: Any) -> Json:
    try:
        state: JobState = await sending
    except JobNotFound as error:
        if await services.get_state(owner_id, job_id) is None:
            raise JobNotFound(UNKNOWN) from None
        raise InvalidTransition(error.message) from error
    return {"job_id": job_id, "status": wire_status(state.status)}
