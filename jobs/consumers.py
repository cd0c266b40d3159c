"""The consumer of sockets that take commands: it serves one ``Session`` each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from channels.consumer import AsyncConsumer

from jobs import process
from jobs.frame_rate import FrameRate
from jobs.sessions import Handler, Session

CLOSE_POLICY = 1008
RATE_LIMITED = "rate_limited"


class CommandConsumer(AsyncConsumer):  # type: ignore[misc] # Channels is untyped
    """Channels' consumer around a ``Session``; its commands come from ``table``.

    ``__call__`` is overridden: Channels awaits the closing of database connections for
    every message, which costs five times a ping and has nothing to close here.
    """

    table: Mapping[str, Handler] = {}
    session_class: type[Session] = Session

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Serve one socket until it closes, or cannot be written any more."""
        await receive()  # websocket.connect
        offered = scope.get("subprotocols") or [None]
        await send({"type": "websocket.accept", "subprotocol": offered[0]})
        process.listen()
        session = self.session_class(scope, send, self.table)
        task = asyncio.current_task()
        assert task is not None
        writing = asyncio.create_task(session.write())
        writing.add_done_callback(stop := lambda _: task.cancel())
        try:
            is_too_fast = await self._read(receive, session)
        except asyncio.CancelledError:
            if writing.done():  # it never ends but by an error
                task.uncancel()
                writing.result()
            raise
        finally:
            writing.remove_done_callback(stop)
            session.close()
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await writing
        if is_too_fast:
            await session.say_last({"error": RATE_LIMITED})
            await send(
                {
                    "type": "websocket.close",
                    "code": CLOSE_POLICY,
                    "reason": RATE_LIMITED,
                }
            )

    async def _read(self, receive: Any, session: Session) -> bool:
        """Handle frames until the socket closes; True if there were too many."""
        rate = FrameRate()
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return False
            if not rate.allows():
                return True
            frame = message.get("text")
            await session.on_frame(message.get("bytes") if frame is None else frame)
