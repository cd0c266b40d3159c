"""HTTP on Twisted: bodies in pieces, answers in one write, clients within bounds."""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import lru_cache
from typing import IO, Any
from urllib.parse import unquote

from daphne.http_protocol import WebRequest
from twisted.web import http

from nodetool_site.lib.answer_headers import add_headers, request_id_of
from nodetool_site.lib.bodies import body_limit, is_streamed
from nodetool_site.lib.errors import (
    ApplicationError,
    BadRequest,
    PayloadTooLarge,
)
from nodetool_site.refusals import refusal_response
from nodetool_site.serving.transport import Gate
from storage.errors import StorageFull
from storage.stores import telling_full_disk

BODY_PIECE_BYTES = 64 * 1024
MAX_QUEUED_BODY_BYTES = 512 * 1024
IN_MEMORY_BODY_BYTES = 1024**2
HEAD_TIMEOUT_S = 20.0
BODY_MIN_BYTES_PER_S = 8 * 1024
LINGER_S = 5.0
SERVER_NAME = b"nodetool"
# By a name of its own: the module looks each of its names up among the deprecated.
NO_BODY_CODES = frozenset(http.NO_BODY_CODES)

UNREADABLE = BadRequest("The request line is not readable.")


class BodyQueue:
    """A body between the network and its reader; when it is full, the peer waits."""

    def __init__(self, producer: Any) -> None:
        self.is_whole = False
        self._is_abandoned = False
        self._producer = producer
        self._is_paused = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._changed: asyncio.Future[None] | None = None

    @property
    def is_read(self) -> bool:
        """Whether everything came and was taken."""
        return self.is_whole and not self._pieces

    def put(self, data: bytes) -> None:
        """Add what has arrived."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size > MAX_QUEUED_BODY_BYTES and not self._is_paused:
            self._is_paused = True
            self._producer.pauseProducing()
        self._wake()

    def end(self) -> None:
        """Say that everything has arrived."""
        self.is_whole = True
        self._wake()

    def abandon(self) -> None:
        """Say that nothing will arrive any more."""
        self._is_abandoned = True
        self._pieces.clear()
        self._wake()

    async def get(self) -> bytes | None:
        """Return all that is there, waiting for some; None if it was abandoned."""
        while not (self._pieces or self.is_whole or self._is_abandoned):
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed
        if self._is_abandoned:
            return None
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._is_paused:
            self._is_paused = False
            self._producer.resumeProducing()
        return data

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)


class Request(WebRequest):  # type: ignore[misc] # Daphne is untyped
    """One request and its answer."""

    def __init__(self, channel: Any, queued: object = False) -> None:  # noqa: FBT002
        self.gate = Gate()
        self.application: asyncio.Task[None] | None = None
        self.is_gone = False
        self.is_refused = False
        self.started = time.monotonic()
        self.received_bytes = 0
        self._unread: int | None = None
        self._stream: BodyQueue | None = None
        self._disconnected_waiter: asyncio.Future[None] | None = None
        self.startedWriting = 0
        self._head: bytes | None = None
        super().__init__(channel, queued, parsePOSTFormSubmission=False)

    # --- In

    def gotLength(self, length: int | None) -> None:
        """Prepare for a body, or refuse one that says it is too large."""
        method = self.channel._command.decode("latin-1")
        path = unquote(self.channel._path.split(b"?")[0].decode("latin-1"))
        self._limit = body_limit(method, path)
        if length is not None and self._limit and length > self._limit:
            self.refuse(PayloadTooLarge())
        elif length != 0 and is_streamed(method, path):
            self._start_stream()
        self.content: IO[bytes] = tempfile.SpooledTemporaryFile(  # noqa: SIM115
            IN_MEMORY_BODY_BYTES
        )

    def _start_stream(self) -> None:
        """Start the application now: it reads the body as it arrives."""
        channel = self.channel
        self.method, self.uri = channel._command, channel._path
        self.clientproto = channel._version
        scope = self._scope()
        if scope is None:
            self.refuse(UNREADABLE)
            return
        self._stream = BodyQueue(channel._networkProducer)
        self.server.create_application(self, scope)

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a piece of the body, as long as it is within the limit."""
        if self.is_refused:
            return
        self.received_bytes += len(data)
        if self._stream is not None:
            self._stream.put(data)
        elif self._limit and self.received_bytes > self._limit:
            self.refuse(PayloadTooLarge())
        else:
            self._spool(data)

    def _spool(self, data: bytes) -> None:
        try:
            with telling_full_disk():
                self.content.write(data)
        except StorageFull as error:
            self.refuse(error)

    def process(self) -> Any:
        """Start the application; Daphne does the upgrade to a WebSocket."""
        if self.is_refused:
            return None
        if self._stream is not None:
            self._stream.end()
            return None
        upgrade = self.requestHeaders.getRawHeaders(b"Upgrade", [b""])[0]
        if upgrade.lower() == b"websocket":
            return super().process()
        scope = self._scope()
        if scope is None:
            self.refuse(UNREADABLE)
        else:
            self._unread = self.received_bytes
            self.content.seek(0)
            self.server.create_application(self, scope)
        return None

    def _scope(self) -> dict[str, Any] | None:
        """Return the ASGI scope; None if path or query are not ASCII."""
        path, _, query = self.uri.partition(b"?")
        if not self.uri.isascii():
            return None
        client, host = self.client, self.host
        return {
            "type": "http",
            "http_version": self.clientproto.rpartition(b"/")[2].decode("ascii"),
            "method": self.method.decode("ascii"),
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "root_path": "",
            "scheme": "http",
            "query_string": query,
            "headers": [
                (name.lower(), value)
                for name, values in self.requestHeaders.getAllRawHeaders()
                # An underscore would become a dash on its way to the application.
                if b"_" not in name
                for value in values
            ],
            "client": [client.host, client.port] if client else None,
            "server": [host.host, host.port] if host else None,
            "extensions": {},
        }

    async def receive(self) -> dict[str, Any]:
        """ASGI's receive: the body in pieces as they are asked for, then the end."""
        if self._stream is not None and not self._stream.is_read:
            piece = await self._stream.get()
            if piece is not None:
                more = not self._stream.is_read
                return {"type": "http.request", "body": piece, "more_body": more}
            return {"type": "http.disconnect"}
        if not self.is_gone and self._unread is not None:
            body = self.content.read(BODY_PIECE_BYTES)
            self._unread -= len(body)
            more = self._unread > 0
            if not more:
                self._unread = None
            return {"type": "http.request", "body": body, "more_body": more}
        if not self.is_gone:
            self._disconnected_waiter = asyncio.get_running_loop().create_future()
            await self._disconnected_waiter
        return {"type": "http.disconnect"}

    # --- Out

    def handle_reply(self, message: Any) -> None:
        """Write what the application sends: a whole answer in one piece."""
        if self.is_gone:
            return
        if message["type"] == "http.response.start":
            if self._stream is not None and not self._stream.is_whole:
                self._take_no_more()
            self.setResponseCode(message["status"])
            self._head = self._make_head(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self._write_body(message.get("body", b""), message.get("more_body", False))
        else:
            raise ValueError(f"not a message of a response: {message['type']}")

    def _make_head(self, status: int, headers: Any) -> bytes:
        lines = [
            _status_line(self.clientproto, status),
            b"Date: " + _date(int(time.time())),
            b"Server: " + SERVER_NAME,
        ]
        self._has_length = False
        for name, value in headers:
            if name.lower() == b"content-length":
                self._has_length = True
            lines.append(name + b": " + value)
        if not self.channel.persistent:
            lines.append(b"Connection: close")
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
            raise ValueError("a header holds a line end")
        return head

    def _write_body(self, body: bytes, more: bool) -> None:  # noqa: FBT001
        if not self.startedWriting:
            if self._head is None:
                raise ValueError("the body came before the start of the response")
            self.startedWriting = 1
            body = self._open_answer(self._head, body, more)
        elif self.method == b"HEAD" or self.code in NO_BODY_CODES:
            body = b""
        elif self.chunked and body:
            body = _chunk(body)
        if body:
            self.channel.transport.write_now(body)
        if not more:
            self.finish()

    def _open_answer(self, head: bytes, body: bytes, more: bool) -> bytes:  # noqa: FBT001
        """Return the head, and the beginning of the body that goes with it."""
        has_body = self.method != b"HEAD" and self.code not in NO_BODY_CODES
        if not self._has_length and self.code not in NO_BODY_CODES:
            if not more:
                head += b"\r\nContent-Length: %d" % len(body)
            elif self.clientproto == b"HTTP/1.1" and has_body:
                head += b"\r\nTransfer-Encoding: chunked"
                self.chunked = 1
        if more:
            self._close_gate_when_full()
        if not has_body or not body:
            return head + b"\r\n\r\n"
        return head + b"\r\n\r\n" + (_chunk(body) if self.chunked else body)

    def _close_gate_when_full(self) -> None:
        self.registerProducer(self.gate, True)  # noqa: FBT003 - Twisted's signature
        if self.channel._waitingForTransport:
            self.gate.pauseProducing()

    def handle_exception(self, exception: BaseException) -> None:
        """Answer for an application that failed: in words, or by cutting the line."""
        if self.is_gone:
            return
        if self.startedWriting:
            self.channel.transport.abortConnection()
        else:
            self._answer(ApplicationError())

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """Daphne's own refusals, in the form that all errors have."""
        if not self.is_gone and not self.startedWriting:
            error = BadRequest(body) if status < 500 else ApplicationError()
            self._answer(error)

    def _answer(self, error: ApplicationError) -> None:
        target: bytes = getattr(self.channel, "_path", None) or b""
        answer = refusal_response(error, target.split(b"?")[0].decode("latin-1"))
        request_id, origin = map(self._header, ("x-request-id", "origin"))
        add_headers(answer, request_id=request_id_of(request_id), origin=origin)
        self.handle_reply(
            {
                "type": "http.response.start",
                "status": answer.status_code,
                "headers": [
                    (name.encode("latin-1"), value.encode("latin-1"))
                    for name, value in answer.items()
                ],
            }
        )
        self.handle_reply({"type": "http.response.body", "body": answer.content})

    def _header(self, name: str) -> str:
        found: list[str] = self.requestHeaders.getRawHeaders(name, [""])
        return found[0]

    def refuse(self, error: ApplicationError) -> None:
        """Answer before the request is complete, and take no more of it."""
        self._take_no_more()
        self.clientproto = b"HTTP/1.1"
        self._answer(error)

    def _take_no_more(self) -> None:
        self.is_refused = True
        self.channel.is_refusing = True
        self.channel.persistent = False

    # --- End

    def finish(self) -> None:
        """End the answer."""
        if self.producer is not None:
            self.unregisterProducer()
        http.Request.finish(self)
        self._end()

    def connectionLost(self, reason: Any) -> None:
        """Tell the application that its client has gone."""
        http.Request.connectionLost(self, reason)
        self._end()

    def _end(self) -> None:
        self.is_gone = True
        self.gate.stopProducing()
        if self._stream is not None:
            self._stream.abandon()
        waiter = self._disconnected_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        self.server.protocol_disconnected(self)


class Channel(http.HTTPChannel):  # type: ignore[misc] # Twisted's mixins
    """One client's connection: requests one after the other."""

    requestFactory = Request
    partial_since: float | None = None
    is_refusing = False

    def lineReceived(self, line: bytes) -> bool:
        """Take a line of the head; True, which ends the reading, after a refusal."""
        if self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            self._refuse_head()
        if not self.is_refusing:
            super().lineReceived(line)
        return self.is_refusing

    def lineLengthExceeded(self, line: bytes) -> bool:
        """Refuse a line that is longer than a whole head may be."""
        self._refuse_head()
        return True

    def headerReceived(self, line: bytes) -> bool:
        """Take a header, as long as there are not too many."""
        if self._receivedHeaderCount >= self.maxHeaders:
            self._refuse_head()
        if self.is_refusing:
            return False
        accepted: bool = super().headerReceived(line)
        return accepted

    def _refuse_head(self) -> None:
        self._refuse(HeadTooLarge() if self.requests else TargetTooLong())

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Twisted's word for what it cannot read."""
        self._refuse(BadRequest("The request is not readable."))

    def _refuse(self, error: ApplicationError) -> None:
        """Answer a request that is not complete, and take no more of it."""
        if self.is_refusing:
            return
        if not self.requests:
            self.requests.append(Request(self))
        self.requests[-1].refuse(error)

    def check_timeouts(self, now: float) -> None:
        """Refuse a request that trickles in: a few bytes a second for ever."""
        if self._handlingRequest or self.is_refusing:
            return
        if self.requests:
            request = self.requests[-1]
            allowed_s = HEAD_TIMEOUT_S + request.received_bytes / BODY_MIN_BYTES_PER_S
            is_over = now - request.started > allowed_s
            if is_over and not request.startedWriting:
                request.refuse(RequestTimeout())
        elif self._buffer:  # the beginning of a request line
            self.partial_since = self.partial_since or now
            if now - self.partial_since > HEAD_TIMEOUT_S:
                self._refuse(RequestTimeout())
        else:
            self.partial_since = None

    def loseConnection(self) -> None:
        """Close once everything is sent.

        After a refusal the client may still be sending. A connection that is closed
        with unread bytes is reset, and the client would not see the answer: read on a
        while without keeping what comes.
        """
        if not self.is_refusing:
            super().loseConnection()
            return
        self.setTimeout(None)
        self.dataReceived = lambda data: None
        self.transport.resumeProducing()
        self.transport.loseWriteConnection()
        self.callLater(LINGER_S, self.transport.abortConnection)


class RequestTimeout(ApplicationError):
    """The client did not send its request in time."""

    status = 408
    default_message = "The request did not arrive in time"


class HeadTooLarge(ApplicationError):
    """The headers are too many, or too long together."""

    status = 431
    default_message = "Too many headers, or too long ones"


class TargetTooLong(ApplicationError):
    """The request line is longer than a whole head may be."""

    status = 414
    default_message = "The address of the request is too long"


class Factory(http.HTTPFactory):  # type: ignore[misc] # Twisted's mixins
    """Makes the channels. The access log is the application's."""

    protocol = Channel

    def __init__(self, server: Any) -> None:
        super().__init__()
        self.server = server

    def log(self, request: Any) -> None:
        """Write nothing."""


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


@lru_cache(maxsize=256)
def _status_line(version: bytes, status: int) -> bytes:
    reason = http.RESPONSES.get(status, b"Unknown")
    return b"%b %d %b" % (version, status, reason)


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    date: bytes = http.datetimeToString(second)
    return date
