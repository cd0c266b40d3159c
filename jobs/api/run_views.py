"""Runs over HTTP: wait for the result, follow the events, or wait for neither."""

from __future__ import annotations

from functools import partial

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from jobs import services
from jobs.abandoned import cancel_soon
from jobs.api import answers
from jobs.api.base import (
    UNKNOWN,
    FollowingView,
    base_url_of,
    body_of,
    caller_of,
    identity_of,
    known_job_id,
)
from jobs.api.documents import status_event
from jobs.api.partial_outputs import outputs_so_far
from jobs.api.run_requests import RunOptions, read_flag, read_run
from jobs.api.sse import RETRY_MS, EventStream, StreamOptions, stream_response
from jobs.api.waiting import open_end_reader, wait_for_outcome
from jobs.errors import InvalidJobRequest, JobNotFound
from jobs.models import Status
from jobs.requests import JobRequest
from jobs.run_state import wire_status
from nodetool_site.lib import sse
from nodetool_site.lib.db import db
from storage.rendering import render_json, render_object
from workflows.errors import WorkflowNotFound
from workflows.ids import is_usable_id
from workflows.reads import may_run


class RunWorkflow(FollowingView):
    """A run of a stored workflow, whose caller waits for the result.

    ``always_streams``: the events are the answer, whatever the request says.
    ``is_bare``: the path of old clients, which may send the params alone and look for
    ``results``.
    """

    always_streams = False
    is_bare = False

    async def post(self, request: Request, workflow_id: str) -> HttpResponseBase:
        """Start the run, or find the one of the same request."""
        after_id = request.META.get("HTTP_LAST_EVENT_ID", "")
        owner_id = caller_of(request)
        options = read_run(
            body_of(request),
            workflow_id,
            query=request.query_params,
            accept=request.META.get("HTTP_ACCEPT", ""),
            may_be_params=self.is_bare,
        )
        is_stream = self.always_streams or options.wants_stream
        if is_stream and after_id:
            return await _attach(request, *_position(after_id))
        if not is_usable_id(workflow_id):
            raise WorkflowNotFound(workflow_id)
        if options.job.graph is not None and not await db(
            may_run, workflow_id, user_id=owner_id
        ):
            raise WorkflowNotFound(workflow_id)
        if is_stream:
            return await _stream_new(request, options.job)
        if options.is_background:
            return await _start(owner_id, options.job)
        return await self._wait(request, options)

    async def _wait(self, request: Request, options: RunOptions) -> HttpResponse:
        job, owner_id = options.job, caller_of(request)
        reader = open_end_reader(job.job_id, owner_id)
        try:
            state = await services.create_job(owner_id, job, must_start=True)
            if not state.is_new:
                reader.look_again()
            line = await wait_for_outcome(reader, options.timeout_s)
        finally:
            reader.close()
        if line is None:
            return answers.timed_out(job, options.timeout_s or 0)
        base_url = base_url_of(request)
        line = await render_json(line, owner_id=owner_id, base_url=base_url)
        outcome = answers.decode_outcome(line)
        if outcome.status == Status.COMPLETED:
            return answers.completed(job, outcome, with_results=self.is_bare)
        if outcome.status == Status.SUSPENDED:
            outputs = await render_object(
                await db(outputs_so_far, job.job_id),
                owner_id=owner_id,
                base_url=base_url,
            )
            return answers.suspended(job, outcome, outputs)
        return answers.not_completed(job, outcome)


class JobStream(FollowingView):
    """The events of a job that exists, from a number on."""

    async def get(self, request: Request, job_id: str) -> HttpResponseBase:
        """Send what the log has behind ``Last-Event-ID``, and follow the job."""
        after_id = request.META.get("HTTP_LAST_EVENT_ID", "")
        after = 0
        if after_id:
            named, after = _position(after_id)
            if named != job_id:
                raise InvalidJobRequest("Last-Event-ID belongs to another job")
        return await _attach(request, job_id, after, is_event_source=True)

    async def head(self, request: Request, job_id: str) -> HttpResponseBase:
        """Tell whether there is such a job."""
        job_id = known_job_id(job_id)
        if await services.get_state(caller_of(request), job_id) is None:
            raise JobNotFound(UNKNOWN)
        headers = {**sse.HEADERS, "X-Job-Id": job_id}
        return HttpResponse(content_type=sse.CONTENT_TYPE, headers=headers)


async def _start(owner_id: str, job: JobRequest) -> HttpResponse:
    state = await services.create_job(owner_id, job)
    waits = state.status == Status.SCHEDULED
    return answers.accepted(job, "running" if waits else wire_status(state.status))


async def _stream_new(request: Request, job: JobRequest) -> HttpResponseBase:
    options = _stream_options(request, job.job_id)
    stream = EventStream(job.job_id, options, is_new=True)
    try:
        state = await services.create_job(options.owner_id, job, must_start=True)
    except BaseException:
        stream.close()
        raise
    stream.begin(state)
    return stream_response(stream, job.job_id)


async def _attach(
    request: Request, job_id: str, after: int, *, is_event_source: bool = False
) -> HttpResponseBase:
    job_id = known_job_id(job_id)
    state = await services.get_state(caller_of(request), job_id)
    if state is None:
        raise JobNotFound(UNKNOWN)
    head = sse.retry(RETRY_MS) if is_event_source else b""
    if is_event_source and not state.is_terminal:
        head += sse.event(status_event(state))
    options = _stream_options(request, job_id, head)
    stream = EventStream(job_id, options, after=after, is_new=False)
    stream.begin(state)
    return stream_response(stream, job_id)


def _stream_options(request: Request, job_id: str, head: bytes = b"") -> StreamOptions:
    query = request.query_params
    owner_id = caller_of(request)
    on_disconnect = query.get("on_disconnect", "continue")
    if on_disconnect not in ("continue", "cancel"):
        raise InvalidJobRequest("on_disconnect must be continue or cancel")
    return StreamOptions(
        identity=identity_of(request),
        base_url=base_url_of(request),
        with_done=bool(read_flag(query, "done")),
        head=head,
        on_hang_up=partial(cancel_soon, owner_id, job_id)
        if on_disconnect == "cancel"
        else None,
    )


def _position(last_event_id: str) -> tuple[str, int]:
    """Job id and number of a ``Last-Event-ID``: ``<job id>:<number>``."""
    job_id, _, number = last_event_id.strip().rpartition(":")
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise InvalidJobRequest("Last-Event-ID must be <job id>:<number>")
    return known_job_id(job_id), int(number)
