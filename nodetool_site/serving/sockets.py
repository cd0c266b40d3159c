"""WebSockets on Twisted: bounded both ways, closed with the right code."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from autobahn.twisted.websocket import ConnectionDeny
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol

from nodetool_site.serving.transport import Gate

INBOUND_FRAMES = 64
CONNECT_TIMEOUT_S = 20.0
PING_INTERVAL_S = 20.0
PONG_TIMEOUT_S = 37.0  # with the interval and a check: gone within a minute
CLOSE_TIMEOUT_S = 5.0
TEXT, BINARY = 0x81, 0x82

NORMAL, SERVER_FAULT, RESTART, TRY_LATER = 1000, 1011, 1012, 1013


class Inbound:
    """What the client has sent and the application has not yet taken.

    Full, it stops the reading; half empty, it lets it go on.
    """

    def __init__(self, on_room: Callable[[], None]) -> None:
        self._messages: deque[dict[str, Any]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._on_room = on_room

    def put_nowait(self, message: dict[str, Any]) -> None:
        """Add a message."""
        self._messages.append(message)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def is_full(self) -> bool:
        """Whether the client has to wait."""
        return len(self._messages) >= INBOUND_FRAMES

    async def get(self) -> dict[str, Any]:
        """ASGI's receive."""
        while not self._messages:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        message = self._messages.popleft()
        if len(self._messages) == INBOUND_FRAMES // 2:
            self._on_room()
        return message


class Socket(WebSocketProtocol):  # type: ignore[misc] # Daphne is untyped
    """One WebSocket."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()
        self.application: asyncio.Task[None] | None = None
        self.application_queue = Inbound(self._read_on)
        self.is_gone = False
        self.is_paused = False
        self.opened = self.last_heard = time.monotonic()
        self.handshake_deferred: Any = None
        self._refusal: int | None = None

    # --- In

    def onOpen(self) -> None:
        """Take the transport's flow control over from the HTTP channel."""
        self.transport.unregisterProducer()
        self.transport.registerProducer(self.gate, True)  # noqa: FBT003

    def dataReceived(self, data: bytes) -> None:
        """Take bytes from the client; Autobahn's own method formats a log line."""
        self._dataReceived(data)

    def processData(self) -> bool:
        """Take the next frame out of what was read, unless the application is busy."""
        return not self.is_paused and super().processData()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: FBT001
        """Hand a message to the application."""
        if self.state != self.STATE_OPEN:
            return
        self.last_heard = time.monotonic()
        self.application_queue.put_nowait(
            {"type": "websocket.receive", "bytes": payload}
            if isBinary
            else {"type": "websocket.receive", "text": payload.decode()}
        )
        if self.application_queue.is_full and not self.is_paused:
            self.is_paused = True
            self.transport.pauseProducing()

    def onClose(self, wasClean: bool, code: int | None, reason: str) -> None:  # noqa: FBT001
        """Tell the application that the socket has closed."""
        self._end(code or 1005)

    def connectionLost(self, reason: Any) -> None:
        """Clean up; without a handshake there was no ``onClose``."""
        super().connectionLost(reason)
        self._end(1006)

    def _end(self, code: int) -> None:
        if self.is_gone:
            return
        self.is_gone = True
        self.gate.stopProducing()
        self.application_queue.put_nowait(
            {"type": "websocket.disconnect", "code": code}
        )
        self.server.protocol_disconnected(self)

    def _read_on(self) -> None:
        if self.is_paused and not self.is_gone:
            self.is_paused = False
            self.transport.resumeProducing()
            asyncio.get_running_loop().call_soon(self.consumeData)

    async def receive(self) -> dict[str, Any]:
        """ASGI's receive."""
        return await self.application_queue.get()

    # --- Out

    def handle_reply(self, message: Any) -> None:
        """Do what the application says."""
        if self.is_gone:
            return
        match message["type"]:
            case "websocket.send":
                self._send(message)
            case "websocket.accept":
                self._accept(message.get("subprotocol"))
            case "websocket.close":
                self.close(message.get("code"), message.get("reason") or "")
            case "websocket.http.response.start":
                self._refusal = message["status"]
            case "websocket.http.response.body":
                if not message.get("more_body"):
                    self._deny(self._refusal or 403, message.get("body", b"").decode())
            case other:
                raise ValueError(f"not a message of a socket: {other}")

    def _accept(self, subprotocol: str | None) -> None:
        deferred, self.handshake_deferred = self.handshake_deferred, None
        deferred.callback(subprotocol)

    def _send(self, message: Any) -> None:
        if self.state == self.STATE_CONNECTING:
            raise ValueError("the socket has not been accepted")
        if self.state != self.STATE_OPEN:
            return
        if (frames := message.get("frames")) is not None:
            kind = BINARY if message.get("binary") else TEXT
            self.transport.write_now(_frames(frames, kind))
        elif (body := message.get("bytes")) is not None:
            self.transport.write(_frames((body,), BINARY))
        else:
            self.transport.write(_frames((message["text"].encode(),), TEXT))

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Close; a peer that does not answer in 5 s is cut off."""
        if self.state == self.STATE_CONNECTING:
            self._deny(403, reason or "Access denied")
            return
        self.sendCloseFrame(code or NORMAL, reason.encode()[:123])
        self.gate.stopProducing()
        self._read_on()  # or its answer would not be seen

    def _deny(self, status: int, reason: str) -> None:
        deferred, self.handshake_deferred = self.handshake_deferred, None
        if deferred is not None:
            deferred.errback(ConnectionDeny(status, reason))

    def handle_exception(self, exception: BaseException) -> None:
        """Close a socket whose application failed."""
        if self.state == self.STATE_CONNECTING:
            self._deny(500, "Internal server error")
        else:
            self.close(SERVER_FAULT, "Internal server error")

    # --- Time

    def check_timeouts(self, now: float) -> None:
        """Deny a handshake that takes too long; ping a silent client."""
        if self.state == self.STATE_CONNECTING:
            if now - self.opened > CONNECT_TIMEOUT_S:
                self._deny(503, "The application did not answer in time")
        elif self.state == self.STATE_OPEN and now - self.last_heard > PING_INTERVAL_S:
            self.last_heard = now
            if self.autoPingTimeoutCall is None:
                self._sendAutoPing()

    def give_up_reader(self) -> None:
        """Close the socket of a client that takes nothing."""
        if self.state == self.STATE_OPEN:
            self.close(TRY_LATER, "Reader too slow")


class SocketFactory(WebSocketFactory):  # type: ignore[misc] # Daphne is untyped
    """Makes the sockets."""

    protocol = Socket

    def __init__(self, server: Any, *, max_message_bytes: int) -> None:
        super().__init__(server, server="nodetool")
        self.setProtocolOptions(
            autoPingTimeout=PONG_TIMEOUT_S,
            allowNullOrigin=True,
            openHandshakeTimeout=CONNECT_TIMEOUT_S,
            closeHandshakeTimeout=CLOSE_TIMEOUT_S,
            failByDrop=False,
            maxMessagePayloadSize=max_message_bytes,
            maxFramePayloadSize=max_message_bytes,
        )


def _frames(bodies: Iterable[bytes], kind: int) -> bytes:
    """Return the frames of many messages as one piece of wire."""
    pieces = []
    for body in bodies:
        size = len(body)
        if size < 126:
            pieces.append(bytes((kind, size)))
        elif size < 65_536:
            pieces.append(struct.pack("!BBH", kind, 126, size))
        else:
            pieces.append(struct.pack("!BBQ", kind, 127, size))
        pieces.append(body)
    return b"".join(pieces)
