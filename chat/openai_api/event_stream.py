"""What streams of answers share: who ends them, and how long they wait in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from django.conf import settings

from chat.openai_api.generation import Generation, Item
from nodetool_site.lib import sse
from nodetool_site.lib.errors import ApplicationError, Unauthorized, Unavailable
from nodetool_site.lib.lifecycle import stopping
from storage.identity import Identity
from storage.leases import leases
from workflows.providers.base import ProviderError
from workflows.providers.calls import Call
from workflows.providers.messages import Chunk

GRACE_S = 20.0
"""How long a stream may go on in a server that stops; it closes connections later."""


class EventStream:
    """The events of a generation, framed. A kind of stream says how each looks.

    ``close`` must be called, also where nobody has begun to iterate; it ends the
    calls to the provider. So does the end of the caller's credential, and that of the
    server.
    """

    def __init__(self, generation: Generation, *, identity: Identity) -> None:
        self._generation = generation
        self._first: list[Item] = []
        self._left = len(generation.calls)
        self._deadline: asyncio.TimerHandle | None = None
        stopping.add_listener(self._set_deadline)
        self._lease = leases.open(
            identity, lambda: generation.fail(Unauthorized("The token has ended."))
        )

    async def begin(self) -> None:
        """Wait for the provider's first word.

        Raises:
            ProviderError: it is a failure, so there will be no stream.
        """
        self._first = await self._generation.next()
        first = self._first[0][1]
        if isinstance(first, Exception):
            raise first

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes to send: all that is there, in one piece."""
        items = self._first
        while True:
            pieces: list[bytes] = []
            failure = self._take(items, pieces)
            if failure is not None:
                yield b"".join(pieces) + self._failed(failure)
                return
            if not self._left:
                yield b"".join(pieces) + await self._kept()
                return
            if pieces or not items:
                yield b"".join(pieces) or sse.KEEP_ALIVE
            items = await self._generation.next(settings.KEEPALIVE_SECONDS or None)

    def close(self) -> None:
        """End the calls to the provider; harmless where they have ended."""
        stopping.remove_listener(self._set_deadline)
        if self._deadline is not None:
            self._deadline.cancel()
        leases.close(self._lease)
        self._generation.close()

    async def _kept(self) -> bytes:
        """Return the end of a stream whose answers are whole, once they are stored."""
        try:
            await self._generation.keep()
        except Exception as error:  # noqa: BLE001 - told to whoever reads
            return self._failed(error)
        return self._end()

    def _add(self, pieces: list[bytes], call: Call, chunk: Chunk) -> None:
        """Add the events of a chunk.

        Raises:
            ProviderError: it is too much; the stream ends with it.
        """
        raise NotImplementedError

    def _finish(self, pieces: list[bytes], call: Call) -> None:
        """Add the events of the end of an answer."""
        raise NotImplementedError

    def _end(self) -> bytes:
        """Return the end of a stream whose answers are whole."""
        raise NotImplementedError

    def _failed(self, error: Exception) -> bytes:
        """Return the event of a failure, and the end of the stream."""
        raise NotImplementedError

    def _set_deadline(self) -> None:
        error = Unavailable("The server is stopping.")
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(GRACE_S, self._generation.fail, error)

    def _take(self, items: list[Item], pieces: list[bytes]) -> Exception | None:
        """Add the events for what has come; return the failure that ends the stream."""
        for call, item in items:
            # What the provider fails with behind a stop string is nobody's loss.
            if call.is_cut and not isinstance(item, ApplicationError):
                continue
            if isinstance(item, Exception):
                return item
            if item is None:
                self._left -= 1
                self._finish(pieces, call)
                continue
            try:
                self._add(pieces, call, item)
            except ProviderError as error:
                return error
            if call.is_cut:
                self._generation.cut(call)
                self._left -= 1
                self._finish(pieces, call)
        return None
