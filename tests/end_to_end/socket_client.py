"""A client of /ws: commands out, direct replies and job events in."""

import asyncio
import json
import uuid
from collections import defaultdict
from typing import Any

import aiohttp
import msgpack

from tests.end_to_end.checker import EventChecker

JSON = dict[str, Any]
TIMEOUT_S = 60
TYPED_REPLIES = ("pong", "rpc_response")


class SocketClosed(Exception):
    """The server closed the socket; carries the code."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class JobSocket:
    """One connection, read by one task at a time.

    What arrives while somebody waits for something else is kept: ``events`` by job,
    ``replies`` in order, ``notices`` for messages that have no number.
    """

    def __init__(
        self, connection: aiohttp.ClientWebSocketResponse, *, encoding: str = "text"
    ) -> None:
        self.connection = connection
        self.encoding = encoding
        self.events: dict[str, list[JSON]] = defaultdict(list)
        self.replies: list[JSON] = []
        self.notices: list[JSON] = []
        self.checkers: dict[str, EventChecker] = {}

    async def send(self, frame: Any) -> None:
        """Send any value in the socket's encoding."""
        if self.encoding == "text":
            await self.connection.send_str(json.dumps(frame))
        else:
            await self.connection.send_bytes(msgpack.packb(frame))

    async def receive(self, timeout_s: float = TIMEOUT_S) -> JSON:
        """The next frame, decoded and filed.

        Raises:
            SocketClosed: the server closed.
            TimeoutError: nothing came.
        """
        async with asyncio.timeout(timeout_s):
            message = await self.connection.receive()
        frame = self._decode(message)
        self._file(frame)
        return frame

    async def command(self, command: str, **data: Any) -> JSON:
        """Send a command and return its direct reply."""
        await self.send({"command": command, "data": data})
        return await self.reply()

    async def reply(self) -> JSON:
        """The next direct reply."""
        while True:
            frame = await self.receive()
            if is_reply(frame):
                return frame

    async def run_job(self, **data: Any) -> str:
        """Start a job and return its id; its events are still to come."""
        data.setdefault("job_id", uuid.uuid4().hex)
        reply = await self.command("run_job", **data)
        assert reply.get("message") == "Job started", reply
        assert reply["job_id"] == data["job_id"]
        return str(data["job_id"])

    async def reconnect(self, job_id: str, *, last_seq: int = 0) -> JSON:
        """Read a job from a number on; events that were read before are forgotten."""
        self.events.pop(job_id, None)
        self.checkers[job_id] = EventChecker(after=last_seq)
        return await self.command("reconnect_job", job_id=job_id, last_seq=last_seq)

    async def until(self, job_id: str, type_: str, **fields: Any) -> JSON:
        """Read until the job has an event of ``type_`` with these fields."""
        seen = 0
        while True:
            for event in self.events[job_id][seen:]:
                seen += 1
                if event["type"] == type_ and fields.items() <= event.items():
                    return event
            await self.receive()

    async def until_end(self, *job_ids: str) -> list[JSON]:
        """Read until all these jobs have ended; the events of the first."""
        while not all(
            job in self.checkers and self.checkers[job].is_over for job in job_ids
        ):
            await self.receive()
        return self.events[job_ids[0]]

    async def run(self, **data: Any) -> list[JSON]:
        """Start a job and return all its events."""
        return await self.until_end(await self.run_job(**data))

    async def close(self) -> None:
        await self.connection.close()

    def abort(self) -> None:
        """Drop the connection without a word, as a killed client does."""
        http = self.connection._response.connection
        assert http is not None
        assert http.transport is not None
        http.transport.abort()

    def assert_valid(self) -> None:
        for checker in self.checkers.values():
            checker.assert_valid()

    def _decode(self, message: aiohttp.WSMessage) -> JSON:
        if message.type == aiohttp.WSMsgType.TEXT:
            frame = json.loads(message.data)
        elif message.type == aiohttp.WSMsgType.BINARY:
            frame = msgpack.unpackb(message.data)
        else:
            raise SocketClosed(self.connection.close_code)
        assert isinstance(frame, dict), frame
        return frame

    def _file(self, frame: JSON) -> None:
        if "job_seq" in frame:
            job_id = frame["job_id"]
            self.events[job_id].append(frame)
            self.checkers.setdefault(job_id, EventChecker()).feed(frame)
        elif is_reply(frame):
            self.replies.append(frame)
        else:
            self.notices.append(frame)


def is_reply(frame: JSON) -> bool:
    """Whether a frame answers a command, as against telling of a job or a turn."""
    kind = frame.get("type")
    if kind == "error":
        return "job_id" not in frame and "error_type" not in frame
    return kind is None or kind in TYPED_REPLIES
