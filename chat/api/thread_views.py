"""Stored conversations over HTTP: the caller's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from django.http import HttpResponse
from rest_framework.request import Request

from chat import reads, services
from chat.api.serializers import (
    read_new_message,
    read_summary_request,
    read_title,
)
from chat.documents import thread_document
from chat.errors import MessageNotFound, ThreadNotFound
from chat.settlement import settle_thread
from chat.summaries import title_for
from jobs.api.base import base_url_of, caller_of
from jobs.errors import JobNotFound
from jobs.services import cancel_job
from nodetool_site.lib.api import AsyncAPIView, json_response
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.pagination import (
    decode_cursor,
    decode_position,
    encode_cursor,
    encode_position,
    page_limit,
)
from nodetool_site.lib.rendering import JSON_TYPE, encode_json
from storage.rendering import render_json

THREADS = 10
"""Threads in a page, where the client does not say."""


class ThreadCollection(AsyncAPIView):
    """The caller's conversations."""

    async def get(self, request: Request) -> HttpResponse:
        """List them in the order of their creation, or against it."""
        query = request.query_params
        found = await db(
            reads.list_threads,
            caller_of(request),
            limit=page_limit(query, default=THREADS),
            after=decode_position(query.get("cursor")),
            newest_first=_flag(query.get("reverse")),
        )
        return json_response(
            {
                "next": encode_position(found.next_position),
                "threads": [thread_document(thread) for thread in found.threads],
            }
        )

    async def post(self, request: Request) -> HttpResponse:
        """Create one."""
        title = read_title(request.data, is_new=True)
        thread = await db(services.create_thread, caller_of(request), title)
        return json_response(thread_document(thread))


class ThreadDetail(AsyncAPIView):
    """One conversation."""

    async def get(self, request: Request, thread_id: str) -> HttpResponse:
        """Return it, with the job of its turn while one is under way."""
        owner_id, thread_id = caller_of(request), _known_thread(thread_id)
        await db(reads.read_thread, owner_id, thread_id)
        await settle_thread(thread_id)
        thread = await db(reads.read_thread, owner_id, thread_id)
        turn = await db(reads.open_turn, owner_id, thread_id)
        job_id = None if turn is None else turn.job_id
        return json_response(thread_document(thread, job_id=job_id))

    async def put(self, request: Request, thread_id: str) -> HttpResponse:
        """Give it another title."""
        title = read_title(request.data, is_new=False) or ""
        thread = await db(
            services.rename_thread, caller_of(request), _known_thread(thread_id), title
        )
        return json_response(thread_document(thread))

    async def delete(self, request: Request, thread_id: str) -> HttpResponse:
        """Delete it with its messages, and end its turn."""
        owner_id = caller_of(request)
        job_id = await db(services.delete_thread, owner_id, _known_thread(thread_id))
        if job_id is not None:
            with contextlib.suppress(JobNotFound):  # it has ended
                await cancel_job(owner_id, job_id)
        return json_response(None)


class ThreadSummary(AsyncAPIView):
    """A title that says what a conversation is about."""

    async def post(self, request: Request, thread_id: str) -> HttpResponse:
        """Let a model name the thread."""
        owner_id, thread_id = caller_of(request), _known_thread(thread_id)
        wanted = read_summary_request(request.data)
        await db(reads.read_thread, owner_id, thread_id)
        await settle_thread(thread_id)
        title = await title_for(owner_id, thread_id, **wanted)
        thread = await db(services.rename_thread, owner_id, thread_id, title)
        return json_response(thread_document(thread))


class MessageCollection(AsyncAPIView):
    """What was said in one of the caller's conversations."""

    async def get(self, request: Request) -> HttpResponse:
        """List it, the oldest first or (``reverse``) last."""
        query = request.query_params
        thread_id = query.get("thread_id")
        if not thread_id:
            raise BadRequest("thread_id is required")
        owner_id, thread_id = caller_of(request), _known_thread(thread_id)
        after = decode_cursor(query.get("cursor"), tuple[int])
        await db(reads.read_thread, owner_id, thread_id)
        await settle_thread(thread_id)
        found = await db(
            reads.list_messages,
            owner_id,
            thread_id,
            limit=page_limit(query),
            after=None if after is None else _small(after[0]),
            newest_first=_flag(query.get("reverse")),
        )
        following = found.next_position
        cursor = None if following is None else encode_cursor(following)
        messages = await _rendered(request, found.documents)
        body = b'{"next":%b,"messages":[%b]}' % (encode_json(cursor), messages)
        return HttpResponse(body, content_type=JSON_TYPE)

    async def post(self, request: Request) -> HttpResponse:
        """Store one; no model answers."""
        fields, thread_id = read_new_message(request.data)  # type: ignore[arg-type]
        if thread_id is not None:
            _known_thread(thread_id)
            await settle_thread(thread_id)
        message = await db(services.post_message, caller_of(request), fields, thread_id)
        body = await _rendered(request, [message.document])
        return HttpResponse(body, content_type=JSON_TYPE)


class MessageDetail(AsyncAPIView):
    """One message of one of the caller's conversations."""

    async def get(self, request: Request, message_id: str) -> HttpResponse:
        """Return it."""
        if not services.is_usable_id(message_id):
            raise MessageNotFound
        document = await db(reads.read_message, caller_of(request), message_id)
        return HttpResponse(
            await _rendered(request, [document]), content_type=JSON_TYPE
        )


def _known_thread(thread_id: str) -> str:
    """Refuse at once what no thread can be called."""
    if not services.is_usable_id(thread_id):
        raise ThreadNotFound
    return thread_id


async def _rendered(request: Request, documents: Iterable[str]) -> bytes:
    """The messages as JSON, with links to the files that they refer to."""
    owner_id, base_url = caller_of(request), base_url_of(request)
    return b",".join(
        [
            await render_json(text.encode(), owner_id=owner_id, base_url=base_url)
            for text in documents
        ]
    )


def _flag(text: str | None) -> bool:
    return (text or "").lower() in ("1", "true", "yes")


def _small(position: int) -> int:
    """A position as a column holds it."""
    if not 0 <= position < 2**31:
        raise BadRequest("Unreadable cursor")
    return position
