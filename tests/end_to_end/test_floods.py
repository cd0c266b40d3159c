"""Thousands of malformed frames: answered or closed, and nobody else notices (H-02)."""

import asyncio
import itertools
import json
import os
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import msgpack
import pytest

from tests.end_to_end.client import ApiClient
from tests.end_to_end.hostile_frames import Frame, mutations, odd_frames, wrong_fields
from tests.end_to_end.server import ServerProcess, new_backend
from tests.end_to_end.socket_client import is_reply
from tests.stalls import Stalls

# HOSTILE_FRAMES=10000 is the long form, of a minute for each mode and test.
COUNT = int(os.environ.get("HOSTILE_FRAMES", "1000"))
PER_S = 200
BURST = 200
ANSWERED_S = 2.0
OTHERS_S = 0.25
CLOSED_S = 30.0
MEMORY = 10 * 1024**2
TOKEN = "a-token-of-enough-characters"


@pytest.fixture(scope="module")
def private_server(mode, tmp_path_factory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp(f"private-{mode}") / "data"
    environment = {
        "NODETOOL_SERVER_MODE": "private",
        "AUTH_PROVIDER": "static",
        "SERVER_AUTH_TOKEN": TOKEN,
    }
    with new_backend(mode, folder) as backend:
        server = ServerProcess(backend, env=environment, token=TOKEN)
        try:
            yield server.start()
        finally:
            server.close()


@pytest.fixture
async def private(private_server) -> AsyncIterator[ApiClient]:
    """A client of a server that limits the rate of frames."""
    private_server.mark_logs()
    async with ApiClient(private_server.base_url, token=TOKEN) as client:
        yield client
    private_server.assert_clean_log()


def hostile(count: int) -> list[Frame]:
    """Frames that are malformed in many ways, none of which starts a run."""
    kinds = itertools.chain(
        (f for f in odd_frames() if len(f) < 10_000 and not _may_run(f)),
        (f for f in wrong_fields() if len(f) < 10_000 and not _may_run(f)),
        (f for f in mutations(7, 3 * count) if b"hostile" not in _bytes(f)),
    )
    return list(itertools.islice(itertools.cycle(list(kinds)), count))


def _may_run(frame: Frame) -> bool:
    return any(word in _bytes(frame) for word in (b"run_job", b"role"))


def _bytes(frame: Frame) -> bytes:
    return frame.encode("utf-8", "replace") if isinstance(frame, str) else frame


async def send(socket: aiohttp.ClientWebSocketResponse, frame: Frame) -> None:
    if isinstance(frame, str):
        await socket.send_str(frame)
    else:
        await socket.send_bytes(frame)


def decoded(message: aiohttp.WSMessage) -> dict:
    if message.type == aiohttp.WSMsgType.TEXT:
        return json.loads(message.data)
    return msgpack.unpackb(message.data)


@asynccontextmanager
async def others_notice_nothing(
    api: ApiClient, server: ServerProcess
) -> AsyncIterator[None]:
    """Another socket's pings stay quick, and the server small."""
    waits: list[float] = []
    async with api.socket() as neighbour:
        for _ in range(5):
            await neighbour.command("ping")
        before = server.rss_bytes()

        async def ping() -> None:
            while True:
                started = time.monotonic()
                await neighbour.command("ping")
                waits.append(time.monotonic() - started)
                await asyncio.sleep(0.02)

        pinging = asyncio.create_task(ping())
        try:
            with Stalls() as stalls:
                yield
                await asyncio.sleep(0.1)
        finally:
            pinging.cancel()
    grown = server.rss_bytes() - before
    assert grown < MEMORY, f"{grown / 1024**2:.1f} MiB"
    assert len(waits) >= 3
    worst = statistics.quantiles(waits, n=100)[98] if len(waits) > 100 else max(waits)
    assert worst < OTHERS_S + stalls.seconds, (worst, stalls.seconds)


async def warm(api: ApiClient) -> None:
    """What the first frames of a kind make the server load is not their growth."""
    async with api.session.ws_connect(f"{api.base_url}/ws") as socket:
        for frame in hostile(150):
            await send(socket, frame)
            await socket.receive()


async def test_h02_paced_frames_are_each_answered_within_2_s(api, server):
    """In desktop mode, where no rate is too high."""
    await warm(api)
    frames = hostile(COUNT)
    waits: list[float] = []
    sent: list[float] = []
    stalls = Stalls()
    async with (
        others_notice_nothing(api, server),
        api.session.ws_connect(f"{api.base_url}/ws", max_msg_size=0) as socket,
    ):

        async def read() -> None:
            while len(waits) < COUNT:
                if is_reply(decoded(await socket.receive())):
                    waits.append(time.monotonic() - sent[len(waits)])

        reading = asyncio.create_task(read())
        started = time.monotonic()
        with stalls:
            for number, frame in enumerate(frames):
                await asyncio.sleep(max(0, started + number / PER_S - time.monotonic()))
                sent.append(time.monotonic())
                await send(socket, frame)
            async with asyncio.timeout(30):
                await reading

    assert len(waits) == COUNT
    assert max(waits) < ANSWERED_S + stalls.seconds


async def test_h02_frames_without_pacing_are_answered_in_desktop_mode(api, server):
    await warm(api)
    async with (
        others_notice_nothing(api, server),
        api.session.ws_connect(f"{api.base_url}/ws", max_msg_size=0) as socket,
    ):
        sending = asyncio.create_task(send_all(socket, hostile(COUNT)))
        async with asyncio.timeout(60):
            replies = 0
            while replies < COUNT:
                replies += is_reply(decoded(await socket.receive()))
        await sending


async def send_all(
    socket: aiohttp.ClientWebSocketResponse, frames: list[Frame]
) -> None:
    for frame in frames:
        await send(socket, frame)


@pytest.mark.parametrize("sockets", [1, 5])
async def test_h02_frames_without_pacing_are_closed_with_1008_elsewhere(
    private, private_server, sockets
):
    async with others_notice_nothing(private, private_server):
        closed = await asyncio.gather(*(flood(private) for _ in range(sockets)))

    for code, replies in closed:
        assert code == 1008
        assert replies[-1] == {"error": "rate_limited"}
        assert BURST <= len(replies) - 1 < BURST + COUNT // 2
        assert replies.count(replies[-1]) == 1


async def flood(api: ApiClient) -> tuple[int | None, list[dict]]:
    """Send without a pause until the server closes; the code, and what it said."""
    async with api.session.ws_connect(f"{api.base_url}/ws", max_msg_size=0) as socket:
        sending = asyncio.create_task(send_all(socket, hostile(COUNT)))
        async with asyncio.timeout(CLOSED_S):
            replies = [decoded(message) async for message in socket]
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return socket.close_code, replies
