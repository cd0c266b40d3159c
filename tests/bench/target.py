"""The server under measurement, as a client sees it. Every answer is checked."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgpack

from tests.bench.measure import WrongAnswer, now
from tests.end_to_end.server import ServerProcess

TERMINAL = ("completed", "failed", "cancelled", "suspended")
CONNECTION_FRAMES = ("system_stats", "resource_change", "ping")


@dataclass(frozen=True)
class Options:
    """How long and how much; ``quick`` makes a smoke run whose figures mean nothing."""

    window_s: float = 6.0
    timeout_s: float = 300.0
    # An open socket lingers before it closes, outside the timed part: S9 measures
    # what happens to a server when it does not.
    settle_s: float = 0.6
    stream_items: int = 100_000
    upstream: str = ""
    quick: bool = False


@dataclass
class JobTimes:
    """What came back for one run_job on one connection; times in seconds."""

    first: float | None = None
    first_update: float | None = None
    end: float = 0.0
    values: list[Any] = field(default_factory=list)
    messages: int = 0
    size_bytes: int = 0
    completed_nodes: set[str] = field(default_factory=set)
    status: str = ""
    error: str | None = None
    job_id: str | None = None

    def require(self, value: Any) -> None:
        """Raise when the job did not complete with ``value`` among its outputs."""
        if self.status != "completed" or value not in self.values:
            shown = str(self.values)[:80]
            raise WrongAnswer(f"{self.status} {self.error} values={shown}")


@dataclass
class Target:
    """A connection pool to the measured server."""

    server: ServerProcess
    options: Options
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return self.server.base_url

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, server: ServerProcess, options: Options
    ) -> AsyncIterator["Target"]:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=options.timeout_s),
            read_bufsize=2**20,
        ) as session:
            yield cls(server, options, session)

    async def get(self, path: str) -> bytes:
        async with self.session.get(self.url + path) as reply:
            content = await reply.read()
            if reply.status != 200:
                raise WrongAnswer(f"{path}: HTTP {reply.status}")
            return content

    @asynccontextmanager
    async def workflow(self, graph: dict[str, Any], name: str) -> AsyncIterator[str]:
        """A saved workflow's id; deleted afterwards."""
        workflow_id = await self.create(graph, name)
        try:
            yield workflow_id
        finally:
            await self.delete(workflow_id)

    async def create(self, graph: dict[str, Any], name: str) -> str:
        body = {"name": name, "access": "private", "graph": graph}
        async with self.session.post(f"{self.url}/api/workflows/", json=body) as reply:
            answer = await reply.json()
            if reply.status not in (200, 201):
                raise WrongAnswer(f"create: HTTP {reply.status} {answer}")
            return str(answer["id"])

    async def delete(self, workflow_id: str) -> None:
        with suppress(aiohttp.ClientError, TimeoutError):
            url = f"{self.url}/api/workflows/{workflow_id}"
            async with self.session.delete(url) as reply:
                await reply.read()

    def open_socket(self) -> Any:
        return self.session.ws_connect(f"{self.url}/ws", max_msg_size=0, autoping=True)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """An open /ws that lingers before it closes."""
        connection = await self.open_socket()
        try:
            yield connection
        finally:
            await asyncio.sleep(self.options.settle_s)
            await connection.close()

    async def run_job(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        *,
        mode: str = "text",
        **request: Any,
    ) -> JobTimes:
        """Send run_job and read to its end; one job at a time per connection."""
        message = {"command": "run_job", "data": self.request(**request)}
        times, start = JobTimes(), now()
        if mode == "text":
            await socket.send_str(json.dumps(message))
        else:
            await socket.send_bytes(msgpack.packb(message))
        while not times.status:
            async with asyncio.timeout(self.options.timeout_s):
                received = await socket.receive()
            frame = _decode(received)
            if frame.get("type") in CONNECTION_FRAMES:
                continue
            times.messages += 1
            times.size_bytes += len(received.data)
            _note(times, frame, now() - start)
        return times

    def request(
        self,
        *,
        graph: dict[str, Any] | None = None,
        workflow_id: str = "",
        prompt: str = "hello",
    ) -> dict[str, Any]:
        """A run_job request as the reference's own clients send it."""
        data: dict[str, Any] = {
            "type": "run_job_request",
            "api_url": f"{self.url}/api",
            "workflow_id": workflow_id or str(uuid.uuid4()),
            "job_type": "workflow",
            "auth_token": "",
            "params": {"prompt": prompt},
            "job_id": str(uuid.uuid4()),
            "user_id": "1",
            "execution_strategy": "threaded",
        }
        return data if graph is None else {**data, "graph": graph}


def _decode(message: aiohttp.WSMessage) -> dict[str, Any]:
    if message.type == aiohttp.WSMsgType.TEXT:
        frame = json.loads(message.data)
    elif message.type == aiohttp.WSMsgType.BINARY:
        frame = msgpack.unpackb(message.data)
    else:
        raise WrongAnswer(f"socket closed in mid-job ({message.type}, {message.data})")
    if "type" not in frame and frame.get("error"):
        raise WrongAnswer(f"command refused: {str(frame)[:200]}")
    return dict(frame)


def _note(times: JobTimes, frame: dict[str, Any], elapsed: float) -> None:
    if times.first is None:
        times.first = elapsed
    kind = frame.get("type")
    if kind == "output_update":
        times.values.append(frame.get("value"))
    elif kind == "node_update" and frame.get("status") == "completed":
        times.completed_nodes.add(frame["node_id"])
    elif kind == "job_update":
        _note_job(times, frame, elapsed)


def _note_job(times: JobTimes, frame: dict[str, Any], elapsed: float) -> None:
    times.job_id = times.job_id or frame["job_id"]
    if frame["job_id"] != times.job_id:
        return  # a straggler of an earlier job on this connection
    if times.first_update is None:
        times.first_update = elapsed
    if frame["status"] in TERMINAL:
        times.end = elapsed
        times.status, times.error = frame["status"], frame.get("error")
