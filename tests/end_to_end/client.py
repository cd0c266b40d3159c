"""A client of the REST and SSE surfaces, as small as the contract allows."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

from tests.end_to_end.checker import TERMINAL, EventChecker
from tests.end_to_end.socket_client import JobSocket

JSON = dict[str, Any]
TIMEOUT_S = 60


@dataclass
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class SseStream:
    """Server-sent events as they arrive; every job event passes the checker."""

    def __init__(self, response: aiohttp.ClientResponse, *, after: int = 0) -> None:
        self.response = response
        self.status = response.status
        self.headers = response.headers
        self.checker = EventChecker(after=after)
        self.ids: list[str] = []
        self.comments: list[str] = []

    async def __aiter__(self) -> AsyncIterator[JSON]:
        """Each event; ends when the server closes."""
        async for raw in self.response.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("data:"):
                yield self._event(line[5:].strip())
            elif line.startswith("id:"):
                self.ids.append(line[3:].strip())
            elif line.startswith(":"):
                self.comments.append(line[1:].strip())

    async def all(self) -> list[JSON]:
        """Every event to the end of the stream, checked as far as it goes."""
        events = [event async for event in self]
        self.checker.assert_valid()
        return events

    def _event(self, data: str) -> JSON:
        event: JSON = json.loads(data)
        if "job_seq" in event:
            self.checker.feed(event)
        return event


@dataclass
class ApiClient:
    """One user's connection pool to one server.

    Used as a context manager; sockets that it opened close with it.
    """

    base_url: str
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    # Of this machine, from which the requests come; any of 127.0.0.0/8 will do.
    address: str = ""

    async def __aenter__(self) -> Self:
        headers = dict(self.headers)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        self.session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(
                limit=0, local_addr=(self.address, 0) if self.address else None
            ),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            read_bufsize=2**20,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        """Send one request; redirects are not followed, no path of ours has one."""
        options.setdefault("allow_redirects", False)
        async with self.session.request(
            method, self.base_url + path, **options
        ) as reply:
            return Answer(reply.status, reply.headers, await reply.read())

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.request("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return await self.request("POST", path, json=body, **options)

    async def create_workflow(
        self, graph: JSON, name: str = "test", **fields: Any
    ) -> JSON:
        """Save a workflow and return it as the server did."""
        body = {"name": name, "access": "private", "graph": graph, **fields}
        answer = await self.post("/api/workflows/", body)
        assert answer.status == 200, answer.content
        workflow: JSON = answer.json
        return workflow

    async def run(
        self, workflow_id: str, params: JSON | None = None, **fields: Any
    ) -> Answer:
        """Run a workflow and wait for its result."""
        body = {"params": params or {}, **fields}
        return await self.post(f"/api/workflows/{workflow_id}/run", body)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "POST",
        last_event_id: str = "",
    ) -> AsyncIterator[SseStream]:
        """Open a stream of events at any of its paths."""
        headers = {"Accept": "text/event-stream"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        after = int(last_event_id.rpartition(":")[2] or 0)
        url = self.base_url + path
        async with self.session.request(
            method, url, json=body, headers=headers
        ) as reply:
            yield SseStream(reply, after=after)

    async def run_stream(
        self, workflow_id: str, params: JSON | None = None, **fields: Any
    ) -> list[JSON]:
        """Run a workflow over SSE and return all its events."""
        path = f"/workflows/{workflow_id}/run/stream"
        async with self.stream(path, {"params": params or {}, **fields}) as stream:
            assert stream.status == 200, await stream.response.text()
            return await stream.all()

    async def job(self, job_id: str) -> JSON:
        answer = await self.get(f"/api/jobs/{job_id}")
        assert answer.status == 200, answer.content
        job: JSON = answer.json
        return job

    async def wait_for_job(
        self,
        job_id: str,
        *statuses: str,
        timeout_s: float = TIMEOUT_S,
    ) -> JSON:
        """Poll until the job has one of ``statuses`` (default: has ended)."""
        async with asyncio.timeout(timeout_s):
            while True:
                job = await self.job(job_id)
                if job["status"] in (statuses or TERMINAL):
                    return job
                await asyncio.sleep(0.02)

    async def events(self, job_id: str, *, after: int = 0) -> list[JSON]:
        """The stored events above ``after``, all pages of them."""
        events: list[JSON] = []
        position: int | None = after
        while position is not None:
            path = f"/api/jobs/{job_id}/events?after={position}&limit=500"
            answer = await self.get(path)
            assert answer.status == 200, answer.content
            events += answer.json["events"]
            position = answer.json["next"]
        return events

    @asynccontextmanager
    async def socket(
        self, *, encoding: str = "text", query: str = "", **options: Any
    ) -> AsyncIterator[JobSocket]:
        """An open /ws that speaks JSON text or MessagePack."""
        url = f"{self.base_url}/ws{query}"
        options.setdefault("max_msg_size", 0)
        async with self.session.ws_connect(url, **options) as connection:
            socket = JobSocket(connection, encoding=encoding)
            yield socket
            socket.assert_valid()
