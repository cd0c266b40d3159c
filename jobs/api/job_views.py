"""Jobs over HTTP: what they are and what they emitted."""

from __future__ import annotations

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from jobs.api.base import UNKNOWN, base_url_of, caller_of, known_job_id
from jobs.api.deletion import delete_job
from jobs.api.documents import (
    Json,
    gap_event,
    job_document,
    live_document,
    terminal_event,
)
from jobs.api.reads import (
    EventPage,
    JobRow,
    list_jobs,
    live_jobs,
    read_events,
    read_job,
)
from jobs.errors import JobNotFound
from jobs.models import Status
from nodetool_site.lib.api import AsyncAPIView, json_response
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import BadRequest, ValidationFailed, problem
from nodetool_site.lib.pagination import (
    MAX_PAGE_BYTES,
    decode_position,
    encode_position,
    page_limit,
    read_text,
)
from nodetool_site.lib.rendering import JSON_TYPE
from storage.rendering import render_json

# The words that a filter may name, and the stored ones behind each.
STATUSES = {
    **{str(status): (str(status),) for status in Status},
    "suspended": (str(Status.PAUSED), str(Status.SUSPENDED)),
    "canceled": (str(Status.CANCELLED),),
}


class JobCollection(AsyncAPIView):
    """The caller's jobs."""

    async def get(self, request: Request) -> HttpResponse:
        """List them, the newest first, without params and results."""
        query = request.query_params
        found = await db(
            list_jobs,
            caller_of(request),
            limit=page_limit(query),
            after=decode_position(query.get("start_key") or query.get("cursor")),
            workflow_id=read_text(query, "workflow_id"),
            statuses=_statuses(query.get("status")),
        )
        following = encode_position(found.next_position)
        return json_response(
            {
                "jobs": [job_document(job) for job in found.jobs],
                "next_start_key": following,
                "next": following,
            }
        )


class RunningJobs(AsyncAPIView):
    """The caller's jobs that have not ended."""

    async def get(self, request: Request) -> HttpResponse:
        """List them in short, the newest first."""
        jobs = await db(live_jobs, caller_of(request))
        return json_response([live_document(job) for job in jobs])


class JobDetail(AsyncAPIView):
    """One job of the caller's."""

    async def get(self, request: Request, job_id: str) -> HttpResponse:
        """Return it whole."""
        return json_response(await whole_job(request, known_job_id(job_id)))

    async def delete(self, request: Request, job_id: str) -> HttpResponse:
        """Delete it with its events; only one that has ended."""
        await delete_job(caller_of(request), known_job_id(job_id))
        return json_response(None)


class JobEvents(AsyncAPIView):
    """The stored messages of one job."""

    async def get(self, request: Request, job_id: str) -> HttpResponse:
        """Return those above ``after``; ``next`` is the ``after`` of the next page."""
        job_id = known_job_id(job_id)
        limit = page_limit(request.query_params)
        after = _after(request.query_params.get("after", ""))
        found = await db(read_events, caller_of(request), job_id, after)
        if found is None:
            raise JobNotFound(UNKNOWN)
        if found.page is None:
            return await _no_events(request, job_id, found, after)
        lines = await _rendered(request, found.page.lines[:limit])
        first_seq = found.page.last_seq - len(found.page.lines) + 1
        reached = first_seq + len(lines) - 1
        if found.page.missing_before is not None:
            lines.insert(0, gap_event(job_id, found.workflow_id, first_seq))
        return _event_page(lines, reached if reached < found.last_seq else None)


async def whole_job(request: Request, job_id: str) -> Json:
    """The Job object of a job that the caller must own.

    Raises:
        JobNotFound: they do not.
    """
    owner_id = caller_of(request)
    job = await db(read_job, owner_id, job_id)
    if job is None:
        raise JobNotFound(UNKNOWN)
    return job_document(job, await _result(request, job))


async def _result(request: Request, job: JobRow) -> Json | None:
    if not job.result:
        return None
    body = await render_json(
        job.result.encode(), owner_id=job.owner_id, base_url=base_url_of(request)
    )
    result: Json = msgspec.json.decode(body)
    return result


def _statuses(word: str | None) -> tuple[str, ...]:
    if not word:
        return ()
    if word not in STATUSES:
        raise BadRequest(f"status must be one of {', '.join(STATUSES)}")
    return STATUSES[word]


def _after(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        where = ("query", "after")
        raise ValidationFailed([problem("int_parsing", where, "Not a number", text)])
    return int(text)


async def _no_events(
    request: Request, job_id: str, found: EventPage, after: int
) -> HttpResponse:
    """Nothing above ``after`` is stored: there is nothing, or retention took it."""
    if after >= found.last_seq or not found.is_terminal:
        return _event_page([], None)
    job = await db(read_job, caller_of(request), job_id)
    if job is None:
        raise JobNotFound(UNKNOWN)
    gap = gap_event(job_id, job.workflow_id, job.last_seq)
    return _event_page([gap, *await _rendered(request, [terminal_event(job)])], None)


async def _rendered(request: Request, lines: list[bytes]) -> list[bytes]:
    """The events fit for the caller: all of them, or as many as 16 MiB hold."""
    owner_id, base_url = caller_of(request), base_url_of(request)
    rendered: list[bytes] = []
    size = 0
    for line in lines:
        body = await render_json(line, owner_id=owner_id, base_url=base_url)
        rendered.append(body)
        size += len(body)
        if size > MAX_PAGE_BYTES:
            break
    return rendered


def _event_page(lines: list[bytes], following: int | None) -> HttpResponse:
    tail = b"null" if following is None else b"%d" % following
    body = b'{"events":[%b],"next":%b}' % (b",".join(lines), tail)
    return HttpResponse(body, content_type=JSON_TYPE)
