"""Upload bodies on their way to disk: a piece at a time, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
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
        yield form
    finally:
        await asyncio.to_thread(form.discard)


@asynccontextmanager
async def received_file(request: Request, room: Room) -> AsyncIterator[Draft]:
    """Give the whole body as a draft; afterwards what was not kept is gone."""
    length = request.headers.get("Content-Length", "")
    room.check(int(length) if length.isascii() and length.isdigit() else 0)
    draft = await asyncio.to_thread(Draft)

    def append(piece: bytes) -> None:
        room.check(draft.size + len(piece))
        draft.append(piece)

    try:
        await _drain(request, append)
        yield draft
    finally:
        await asyncio.to_thread(draft.discard)


async def _drain(request: Request, take: Callable[[bytes], None]) -> None:
    stream = body_stream_of(request._request)
    while piece := await stream.piece():
        await asyncio.to_thread(take, piece)
