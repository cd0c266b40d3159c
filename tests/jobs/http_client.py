"""Calls the HTTP application in this process; streams can be read and hung up."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from nodetool_site.handler import Handler
from tests.nodetool_site.asgi_client import scope_of

PATIENCE_S = 30
LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request under way. The server may send a piece only when it is taken."""

    def __init__(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> None:
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self.started: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._body = body
        self._is_sent = False
        self._hung_up = asyncio.Event()
        scope = scope_of(method, target, headers)
        scope["path"] = unquote(scope["path"])
        self.task = asyncio.create_task(Handler()(scope, self._receive, self._send))

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers, once they are there."""
        done, _ = await asyncio.wait(
            [self.started, self.task],
            timeout=PATIENCE_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert done, "no answer came"
        if not self.started.done():
            await self.task
        start = self.started.result()
        headers = {k.decode().lower(): v.decode("latin-1") for k, v in start["headers"]}
        return start["status"], headers

    async def piece(self) -> bytes | None:
        """What the server sends next; None at the end."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.pieces.get()

    async def rest(self) -> bytes:
        """Everything to the end."""
        pieces = []
        while (piece := await self.piece()) is not None:
            pieces.append(piece)
        async with asyncio.timeout(PATIENCE_S):
            await self.task
        return b"".join(pieces)

    async def hang_up(self) -> None:
        """Leave, as a client does that closes its connection."""
        self._hung_up.set()
        async with asyncio.timeout(PATIENCE_S):
            await self.task

    async def _receive(self) -> dict[str, Any]:
        if not self._is_sent:
            self._is_sent = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._hung_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.started.set_result(message)
            return
        if message.get("body"):
            await self.pieces.put(message["body"])
        if not message.get("more_body"):
            await self.pieces.put(None)


@dataclass
class HttpUser:
    """A caller; ``token`` is sent where there is one."""

    token: str = ""

    @asynccontextmanager
    async def open(
        self, method: str, target: str, body: Any = None, **headers: str
    ) -> AsyncIterator[Exchange]:
        """Send a request; header names have ``_`` for ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            named["authorization"] = f"Bearer {self.token}"
        if body is not None:
            named.setdefault("content-type", "application/json")
        if not isinstance(body, bytes):
            body = b"" if body is None else json.dumps(body).encode()
        exchange = Exchange(method, target, body, named)
        try:
            yield exchange
        finally:
            if not exchange.task.done():
                await exchange.hang_up()

    async def request(
        self, method: str, target: str, body: Any = None, **headers: str
    ) -> Answer:
        async with self.open(method, target, body, **headers) as exchange:
            status, answered = await exchange.head()
            return Answer(status, answered, await exchange.rest())

    async def get(self, target: str, **headers: str) -> Answer:
        return await self.request("GET", target, **headers)

    async def post(self, target: str, body: Any = None, **headers: str) -> Answer:
        return await self.request(
            "POST", target, {} if body is None else body, **headers
        )


@dataclass
class SseEvent:
    id: str
    data: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def seq(self) -> int:
        return int(self.id.rpartition(":")[2])


@dataclass
class Sse:
    """A text of server-sent events, read as the standard says."""

    events: list[SseEvent]
    comments: list[str]
    retry: str = ""

    @property
    def seqs(self) -> list[int]:
        return [event.seq for event in self.events if event.id]


def parse_sse(body: bytes) -> Sse:
    found = Sse([], [])
    event_id, data = "", []
    for line in LINE_END.split(body.decode()):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                found.events.append(SseEvent(event_id, "\n".join(data)))
            event_id, data = "", []
        elif not name:
            found.comments.append(value)
        elif name == "data":
            data.append(value)
        elif name == "id":
            event_id = value
        elif name == "retry":
            found.retry = value
        else:
            raise AssertionError(f"unexpected field {name}")
    return found
