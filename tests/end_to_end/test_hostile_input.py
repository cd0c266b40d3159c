"""Malformed input of every kind: answered, and nothing comes of it (H-01)."""

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import Iterable
from typing import Any

import aiohttp
import msgpack
import pytest

from tests.end_to_end import graphs
from tests.end_to_end.checker import TERMINAL
from tests.end_to_end.client import ApiClient
from tests.end_to_end.graphs import node, output
from tests.end_to_end.hostile_frames import (
    ODD_VALUES,
    Frame,
    mutations,
    odd_frames,
    wrong_fields,
)
from tests.end_to_end.socket_client import is_reply

ANSWERED_S = 20.0  # how soon is the business of test_floods.py
HONEST_EVERY = 40


class Prober:
    """A socket that sends anything, and learns what each frame is answered."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self.connection = connection
        self.numbers = itertools.count()

    async def probe(self, frame: Frame) -> list[dict]:
        """The replies to ``frame``: what comes before the answer to a later ping."""
        sentinel = f"sentinel {next(self.numbers)}"
        await self._send(frame)
        await self._send(json.dumps({"command": "ping", "request_id": sentinel}))
        replies: list[dict] = []
        async with asyncio.timeout(ANSWERED_S):
            while (message := await self.receive()).get("request_id") != sentinel:
                if is_reply(message):
                    replies.append(message)
        return replies

    async def honest(self) -> None:
        """An honest run goes on working in between."""
        job_id = uuid.uuid4().hex
        data = {"graph": graphs.hello(), "job_id": job_id, "params": {"prompt": "hi"}}
        await self._send(json.dumps({"command": "run_job", "data": data}))
        async with asyncio.timeout(ANSWERED_S):
            while True:
                message = await self.receive()
                is_update = message.get("type") == "job_update"
                is_ours = message.get("job_id") == job_id
                if is_update and is_ours and message["status"] in TERMINAL:
                    break
        assert message["result"]["text"] == "hi world"

    async def receive(self) -> dict:
        message = await self.connection.receive()
        if message.type == aiohttp.WSMsgType.TEXT:
            return json.loads(message.data)
        assert message.type == aiohttp.WSMsgType.BINARY, message
        return msgpack.unpackb(message.data)

    async def _send(self, frame: Frame) -> None:
        if isinstance(frame, str):
            await self.connection.send_str(frame)
        else:
            await self.connection.send_bytes(frame)


async def assert_all_answered(api: ApiClient, frames: Iterable[Frame]) -> int:
    """Each has exactly one reply on a connection that stays open; returns the count."""
    count = 0
    url = f"{api.base_url}/ws"
    async with api.session.ws_connect(url, max_msg_size=0) as connection:
        prober = Prober(connection)
        for count, frame in enumerate(frames, 1):
            replies = await prober.probe(frame)
            assert len(replies) == 1, (frame[:300], replies)
            assert "Traceback" not in str(replies)
            if count % HONEST_EVERY == 0:
                await prober.honest()
    await assert_nothing_runs(api)
    return count


async def assert_nothing_runs(api: ApiClient) -> None:
    """Whatever a frame has started has ended."""
    async with asyncio.timeout(20):
        while (await api.get("/api/jobs/running/all")).json:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_h01_each_odd_frame_has_one_reply(api):
    assert await assert_all_answered(api, odd_frames()) >= 70


async def test_h01_each_field_of_each_command_may_hold_anything(api):
    assert await assert_all_answered(api, wrong_fields()) >= 300


@pytest.mark.parametrize("seed", range(3))
async def test_h01_honest_frames_with_bytes_changed_have_one_reply(api, seed):
    assert await assert_all_answered(api, mutations(seed, 400)) == 400


# --- the protocol below the frames


def ws_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: bytes | None = None,
) -> bytes:
    """A WebSocket frame, with whatever is wrong about it."""
    first = bytes([(fin << 7) | (rsv << 4) | opcode])
    if length is None:
        size = len(payload)
        length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    length = bytes([length[0] | (masked << 7)]) + length[1:]
    return first + length + (b"\0\0\0\0" if masked else b"") + payload


TEXT, BINARY, CLOSE, PING, PONG, CONTINUED = 1, 2, 8, 9, 10, 0
HONEST = b'{"command": "ping", "request_id": "still here"}'
PROTOCOL = {
    "reserved opcode": ws_frame(3, b"x"),
    "reserved control opcode": ws_frame(11),
    **{f"reserved bits {rsv}": ws_frame(TEXT, HONEST, rsv=rsv) for rsv in range(1, 8)},
    "no mask": ws_frame(TEXT, HONEST, masked=False),
    "ping in fragments": ws_frame(PING, b"x", fin=False),
    "long ping": ws_frame(PING, b"x" * 126),
    "close with one byte": ws_frame(CLOSE, b"\x03"),
    **{
        f"close {code}": ws_frame(CLOSE, code.to_bytes(2, "big"))
        for code in (0, 999, 1000, 1004, 1005, 1006, 1015, 2999, 3000, 5000, 65535)
    },
    "close reason no text": ws_frame(CLOSE, b"\x03\xe8\xff\xfe"),
    "close then more": ws_frame(CLOSE, b"\x03\xe8") + ws_frame(TEXT, HONEST),
    "no UTF-8": ws_frame(TEXT, b"\xff\xfe"),
    "overlong UTF-8": ws_frame(TEXT, b"\xc0\xaf"),
    "surrogate as UTF-8": ws_frame(TEXT, b"\xed\xa0\x80"),
    "half a character": ws_frame(TEXT, b"\xf0\x9f"),
    "half a character, then the rest": ws_frame(TEXT, b'"\xf0\x9f', fin=False)
    + ws_frame(CONTINUED, b'\x98\x80"'),
    "continuation of nothing": ws_frame(CONTINUED, HONEST),
    "two beginnings": ws_frame(TEXT, b"{", fin=False) + ws_frame(TEXT, HONEST),
    "length beyond 63 bit": ws_frame(TEXT, length=b"\x7f" + b"\xff" * 8),
    "length of a terabyte": ws_frame(TEXT, length=b"\x7f" + (2**40).to_bytes(8, "big")),
    "length in too many bytes": ws_frame(TEXT, b"{}", length=b"\x7e\x00\x02"),
    "empty text": ws_frame(TEXT),
    "empty binary": ws_frame(BINARY),
    "a pong that nobody wants": ws_frame(PONG, b"x"),
    "2000 fragments": ws_frame(TEXT, b"", fin=False)
    + b"".join(ws_frame(CONTINUED, bytes([c]), fin=False) for c in HONEST * 43)
    + ws_frame(CONTINUED),
    "ping between fragments": ws_frame(TEXT, HONEST[:9], fin=False)
    + ws_frame(PING, b"x")
    + ws_frame(CONTINUED, HONEST[9:]),
    "half a frame": ws_frame(TEXT, HONEST)[:9],
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "zeros": b"\x00" * 4000,
    "ones": b"\xff" * 4000,
}


def handshake(**changes: str | None) -> bytes:
    """A request for a socket; a header that is None is left out."""
    request = changes.pop("request", "GET /ws HTTP/1.1")
    headers = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([str(request), *lines, "", ""]).encode("latin-1")


async def raw(api: ApiClient, data: bytes) -> tuple[bytes, asyncio.StreamWriter, Any]:
    """Send bytes on a connection of their own; the head of the answer."""
    port = int(api.base_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    async with asyncio.timeout(ANSWERED_S):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            head = b""
    return head, writer, reader


@pytest.mark.parametrize("name", PROTOCOL)
async def test_h01_a_broken_protocol_ends_the_connection_or_is_answered(api, name):
    head, writer, reader = await raw(api, handshake())
    assert head.startswith(b"HTTP/1.1 101")

    writer.write(PROTOCOL[name] + ws_frame(TEXT, HONEST))
    seen = b""
    async with asyncio.timeout(ANSWERED_S):
        # To the answer, to a close frame, or to the end of the connection.
        with contextlib.suppress(ConnectionResetError):
            while b"still here" not in seen and not seen.startswith(b"\x88"):
                part = await reader.read(65536)
                seen += part
                if not part:
                    break
    writer.transport.abort()

    async with api.socket() as socket:
        assert (await socket.command("ping"))["type"] == "pong"


HANDSHAKES = {
    "no key": handshake(Sec_WebSocket_Key=None),
    "odd key": handshake(Sec_WebSocket_Key="no base64"),
    "old version": handshake(Sec_WebSocket_Version="7"),
    "version in words": handshake(Sec_WebSocket_Version="thirteen"),
    "no version": handshake(Sec_WebSocket_Version=None),
    "no upgrade": handshake(Upgrade=None),
    "other upgrade": handshake(Upgrade="h2c"),
    "POST": handshake(request="POST /ws HTTP/1.1"),
    "unknown socket": handshake(request="GET /ws/terminal HTTP/1.1"),
    "no host": handshake(Host=None),
    "odd host": handshake(Host="a b\x7f"),
    "odd path": handshake(request="GET /ws/%00%ff/../.. HTTP/1.1"),
    "long path": handshake(request=f"GET /ws?{'x' * 100_000} HTTP/1.1"),
    "long header": handshake(X_Long="x" * 100_000),
    "old HTTP": handshake(request="GET /ws HTTP/0.9"),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    + b"\x00" * 300
    + b"\r\n\r\n",
    "half a line": b"GET /ws HTT\r\n\r\n",
    "bad length": b"POST /api/workflows/ HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: minus\r\n\r\n",
    "two lengths": b"POST /api/workflows/ HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": b"POST /api/workflows/ HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunks": b"POST /api/workflows/ HTTP/1.1\r\nHost: localhost\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_h01_a_malformed_request_is_refused(api, name):
    head, writer, _ = await raw(api, HANDSHAKES[name])
    writer.transport.abort()

    status = head.split(b" ", 2)[1:2]
    assert not status or status[0].startswith(b"4"), head
    assert (await api.get("/health")).status == 200


# --- HTTP


def is_error_body(answer: Any) -> bool:
    body = answer.json
    return (
        isinstance(body["detail"], str)
        and isinstance(body["code"], str)
        and isinstance(body["retryable"], bool)
    )


JSON_TYPE = {"Content-Type": "application/json"}
BAD_BODIES = {
    "no JSON": b"{",
    "no UTF-8": b'{"params": {"a": "\xff"}}',
    "not a number": b'{"params": {"a": NaN}}',
    "a list": b"[]",
    "a text": b'"x"',
    "nested": b'{"params": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "two documents": b"{}{}",
    "params a list": b'{"params": []}',
    "params a text": b'{"params": "x"}',
    "stream a text": b'{"params": {}, "stream": "yes"}',
    "job id a number": b'{"params": {}, "job_id": 1}',
    "job id with a blank": b'{"params": {}, "job_id": "a b"}',
    "timeout a text": b'{"params": {}, "timeout": "x"}',
    "timeout negative": b'{"params": {}, "timeout": -1}',
    "graph a list": b'{"params": {}, "graph": []}',
}


@pytest.mark.parametrize("path", ["run", "run/stream"])
async def test_h01_a_malformed_run_request_is_400_in_json(api, path):
    workflow = await api.create_workflow(graphs.hello())
    url = f"/api/workflows/{workflow['id']}/{path}"
    for name, body in BAD_BODIES.items():
        answer = await api.request("POST", url, data=body, headers=JSON_TYPE)

        assert answer.status == 400, (name, answer.content)
        assert is_error_body(answer), name
        assert answer.headers["Content-Type"] == "application/json", name
    await assert_nothing_runs(api)


async def test_h01_any_field_of_a_run_may_hold_anything(api):
    """Refused, or run; a 5xx only where it tells of a job that has failed."""
    workflow = await api.create_workflow(graphs.hello())
    url = f"/api/workflows/{workflow['id']}/run"
    fields = ("params", "job_id", "timeout", "graph", "background", "stream", "x")
    for name, value in itertools.product(fields, ODD_VALUES):
        body = json.dumps({"params": {}, name: value})
        answer = await api.request("POST", url, data=body, headers=JSON_TYPE)

        is_failed_job = answer.status == 500 and answer.json.get("status") == "failed"
        assert is_failed_job or answer.status < 500, (name, value, answer.content)
    await assert_nothing_runs(api)


async def test_h01_any_field_of_a_workflow_may_hold_anything(api):
    names = ("name", "access", "graph", "description", "tags", "settings", "run_mode")
    for name, value in itertools.product((*names, "thumbnail", "id"), ODD_VALUES):
        fields = {"name": "n", "access": "private", "graph": {"nodes": []}, name: value}
        body = json.dumps(fields)
        for method, path in (("POST", "/api/workflows/"), ("PUT", "/api/workflows/h")):
            answer = await api.request(method, path, data=body, headers=JSON_TYPE)

            assert answer.status in (200, 400, 422), (name, value, answer.content)
            assert answer.status == 200 or is_error_body(answer)
        listed = await api.get("/api/workflows/?limit=500")
        assert listed.status == 200, (name, value)
        assert (await api.get("/api/workflows/h")).status in (200, 404)


ODD_IDS = [
    "a%20b",
    "..",
    "%2e%2e%2f",
    "%00",
    "x" * 300,
    "%F0%9F%98%80",
    "'%3B--",
    "%ff",
]
JOB_PATHS = ["", "/events", "/stream", "/cancel", "/pause", "/resume", "/input"]


@pytest.mark.parametrize("job_id", ["nobody", *ODD_IDS])
async def test_h01_an_id_that_nobody_has_is_404(api, job_id):
    for path in JOB_PATHS:
        method = "GET" if path in ("", "/events", "/stream") else "POST"
        body = {"input": "x", "value": 1} if method == "POST" else None
        url = f"/api/jobs/{job_id}{path}"
        answer = await api.request(method, url, json=body)
        assert answer.status in (400, 404), (url, answer.content)
        assert is_error_body(answer)
    for path in ("", "/run", "/run/stream"):
        method = "POST" if path else "GET"
        answer = await api.request(method, f"/api/workflows/{job_id}{path}")
        assert answer.status in (400, 404, 405), (path, answer.content)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/api/jobs/", 405),
        ("PATCH", "/api/workflows/", 405),
        ("GET", "/api/workflows/x/run", 405),
        ("GET", "/workflows/x/run/stream", 405),
        ("PUT", "/health", 405),
        ("TRACE", "/api/jobs/", 405),
        ("BREW", "/api/jobs/", 405),
        ("GET", "/api/nowhere", 404),
        ("GET", "/nowhere", 404),
        ("POST", "/ws", 404),
        ("GET", "/api/jobs/?limit=many", 422),
        ("GET", "/api/workflows/?limit=many", 422),
        ("GET", "/api/jobs/?start_key=%00", 400),
        ("GET", "/api/workflows/?cursor=%ff", 400),
        ("GET", "/api/workflows/?columns=password", 400),
        ("GET", "/api/jobs/?status=flying", 400),
        ("GET", "/api/jobs/x/events?after=first", 422),
    ],
)
async def test_h01_a_wrong_method_path_or_query_has_the_contracts_answer(
    api, method, path, status
):
    answer = await api.request(method, path)

    assert answer.status == status, answer.content
    if status == 405:
        assert answer.headers["Allow"]
    assert is_error_body(answer)


async def test_h01_hostile_graphs_fail_with_a_reason_and_leave_nothing_running(api):
    many = [node(f"n{n}", "nodetool.text.Concat") for n in range(6000)]
    long = "x" * 100_000
    hostile = {
        "too many nodes": {"nodes": many, "edges": []},
        "no types": {"nodes": [{"id": "a"}], "edges": []},
        "type of another kind": {"nodes": [node("a", "builtins.exec")], "edges": []},
        "path as type": {"nodes": [node("a", "../../../etc/passwd")], "edges": []},
        "long names": {"nodes": [node(long, long)], "edges": []},
        "odd names": {"nodes": [node("\x00\u202e", "\x00")], "edges": []},
        "edge to itself": {
            "nodes": [node("a", "nodetool.text.Concat")],
            "edges": [graphs.edge("a", "a", "a")],
        },
        "edges from nowhere": {
            "nodes": [output()],
            "edges": [graphs.edge("x", "y"), graphs.edge("x", "out")],
        },
        "the same edge twice": {
            "nodes": [graphs.text_input(), output()],
            "edges": [graphs.edge("in", "out")] * 2,
        },
        "a parent that is its own": {
            "nodes": [{**output(), "parent_id": "out"}],
            "edges": [],
        },
    }
    async with api.socket() as socket:
        for name, graph in hostile.items():
            job_id = uuid.uuid4().hex
            reply = await socket.command("run_job", graph=graph, job_id=job_id)
            if "error" in reply:
                continue
            async with asyncio.timeout(20):
                events = await socket.until_end(job_id)
            if events[-1]["status"] == "failed":
                assert len(events[-1]["error"]) > 10, name
    await assert_nothing_runs(api)
