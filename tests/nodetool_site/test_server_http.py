"""HTTP on the real server: back-pressure, bounds, disconnects, drain."""

import asyncio
import signal
import socket as sockets
import time

import aiohttp
import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from tests.end_to_end.processes import wait_until
from tests.nodetool_site.conftest import TinyServer
from tests.nodetool_site.test_server_sockets import FLOOD, MIB, settled, until_seen


def connect(server) -> sockets.socket:
    return sockets.create_connection(("127.0.0.1", server.port), timeout=20)


def ask(server, request: bytes) -> bytes:
    """Send bytes, read until the server closes."""
    with connect(server) as raw:
        raw.sendall(request)
        return b"".join(iter(lambda: raw.recv(65_536), b""))


def get(target: str, *, close: bool = True, method: str = "GET") -> bytes:
    end = "Connection: close\r\n" if close else ""
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{end}\r\n".encode()


async def test_stream_reader_that_stops_costs_little_and_gets_everything(new_tiny):
    """E-06, for server-sent events."""
    server = new_tiny()
    before = server.rss_bytes()

    with connect(server) as raw:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 65_536)
        raw.sendall(get(f"/flood?bytes={FLOOD}"))
        grown = await settled(server.rss_bytes) - before
        received = await asyncio.to_thread(_count_pieces, raw)

    assert grown < 16 * MIB
    assert received == FLOOD


def _count_pieces(raw) -> int:
    return sum(piece.count(b"x") for piece in iter(lambda: raw.recv(MIB), b""))


async def test_stream_reader_that_takes_nothing_is_cut_off(new_tiny):
    server = new_tiny("--stuck-reader-s", "0.5")
    with connect(server) as raw:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 65_536)
        raw.sendall(get(f"/flood?bytes={FLOOD}"))
        raw.recv(100)

        with pytest.raises(ConnectionError):
            await asyncio.to_thread(_read_slowly_until_reset, raw)


def _read_slowly_until_reset(raw) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        raw.sendall(b"\r\n")
        time.sleep(0.1)


async def test_body_comes_in_pieces(tiny):
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{tiny.http_url}/size", data=b"x" * 300_000) as answer,
    ):
        size, pieces = map(int, (await answer.text()).split())

    assert size == 300_000
    assert pieces > 3


async def test_chunked_body_is_whole(tiny):
    async def pieces():
        for _ in range(10):
            yield b"x" * 20_000

    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{tiny.http_url}/size", data=pieces()) as answer,
    ):
        assert (await answer.text()).startswith("200000 ")


def test_body_that_says_it_is_too_large_gets_413_before_it_is_sent(tiny):
    named = "X-Request-Id: mine-1\r\nOrigin: https://app.example\r\n"
    length = f"Content-Length: {2**30}\r\n\r\n"

    answer = ask(tiny, f"POST /size HTTP/1.1\r\nHost: x\r\n{named}{length}".encode())

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"PAYLOAD_TOO_LARGE"' in answer
    # A page can read it, and it has the name that its request was given.
    assert b"\r\nx-request-id: mine-1\r\n" in answer
    assert b"\r\nAccess-Control-Allow-Origin: *\r\n" in answer


def test_client_that_goes_on_sending_still_sees_its_413(tiny):
    """A reset would take the answer from it."""
    with connect(tiny) as raw:
        raw.sendall(
            b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n"
        )
        for _ in range(40):
            raw.sendall(b"x" * MIB)
        answer = b"".join(iter(lambda: raw.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"}")


def test_chunked_body_without_end_gets_413(tiny):
    """H-04: no length is no way around the limit."""
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    with connect(tiny) as raw:
        raw.sendall(
            b"POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(11 * MIB // 65_536):
            raw.sendall(chunk)
        assert raw.recv(65_536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_malformed_request_is_refused(tiny, request_bytes):
    answer = ask(tiny, request_bytes)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"BAD_REQUEST"' in answer
    assert ask(tiny, get("/seen")).startswith(b"HTTP/1.1 200 ")


async def test_client_that_hangs_up_is_noticed(tiny):
    with connect(tiny) as raw:
        raw.sendall(get("/wait"))
        await until_seen(tiny, "waiting")

    await until_seen(tiny, "hung up")


def test_requests_on_one_connection_are_answered_in_order(tiny):
    requests = get("/sleep?s=0.1", close=False) + get("/size", close=False)

    answer = ask(tiny, requests + get("/seen"))

    assert answer.count(b"HTTP/1.1 200 ") == 3
    assert answer.index(b"slept") < answer.index(b"0 1")


def test_head_and_empty_answers_have_no_body(tiny):
    head = ask(tiny, get("/seen", method="HEAD"))
    empty = ask(tiny, get("/empty"))

    assert head.startswith(b"HTTP/1.1 200 ")
    assert head.endswith(b"\r\n\r\n")
    assert empty.startswith(b"HTTP/1.1 204 ")
    assert empty.endswith(b"\r\n\r\n")
    assert b"ontent-Length" not in empty


def test_application_that_fails_is_answered_with_500(tiny):
    answer = ask(tiny, get("/crash"))

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b'"code":"INTERNAL"' in answer


def test_answer_that_breaks_off_is_not_passed_off_as_whole(tiny):
    try:
        answer = ask(tiny, get("/half"))
    except ConnectionError:
        answer = b""

    assert not answer.endswith(b"0\r\n\r\n")


def test_header_with_a_line_end_is_not_sent(tiny):
    answer = ask(tiny, get("/bad-header"))

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in answer


LORIS = {
    "request line": b"",
    "headers": b"POST /size HTTP/1.1\r\n",
    "one header": b"POST /size HTTP/1.1\r\nHost: ",
    "body": b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
    "chunks": b"POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"fff\r\n",
}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """A server that waits half a second for the rest of a request."""
    server = TinyServer(tmp_path_factory.mktemp("tiny"), "--head-timeout-s", "0.5")
    server.start()
    yield server
    server.kill9()


@pytest.mark.parametrize("part", LORIS)
def test_h04_a_request_that_trickles_in_gets_408(impatient, part):
    """A slow loris: it never stops sending, and never ends."""
    with connect(impatient) as raw:
        raw.sendall(LORIS[part])
        deadline = time.monotonic() + 30
        answer = b""
        raw.settimeout(0.1)
        while not answer and time.monotonic() < deadline:
            raw.sendall(b"x")
            try:
                answer = raw.recv(1_000)
            except TimeoutError:
                continue

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"retryable":' in answer


def test_h04_a_body_that_is_shorter_than_it_says_gets_408(impatient):
    half = b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"

    answer = ask(impatient, half)

    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_sigterm_closes_sockets_with_1012_and_lets_requests_finish(new_tiny):
    """F-07."""
    server = new_tiny()
    async with (
        websockets.connect(f"{server.ws_url}/echo") as socket,
        aiohttp.ClientSession() as client,
    ):
        request = asyncio.create_task(client.get(f"{server.http_url}/sleep?s=1"))
        await until_seen(server, "sleeping")

        server.signal(signal.SIGTERM)

        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert not _listens(server)
        answer = await request
        assert await answer.text() == "slept"

    assert closed.value.rcvd.code == 1012
    assert server.wait(timeout_s=20) == 0


def test_second_signal_ends_at_once(new_tiny):
    server = new_tiny()
    with connect(server) as raw:
        raw.sendall(get("/sleep?s=30"))
        asyncio.run(until_seen(server, "sleeping"))
        server.signal(signal.SIGTERM)
        wait_until(lambda: not _listens(server), what="the first signal")

        server.signal(signal.SIGTERM)

        assert server.wait(timeout_s=20) == 0


def _listens(server) -> bool:
    try:
        connect(server).close()
    except OSError:
        return False
    return True


def test_idle_server_ends_at_once(new_tiny):
    server = new_tiny()
    with connect(server):
        began = time.monotonic()

        assert server.terminate() == 0

    assert time.monotonic() - began < 15  # who has requests gets 25 s
