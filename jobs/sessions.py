"""One open socket: commands in, replies and events out.

One task reads and handles commands in their order; one task writes. What a job emits
never queues here: the writer takes a page from the log when the last one has left, so a
socket that does not read costs a page, and its ping is answered all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias
from urllib.parse import parse_qs

import msgspec
from django.conf import settings
from django.db import DatabaseError

from jobs import feed
from jobs.api.documents import gap_event, terminal_event
from jobs.api.reads import read_job
from jobs.errors import InvalidJobRequest
from jobs.feed import Page, Reader
from jobs.socket_codec import (
    InvalidFrame,
    decode,
    encode,
    encode_page,
    read_events,
)
from nodetool_site.lib import scopes
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import ApplicationError, Forbidden

if TYPE_CHECKING:
    from storage.identity import Identity

logger = logging.getLogger(__name__)

Message: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[Any, Message], Awaitable[Message | None]]
"""A command's: gets the session and its data, returns the reply."""

FrameHandler: TypeAlias = Callable[[Any, Message], Awaitable[None]]
"""That of a frame that has a type, and no command."""

Refuse: TypeAlias = Callable[[str, Message, str], Message]

MAX_SUBSCRIPTIONS = 1000
MAX_QUEUED_REPLIES = 256
LAST_WORDS_S = 1.0
OUTAGE_S = 0.5
FRAMES_EXTENSION = "nodetool.frames"
NO_COMMAND = (
    "All messages must include a 'command' field. Use 'chat_message' command for chat."
)


class CommandError(Exception):
    """A refusal whose whole reply is given."""

    def __init__(self, error: str, **fields: Any) -> None:
        super().__init__(error)
        self.reply = {"error": error, **fields}


class View(Protocol):
    """What a socket makes of a job's events, where it does not send them as they are.

    It fails for nothing: the socket would end.
    """

    async def messages(self, events: Sequence[Message]) -> list[Message]:
        """Return what to send for the next events of the job."""


class Subscription:
    """A job that a socket follows. Held while its command's reply is not queued."""

    __slots__ = ("is_held", "reader", "view")

    def __init__(self, reader: Reader, view: View | None) -> None:
        self.reader = reader
        self.view = view
        self.is_held = True


class Session:
    """One open socket of one user. ``frames``: the handlers of frames, by type."""

    frames: ClassVar[Mapping[str, FrameHandler]] = {}

    def __init__(
        self, scope: Mapping[str, Any], send: Any, table: Mapping[str, Handler]
    ) -> None:
        self.identity: Identity = scope["identity"]
        self.user_id: str = self.identity.user_id
        self.base_url = _base_url(scope)
        self.binary = False
        self._send = send
        self._table = table
        self._can_send_many = FRAMES_EXTENSION in (scope.get("extensions") or {})
        self._is_pinned = False
        self._has_spoken = False
        self._replies: deque[tuple[bytes, bool]] = deque()
        self._subscriptions: dict[str, Subscription] = {}
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._last_sent = self._loop.time()
        self._keepalive: asyncio.TimerHandle | None = None
        mode = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("mode")
        if mode and mode[0] in ("text", "binary"):
            self.pin(mode[0])

    # --- in

    async def on_frame(self, frame: str | bytes) -> None:
        """Handle one frame and queue its reply."""
        if not self._is_pinned:
            self.binary = isinstance(frame, bytes)
        if not self._has_spoken:
            self._has_spoken = True
            self._plan_ping()
        try:
            message = decode(frame)
        except InvalidFrame as error:
            self.on_unreadable(str(error))
        else:
            await self._on_message(message)
            for subscription in self._subscriptions.values():
                subscription.is_held = False
            self._wake.set()
        while len(self._replies) > MAX_QUEUED_REPLIES:
            self._room.clear()
            await self._room.wait()

    def on_unreadable(self, reason: str) -> None:
        """Answer a frame that cannot be read."""
        self.send({"type": "error", "error": "invalid_frame", "message": reason})

    async def on_message(self, message: Any) -> None:
        """Handle what is no frame of a known type."""
        if not isinstance(message, dict) or "command" not in message:
            self.send({"error": "invalid_message", "message": NO_COMMAND})
            return
        await self.on_command(message)

    async def _on_message(self, message: Any) -> None:
        kind = None
        if isinstance(message, dict) and "command" not in message:
            kind = message.get("type")
        if kind == "ping":
            self.send({"type": "pong", "ts": time.time()})
        elif kind == "pong":
            return
        elif isinstance(kind, str) and kind in self.frames:
            await self._on_typed(kind, message)
        else:
            await self.on_message(message)

    async def _on_typed(self, kind: str, message: Message) -> None:
        lacking = scopes.missing(self.identity.scopes, scopes.for_frame(kind))
        if lacking is not None:
            self.send(_refuse(kind, {}, scopes.refusal(lacking)))
            return
        try:
            await self.frames[kind](self, message)
        except CommandError as error:
            self.send(error.reply)
        except Exception:
            logger.exception("frame %s failed", kind)
            self.send({"error": "Internal server error"})

    async def on_command(self, message: Message) -> None:
        """Handle a command and queue its reply."""
        reply = await self._on_command(message)
        request_id = message.get("request_id")
        if reply is not None:
            if isinstance(request_id, str) and request_id:
                reply = {**reply, "request_id": request_id}
            self.send(reply)

    async def _on_command(self, message: Message) -> Message | None:
        command, data = message["command"], message.get("data")
        data = {} if data is None else data
        if not isinstance(command, str):
            return _invalid("command must be a string", command, data)
        if not isinstance(data, dict):
            return _invalid("data must be an object", command, data)
        handler = self._table.get(command)
        if handler is None:
            return {"error": "Unknown command", "command": command}
        if isinstance(message.get("request_id"), str):
            data = {**data, "_request_id": message["request_id"]}
        lacking = scopes.missing(self.identity.scopes, scopes.for_command(command))
        try:
            if lacking is not None:
                refuse: Refuse = getattr(handler, "refuse", _refuse)
                return refuse(command, data, scopes.refusal(lacking))
            return await handler(self, data)
        except CommandError as error:
            return error.reply
        except InvalidJobRequest as error:
            return _invalid(error.message, command, data)
        except ApplicationError as error:
            return {"error": error.message, **_ids(data)}
        except Exception:
            logger.exception("command %s failed", command)
            return {"error": "Internal server error", **_ids(data)}

    # --- what handlers use

    def send(self, message: Message) -> None:
        """Queue a message for this socket, in its encoding."""
        self._replies.append((encode(message, binary=self.binary), self.binary))
        self._wake.set()

    def pin(self, mode: str) -> None:
        """Keep to one encoding, whatever the client's frames are in."""
        self.binary = mode == "binary"
        self._is_pinned = True

    def follow(
        self,
        job_id: str,
        *,
        after: int = 0,
        is_new: bool = False,
        view: View | None = None,
    ) -> bool:
        """Send the job's events from ``after`` on; False if they are being sent.

        Nothing leaves before the reply to the command at hand. ``view``: send what it
        makes of them.

        Raises:
            CommandError: the socket follows too many jobs.
        """
        if job_id in self._subscriptions:
            return False
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise CommandError(
                f"Too many jobs on this connection (limit {MAX_SUBSCRIPTIONS}): "
                "open another",
                job_id=job_id,
            )
        reader = feed.open_reader(
            job_id,
            owner_id=self.user_id,
            after=after,
            wake=self._wake.set,
            is_new=is_new,
        )
        self._subscriptions[job_id] = Subscription(reader, view)
        return True

    def hold(self, job_id: str) -> None:
        """Send nothing of the job until the reply to the command at hand is queued."""
        if job_id in self._subscriptions:
            self._subscriptions[job_id].is_held = True

    def unfollow(self, job_id: str) -> None:
        """Send no more of the job's events."""
        subscription = self._subscriptions.pop(job_id, None)
        if subscription is not None:
            subscription.reader.close()

    def look_again(self, job_id: str) -> None:
        """Replay what the log has: the job was there before."""
        self._subscriptions[job_id].reader.look_again()

    @property
    def followed(self) -> list[str]:
        """The jobs whose events are being sent: the live ones of this socket.

        Those that are shown in another way are left out: they are no runs to a client.
        """
        return [
            job_id
            for job_id, subscription in self._subscriptions.items()
            if subscription.view is None
        ]

    @property
    def views(self) -> list[View]:
        """How the jobs that are not shown as they are, are shown."""
        views = (each.view for each in self._subscriptions.values())
        return [view for view in views if view is not None]

    # --- out

    async def write(self) -> None:
        """Send replies, then pages, for ever."""
        while True:
            self._wake.clear()
            await self._write_replies()
            if not await self._write_pages():
                await self._wake.wait()

    async def say_last(self, message: Message) -> None:
        """Send what is queued and one message more, if the client takes them at once.

        To be called when ``write`` has ended.
        """
        self.send(message)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._write_replies()

    async def _write_replies(self) -> None:
        while self._replies:
            replies = list(self._replies)
            self._replies.clear()
            self._room.set()
            # Each in the encoding of its own command, which the next one may change.
            for binary, group in groupby(replies, key=itemgetter(1)):
                await self._write([frame for frame, _ in group], binary=binary)

    async def _write_pages(self) -> bool:
        has_written = False
        for job_id, subscription in list(self._subscriptions.items()):
            if subscription.is_held:
                continue
            reader = subscription.reader
            cursor = reader.cursor
            try:
                page = await reader.page()
                if page is not None:
                    has_written = True
                    await self._write_page(subscription, page)
                    await self._write_replies()
            except DatabaseError as error:
                # One that is away costs time alone.
                logger.warning("a socket waits for the database: %s", error)
                reader.go_back(cursor)
                self._loop.call_later(OUTAGE_S, reader.look_again)
                continue
            if reader.is_done:
                if page is None:
                    await self._write_rest(subscription)
                self.unfollow(job_id)
        return has_written

    async def _write_rest(self, subscription: Subscription) -> None:
        """The end of a job whose stored end retention has taken."""
        reader = subscription.reader
        job = await db(read_job, self.user_id, reader.job_id)
        if job is None or not job.is_terminal or reader.cursor >= job.last_seq:
            return
        gap = gap_event(job.id, job.workflow_id, job.last_seq)
        page = Page([gap, terminal_event(job)], job.last_seq, is_final=True)
        await self._write_page(subscription, page)

    async def _write_page(self, subscription: Subscription, page: Page) -> None:
        binary = self.binary
        if subscription.view is not None:
            events = await read_events(
                page,
                with_bytes=binary,
                owner_id=self.user_id,
                base_url=self.base_url,
            )
            messages = await subscription.view.messages(events)
            frames = [encode(message, binary=binary) for message in messages]
            await self._write(frames, binary=binary)
            return
        frames = await encode_page(
            page, binary=binary, owner_id=self.user_id, base_url=self.base_url
        )
        if page.missing_before is not None:
            gap = msgspec.json.decode(
                gap_event(subscription.reader.job_id, "", page.missing_before)
            )
            frames.insert(0, encode(gap, binary=binary))
        await self._write(frames, binary=binary)

    async def _write(self, frames: list[bytes], *, binary: bool) -> None:
        self._last_sent = self._loop.time()
        if self._can_send_many:
            await self._send(
                {"type": "websocket.send", "frames": frames, "binary": binary}
            )
            return
        for frame in frames:
            await self._send(
                {"type": "websocket.send", "bytes": frame}
                if binary
                else {"type": "websocket.send", "text": frame.decode()}
            )

    def _plan_ping(self) -> None:
        self._keepalive = self._loop.call_later(settings.WS_PING_SECONDS, self._ping)

    def _ping(self) -> None:
        if self._loop.time() - self._last_sent >= settings.WS_PING_SECONDS * 0.9:
            self.send({"type": "ping", "ts": time.time()})
        self._plan_ping()

    def close(self) -> None:
        """Let go of everything; jobs go on."""
        if self._keepalive is not None:
            self._keepalive.cancel()
        for job_id in list(self._subscriptions):
            self.unfollow(job_id)


def _invalid(details: str, command: Any, data: Any) -> Message:
    ids = _ids(data) if isinstance(data, dict) else {}
    ids.pop("workflow_id", None)
    return {"error": "invalid_command", "details": details, "command": command, **ids}


def _refuse(command: str, data: Message, error: str) -> Message:
    return {"error": error, "code": Forbidden().code, "command": command, **_ids(data)}


def _ids(data: Message) -> Message:
    return {
        name: data[name]
        for name in ("job_id", "workflow_id")
        if isinstance(data.get(name), str)
    }


def _base_url(scope: Mapping[str, Any]) -> str:
    headers = dict(scope.get("headers") or [])
    host = headers.get(b"host", b"").decode("latin-1")
    secure = scope.get("scheme") in ("wss", "https")
    return f"{'https' if secure else 'http'}://{host}" if host else ""
