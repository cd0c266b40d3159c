"""WebSockets on the real server: back-pressure, close codes, order."""

import asyncio
import contextlib
import socket as sockets
import time
from collections.abc import Callable

import aiohttp
import psutil
import pytest
import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.end_to_end.processes import wait_until

MIB = 1024**2
FLOOD = 200 * MIB


async def close_of(url: str) -> tuple[int, str]:
    async with websockets.connect(url) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def read_all(socket) -> None:
    while True:
        await socket.recv()


async def seen(server) -> list[str]:
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{server.http_url}/seen") as answer,
    ):
        return (await answer.text()).split("\n")


async def until_seen(server, line: str, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while line not in await seen(server):
        assert time.monotonic() < deadline, f"not seen: {line}"


async def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    await asyncio.to_thread(
        wait_until, condition, what="the condition", timeout_s=timeout_s
    )


async def settled(read, *, still_s: float = 0.5) -> int:
    """Return the value once it has not grown for a while."""
    value, since = read(), time.monotonic()
    while time.monotonic() - since < still_s:
        await asyncio.sleep(0.05)
        now = read()
        if now > value + MIB // 2:
            value, since = now, time.monotonic()
    return value


async def test_reader_that_stops_costs_little_and_gets_everything_later(new_tiny):
    """E-06: 200 MiB to a client that does not read add less than 16 MiB."""
    server = new_tiny()
    before = server.rss_bytes()

    async with websockets.connect(
        f"{server.ws_url}/flood?bytes={FLOOD}", max_queue=1, compression=None
    ) as socket:
        grown = await settled(server.rss_bytes) - before
        assert "flood sent" not in await seen(server)
        received = sum([len(piece) async for piece in socket])

    assert grown < 16 * MIB
    assert received == FLOOD


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, "Done"),
        (1008, "Missing-authentication"),
        (1011, "Fault"),
        (1012, "Restart"),
        (1013, "Later"),
        (4000, "Own"),
    ],
)
async def test_client_sees_the_close_code_and_reason(tiny, code, reason):
    url = f"{tiny.ws_url}/close?code={code}&reason={reason}"

    assert await close_of(url) == (code, reason)


@pytest.mark.parametrize("path", ["crash", "return"])
async def test_application_that_ends_closes_with_1011_at_once(tiny, path):
    began = time.monotonic()

    code, _ = await close_of(f"{tiny.ws_url}/{path}")

    assert code == 1011
    assert time.monotonic() - began < 10


async def test_application_that_fails_before_accepting_refuses_with_500(tiny):
    with pytest.raises(InvalidStatus) as refused:
        await websockets.connect(f"{tiny.ws_url}/crash-early")

    assert refused.value.response.status_code == 500


@pytest.mark.parametrize("status", [403, 404])
async def test_application_chooses_the_status_of_a_refusal(tiny, status):
    with pytest.raises(InvalidStatus) as refused:
        await websockets.connect(f"{tiny.ws_url}/refuse?status={status}")

    assert refused.value.response.status_code == status


async def test_refused_upgrades_leave_no_descriptor(tiny):
    """E-07, its second half."""
    before = len(_connections(tiny.pid))

    for _ in range(100):
        with contextlib.suppress(InvalidStatus):
            await websockets.connect(f"{tiny.ws_url}/refuse?status=403")

    await until(lambda: len(_connections(tiny.pid)) <= before)


def _connections(pid: int) -> list[int]:
    """The ports of the clients."""
    found = psutil.Process(pid).net_connections("tcp")
    return [one.raddr.port for one in found if one.raddr]


async def test_frame_over_the_limit_closes_with_1009(tiny):
    async with websockets.connect(f"{tiny.ws_url}/echo", compression=None) as socket:
        await socket.send(b"x" * (16 * MIB + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()

    assert closed.value.rcvd.code == 1009


async def test_frame_at_the_limit_is_taken_in_good_time(tiny):
    async with websockets.connect(
        f"{tiny.ws_url}/echo", compression=None, max_size=None
    ) as socket:
        await socket.send(b"x" * (16 * MIB))
        began = time.monotonic()
        assert len(await socket.recv()) == 16 * MIB

    assert time.monotonic() - began < 20


async def test_text_that_is_not_utf8_closes_with_1007(tiny):
    async with websockets.connect(f"{tiny.ws_url}/echo", compression=None) as socket:
        await socket.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()

    assert closed.value.rcvd.code == 1007


async def test_many_frames_in_one_write_keep_their_order(tiny):
    async with websockets.connect(f"{tiny.ws_url}/numbers", max_size=None) as socket:
        texts = [await socket.recv() for _ in range(1_000)]
        sizes = [len(await socket.recv()) for _ in range(4)]
        last = await socket.recv()

    assert texts == [str(n) for n in range(1_000)]
    assert sizes == [125, 126, 65_535, 65_536]
    assert last == "last"


async def test_client_that_sends_too_fast_is_made_to_wait(tiny):
    """At most 64 frames wait in the server; the rest stays with the client."""
    frames = 3_000
    before = tiny.rss_bytes()
    async with websockets.connect(
        f"{tiny.ws_url}/busy?frames={frames}", compression=None
    ) as socket:
        sender = asyncio.create_task(_send_many(socket, frames))
        grown = await settled(tiny.rss_bytes) - before
        assert not sender.done()
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"{tiny.http_url}/unbusy"),
        ):
            assert await socket.recv() == str(frames)
        await sender

    assert grown < 16 * MIB


async def _send_many(socket, frames: int) -> None:
    for _ in range(frames):
        await socket.send(b"y" * 32_768)


async def test_reader_that_takes_nothing_is_closed_with_1013(new_tiny):
    """E-06: 30 s in the product, 1 s here."""
    server = new_tiny("--stuck-reader-s", "1")
    async with websockets.connect(
        f"{server.ws_url}/flood?bytes={FLOOD}", max_queue=1, compression=None
    ) as socket:
        await until_seen(server, "flood sent")
        with pytest.raises(ConnectionClosed) as closed:
            await read_all(socket)

    assert closed.value.rcvd.code == 1013


async def test_reader_that_takes_nothing_is_cut_off_after_its_close_frame(new_tiny):
    server = new_tiny("--stuck-reader-s", "0.5")
    with sockets.create_connection(("127.0.0.1", server.port)) as raw:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 65_536)
        raw.sendall(_handshake(f"/flood?bytes={FLOOD}"))
        port = raw.getsockname()[1]
        await until(lambda: port not in _connections(server.pid))


def _handshake(target: str) -> bytes:
    return (
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


async def test_peer_that_answers_no_ping_is_dropped_and_others_are_not(new_tiny):
    """E-07: a minute in the product, a few seconds here."""
    server = new_tiny("--ping-interval-s", "0.5")
    async with websockets.connect(f"{server.ws_url}/echo") as answering:
        with sockets.create_connection(("127.0.0.1", server.port)) as silent:
            silent.sendall(_handshake("/echo"))
            port = silent.getsockname()[1]
            await until(lambda: port in _connections(server.pid))

            await until(lambda: port not in _connections(server.pid))

        await answering.send("still here")
        assert await answering.recv() == "still here"


async def test_client_that_vanishes_ends_its_application(tiny):
    async with websockets.connect(f"{tiny.ws_url}/echo") as socket:
        await socket.send("hello")
        await socket.recv()
        socket.transport.abort()

    await until_seen(tiny, "echo ended 1006")
