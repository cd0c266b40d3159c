"""Upload bodies on their way to disk: a piece at a time, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from rest_framework.request import Request

from nodetool_site.lib.bodies import body_stream_of
from storage.files import Draft
from storage.quotas import Room

if TYPE_CHECKING:
    from storage.api.forms import FormReader


@asynccontextmanager
async def received_form(request: Request, room: Room) -> AsyncIterator[FormReader]:
    """Give the parts of a multipart body; afterwards what was not kept is gone."""
    # Most processes never see an upload.
    from storage.api.forms import FormReader

    form = FormReader(request.headers.get("Content-Type", ""), room)
    try:
        await _drain(request, form.feed)
        form.finish()
        room.leave()
        yield form
    finally:
        room.leave()
        await asyncio.to_thread(form.discard)


@asynccontextmanager
async def received_file(request: Request, room: Room) -> AsyncIterator[Draft]:
    """Give the whole body as a draft; afterwards what was not kept is gone."""
    draft: Draft | None = None
    try:
        length = request.headers.get("Content-Length", "")
        room.check(int(length) if length.isascii() and length.isdigit() else 0)
        draft = await asyncio.to_thread(Draft)
        await _drain(request, partial(_append, draft, room))
        room.leave()
        yield draft
    finally:
        room.leave()
        if draft is not None:
            await asyncio.to_thread(draft.discard)


def _append(draft: Draft, room: Room, piece: bytes) -> None:
    room.check(draft.size + len(piece))
    draft.append(piece)


async def _drain(request: Request, take: Callable[[bytes], None]) -> None:
    stream = body_stream_of(request._request)
    while piece := await stream.piece():
        await asyncio.to_thread(take, piece)
