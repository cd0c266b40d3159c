"""A model server for tests: it answers each request with bytes that the test wrote."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[[asyncio.StreamWriter], Any]
Json = dict[str, Any]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Json:
        return json.loads(self.content)


@dataclass
class Vendor:
    """Answers in turn with ``answers``; the last one is given ever after."""

    answers: list[Answer]
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        watch = asyncio.create_task(self._watch(reader, writer))
        try:
            while not writer.transport.is_closing():
                self.requests.append(await _request(reader))
                self.was_asked.set()
                number = min(len(self.requests), len(self.answers)) - 1
                await self.answers[number](writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            watch.cancel()
            self.left.set()
            writer.close()

    async def _watch(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while not reader.at_eof():  # noqa: ASYNC110 - reading would take a request
            await asyncio.sleep(0.005)
        self.left.set()
        writer.close()


async def _request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, content)


@asynccontextmanager
async def vendor(*answers: Answer) -> AsyncIterator[Vendor]:
    """Yield a server that gives these answers, on an address of its own."""
    served = Vendor(list(answers))
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()


def head(status: int = 200, kind: str = "text/event-stream", **headers: str) -> bytes:
    named = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items())
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{named}".encode()


def whole(
    content: bytes, status: int = 200, kind: str = "application/json", **headers: str
) -> Answer:
    """An answer of known length."""

    async def write(writer: asyncio.StreamWriter) -> None:
        length = f"Content-Length: {len(content)}\r\n\r\n".encode()
        writer.write(head(status, kind, **headers) + length + content)

    return write


def document(body: Any, status: int = 200, **headers: str) -> Answer:
    return whole(json.dumps(body).encode(), status, **headers)


def stream(
    *pieces: bytes, kind: str = "text/event-stream", then: Answer | None = None
) -> Answer:
    """A chunked answer, a piece per write; ``then`` takes over before its end."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, kind) + b"Transfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        await (then or _end)(writer)

    return write


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"0\r\n\r\n")


async def reset(writer: asyncio.StreamWriter) -> None:
    """Let what was written arrive, then cut the connection."""
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.transport.abort()


async def silence(writer: asyncio.StreamWriter) -> None:
    """Say nothing until the client has gone."""
    await writer.wait_closed()


def endless(piece: bytes, sent: list[int] | None = None) -> Answer:
    """The same piece for ever; the sizes of those that were taken are in ``sent``."""

    async def write(writer: asyncio.StreamWriter) -> None:
        block = b"%x\r\n%s\r\n" % (len(piece), piece)
        while not writer.transport.is_closing():
            writer.write(block)
            await writer.drain()
            if sent is not None:
                sent.append(len(piece))

    return write


def events(*bodies: Any) -> bytes:
    """These bodies as server-sent events; a text is sent as it is."""
    said = (body if isinstance(body, str) else json.dumps(body) for body in bodies)
    return "".join(f"data: {text}\n\n" for text in said).encode()


def lines(*bodies: Any) -> bytes:
    return b"".join(json.dumps(body).encode() + b"\n" for body in bodies)
