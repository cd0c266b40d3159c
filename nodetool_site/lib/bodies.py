"""Request bodies: how large they may be, and those that are read as they arrive."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from django.conf import settings

from nodetool_site.lib.asgi_types import Receive
from nodetool_site.lib.errors import ApplicationError, PayloadTooLarge

FORM_ROOM_BYTES = 1024**2
"""What the fields and boundaries of a form may add to its file."""

_STREAMED = {
    "POST": re.compile(r"/api/assets/?"),
    "PUT": re.compile(r"/api/storage/.*", re.DOTALL),
}

_IMPORT = re.compile(r"/api/workflows/import-bundle/?")
"""Spooled to a file as other bodies are, which may be as large as an upload."""


class ClientGone(ApplicationError):
    """The client went away before its body was complete; nobody reads the answer."""

    status = 499
    default_message = "The client has gone"


def is_streamed(method: str, path: str) -> bool:
    """Tell whether a view reads the body itself, as it arrives: a ``BodyStream``."""
    pattern = _STREAMED.get(method)
    return pattern is not None and pattern.fullmatch(path) is not None


def body_limit(method: str, path: str) -> int:
    """Return the most bytes a request may carry; 0 is no limit."""
    limit: int = settings.MAX_BODY_BYTES
    if is_streamed(method, path) or _IMPORT.fullmatch(path):
        limit = settings.MAX_UPLOAD_BYTES and (
            settings.MAX_UPLOAD_BYTES + FORM_ROOM_BYTES
        )
    return limit


class BodyStream:
    """The body of one request, in pieces. The server waits while nobody asks."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._whole = asyncio.Event()
        self.size = 0

    async def piece(self) -> bytes:
        """Return the next piece; none is empty but the one after the last.

        Raises:
            PayloadTooLarge: the body is over its limit.
            ClientGone: there will be no next piece.
        """
        while not self._whole.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece: bytes = message.get("body", b"")
            self.size += len(piece)
            if self._limit and self.size > self._limit:
                raise PayloadTooLarge
            if not message.get("more_body", False):
                self._whole.set()
            if piece:
                return piece
        return b""

    async def whole(self, limit: int) -> bytes:
        """Return all of a body that is to be small.

        Raises:
            PayloadTooLarge: it is over ``limit`` (0: none).
            ClientGone: as ``piece``.
        """
        pieces = []
        while piece := await self.piece():
            pieces.append(piece)
            if limit and self.size > limit:
                raise PayloadTooLarge
        return b"".join(pieces)

    async def disconnected(self) -> None:
        """Return when the client goes away after its body."""
        await self._whole.wait()
        await self._receive()


def body_stream_of(request: Any) -> BodyStream:
    """Return the body of a request for which ``is_streamed`` holds."""
    stream: BodyStream = request.body_stream
    return stream
