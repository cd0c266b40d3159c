"""Streams that are resumed, and completions that are stopped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from chat.openai_api.base import OpenAIView
from jobs.abandoned import cancel_soon
from jobs.api.base import base_url_of
from nodetool_site.lib import sse
from nodetool_site.lib.api import json_response

if TYPE_CHECKING:
    from chat.openai_api.completion_jobs import NewCompletion
    from chat.openai_api.resumable import ResumableStream
    from storage.identity import Identity

MAX_DIGITS = 18


class CompletionEvents(OpenAIView):
    """The events of a resumable completion, from a number on."""

    async def get(self, request: Request, completion_id: str) -> HttpResponseBase:
        """Send those above ``Last-Event-ID``, live or stored."""
        # Here, because most servers never speak to a model.
        from chat.openai_api.completion_jobs import find_completion
        from chat.openai_api.resumable import ResumableStream

        identity = cast("Identity", request.user)
        completion = await find_completion(identity.user_id, completion_id)
        stream = ResumableStream(
            completion,
            identity=identity,
            base_url=base_url_of(request),
            after=_read_position(request.META.get("HTTP_LAST_EVENT_ID", "")),
        )
        try:
            return await _begun(stream, completion.id)
        except BaseException:
            stream.close()
            raise


class CompletionDetail(OpenAIView):
    """One resumable completion."""

    async def delete(self, request: Request, completion_id: str) -> HttpResponse:
        """Stop it. What it has said so far is kept as long as that of any other."""
        # As in ``CompletionEvents.get``.
        from chat.openai_api.completion_jobs import stop_completion
        from chat.openai_api.schemas import DeletedCompletion

        owner_id = cast("Identity", request.user).user_id
        stopped = await stop_completion(owner_id, completion_id)
        return json_response(DeletedCompletion(id=stopped.id))


async def start_stream(request: Request, new: NewCompletion) -> HttpResponseBase:
    """Begin a completion; return its events.

    Who leaves before there are any ends it.
    """
    # As in ``CompletionEvents.get``.
    from chat.openai_api.completion_jobs import start
    from chat.openai_api.resumable import ResumableStream

    identity = cast("Identity", request.user)
    stream = ResumableStream(
        new.stored, identity=identity, base_url=base_url_of(request), is_new=True
    )
    creation = asyncio.ensure_future(start(identity.user_id, new))
    try:
        await asyncio.shield(creation)
        return await _begun(stream, new.stored.id)
    except BaseException as error:
        stream.close()
        if isinstance(error, asyncio.CancelledError):
            # Nobody has been told how to find it again.
            cancel_soon(identity.user_id, new.stored.job_id, created=creation)
        raise


async def _begun(stream: ResumableStream, completion_id: str) -> HttpResponseBase:
    await stream.begin()
    return StreamingHttpResponse(
        stream,
        content_type=sse.CONTENT_TYPE,
        headers={**sse.HEADERS, "X-Completion-Id": completion_id},
    )


def _read_position(text: str) -> int:
    # As in ``CompletionEvents.get``.
    from chat.openai_api.resumable import NoSuchEvent

    text = text.strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise NoSuchEvent
    return int(text)
