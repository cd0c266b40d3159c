"""Bodies and heads without measure: refused in time, at little memory (H-04)."""

import asyncio
import gzip
import io
import json
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.end_to_end import graphs
from tests.end_to_end.client import ApiClient
from tests.end_to_end.server import ServerProcess
from tests.stalls import Stalls

MIB = 1024**2
BOUND_S = 30
MEMORY = 32 * MIB
PATH = "/api/workflows/"
JSON_TYPE = "application/json"


@asynccontextmanager
async def little_memory(server: ServerProcess) -> AsyncIterator[None]:
    """The web process grows by 32 MiB at most, at any moment meanwhile."""
    before = peak = server.rss_bytes()
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, server.rss_bytes())
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        done.set()
        await watching
    assert peak - before < MEMORY, f"{(peak - before) / MIB:.1f} MiB"


async def send(api: ApiClient, pieces: Iterator[bytes] | list[bytes]) -> bytes:
    """Send bytes while the server takes them; all that it answers."""
    port = int(api.base_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(reader.read())
    async with asyncio.timeout(BOUND_S):
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                if answer.done():
                    break
        with suppress(ConnectionError):
            received = await answer
    writer.transport.abort()
    return received


def head(*lines: str, method: str = "POST", path: str = PATH) -> bytes:
    standard = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    return "\r\n".join([*standard, *lines, "", ""]).encode()


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer.split(b" ", 2)[1])


def assert_error(answer: bytes, status: int) -> None:
    assert status_of(answer) == status, answer[:300]
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert set(body) >= {"detail", "code", "retryable"}


async def assert_still_serves(api: ApiClient) -> None:
    started = time.monotonic()
    assert (await api.get("/health")).status == 200
    assert time.monotonic() - started < 10


# --- without end


def endless_chunks(total: int) -> Iterator[bytes]:
    yield head("Transfer-Encoding: chunked", f"Content-Type: {JSON_TYPE}")
    chunk = b"%x\r\n%b\r\n" % (256 * 1024, b" " * 256 * 1024)
    for _ in range(total // (256 * 1024)):
        yield chunk


async def test_h04_a_gibibyte_in_chunks_is_refused_at_its_limit(api, server):
    async with little_memory(server):
        assert_error(await send(api, endless_chunks(1024 * MIB)), 413)
    await assert_still_serves(api)


async def test_h04_a_gibibyte_that_is_announced_is_refused_before_it_comes(api):
    answer = await send(api, [head(f"Content-Length: {1024 * MIB}")])

    assert_error(answer, 413)


@pytest.mark.parametrize(
    "length",
    ["-1", "1e3", "+5", "0x10", "5 5", "5,5", "", "\xb2", "1" * 400, "Infinity"],
)
async def test_h04_a_length_that_is_none_is_refused(api, length):
    answer = await send(api, [head(f"Content-Length: {length}"), b"{}"])

    assert status_of(answer) in (400, 413)


async def test_h04_what_comes_behind_the_length_is_no_request(api):
    body = json.dumps({"name": "x", "access": "private"}).encode()
    request = head(f"Content-Length: {len(body)}", f"Content-Type: {JSON_TYPE}")
    request = request.replace(b"Connection: close\r\n", b"")

    answer = await send(api, [request + body + b"x" * 100 + b"\r\n\r\n"])

    assert b"Invalid workflow" in answer, answer  # there is no graph
    rest = answer[answer.index(b"HTTP/1.1", 10) :]
    assert_error(rest, 400)


@pytest.mark.parametrize(
    "extra",
    [
        ["Content-Length: 2", "Content-Length: 3"],
        ["Content-Length: 2", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip"],
        ["Transfer-Encoding: chunked, chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity, chunked"],
        ["Transfer-Encoding : chunked"],
        ["Transfer-Encoding:\x0bchunked"],
    ],
)
async def test_h04_two_ideas_of_the_length_are_refused(api, extra):
    """Or a proxy and this server would see different requests in one stream."""
    answer = await send(api, [head(*extra), b"0\r\n\r\nGET /health HTTP/1.1\r\n\r\n"])

    assert_error(answer, 400)
    assert answer.count(b"HTTP/1.1 ") == 1


# --- the head


def headers(count: int, size: int = 1) -> Iterator[bytes]:
    yield head()[:-2]
    for number in range(count):
        yield b"x-%d: %b\r\n" % (number, b"x" * size)
    yield b"\r\n"


HEADS = {
    "100 000 headers": ([*headers(100_000)], 431),
    "100 000 of one name": ([head()[:-2], *[b"a: b\r\n"] * 100_000, b"\r\n"], 431),
    "501 headers": ([*headers(501)], 431),
    "20 headers of 1 KiB": ([*headers(20, 1024)], 431),
    "a header of 1 MiB": ([*headers(1, MIB)], 431),
    "a header that goes on": ([head()[:-2], b"a: b\r\n", *[b" c\r\n"] * 100_000], 431),
    "a name of 1 MiB": ([head()[:-2], b"x" * MIB + b": y\r\n\r\n"], 431),
    "no end of line": ([head()[:-2], b"x: " + b"y" * 4 * MIB], 431),
    "an address of 1 MiB": ([head(path="/" + "x" * MIB)], 414),
    "a method of 1 MiB": ([head(method="X" * MIB)], 414),
    "no name": ([head(": x")], 400),
    "no colon": ([head("nonsense")], 400),
    "NUL in a value": ([head("a: b\0c")], 400),
    "a blank before the colon": ([head("a : b")], 400),
}


@pytest.mark.parametrize("name", HEADS)
async def test_h04_a_head_without_measure_is_refused_in_words(api, server, name):
    pieces, status = HEADS[name]

    async with little_memory(server):
        answer = await send(api, pieces)

    assert_error(answer, status)
    await assert_still_serves(api)


@pytest.mark.parametrize(("count", "size"), [(400, 1), (10, 1024)])
async def test_h04_many_headers_are_no_fault(api, count, size):
    extra = [f"x-{number}: {'x' * size}" for number in range(count)]

    answer = await send(api, [head(*extra, method="GET", path="/health")])

    assert status_of(answer) == 200


# --- what the body holds

WORKFLOW = {"name": "x", "access": "private", "graph": {"nodes": [], "edges": []}}
PLAIN = json.dumps(WORKFLOW).encode()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(PLAIN)),
        ("gzip", gzip.compress(b" " * 100 * MIB)),
        ("deflate", zlib.compress(PLAIN)),
        ("br", PLAIN),
        ("gzip, identity", PLAIN),
        ("x-unknown", PLAIN),
    ],
    # A compressed body holds the second of its making: as part of an id it would
    # make two workers collect different tests.
    ids=["gzip", "gzip bomb", "deflate", "br", "two", "unknown"],
)
async def test_h04_a_compressed_body_is_415(api, server, encoding, body):
    given = {"Content-Type": JSON_TYPE, "Content-Encoding": encoding}
    for path in (PATH, "/api/workflows/x/run", "/workflows/x/run/stream"):
        async with little_memory(server):
            answer = await api.request("POST", path, data=body, headers=given)
        assert answer.status == 415, path
        assert "Content-Encoding" in answer.json["detail"]


FORM = "&".join(f"field{number}=x" for number in range(10_000))
PARTS = "".join(
    f'--x\r\nContent-Disposition: form-data; name="f{number}"\r\n\r\nx\r\n'
    for number in range(10_000)
)
FORMS = {
    "application/x-www-form-urlencoded": FORM,
    "multipart/form-data; boundary=x": f"{PARTS}--x--\r\n",
}


@pytest.mark.parametrize("content_type", FORMS)
@pytest.mark.parametrize(
    ("path", "statuses"), [(PATH, [415]), ("/admin/login/", [400, 403])]
)
async def test_h04_a_form_of_10_000_fields_is_refused(
    api, server, path, statuses, content_type
):
    given = {"Content-Type": content_type}
    async with little_memory(server):
        answer = await api.request(
            "POST", path, data=FORMS[content_type], headers=given
        )

    assert answer.status in statuses, answer.content
    await assert_still_serves(api)


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    deep = opening * depth + "1" + closing * depth
    return b'{"params": {"a": %b}}' % deep.encode()


BODIES = {
    "a key twice": b'{"params": {}, "params": {"a": 1}}',
    "a key twice, further in": b'{"params": {"a": {"b": 1, "b": 1}}}',
    "a key twice, once escaped": b'{"params": {}, "p\\u0061rams": {}}',
    "a key twice with a colon": b'{"params": {"a:": 1, "a\\u003a": 2}}',
    "1 000 000 times a key": b'{"params": {%b"a": 1}}' % (b'"a": 1, ' * 1_000_000),
    "2 000 lists deep": nested(2_000),
    "2 000 objects deep": nested(2_000, '{"a":', "}"),
    "a million lists deep": nested(1_000_000),
    "a million brackets": b'{"params": ' + b"[" * 1_000_000,
    "3 000 000 lists": b'{"params": {"a": [%b]}}' % (b"[]," * 3_000_000 + b"1"),
    "5 000 000 numbers": b'{"params": {"a": [%b]}}' % (b"1," * 5_000_000 + b"1"),
    "2 000 000 objects": b'{"params": {"a": [%b]}}' % (b"{}," * 2_000_000 + b"1"),
    "a number of 1 000 000 digits": b'{"params": {"a": 1%b}}' % (b"0" * 1_000_000),
}


@pytest.mark.parametrize("name", BODIES)
async def test_h04_json_that_is_a_trap_is_400(api, server, name):
    workflow = (await api.create_workflow(graphs.hello()))["id"]
    given = {"Content-Type": JSON_TYPE}
    for path in ("/run", "/run/stream"):
        started = time.monotonic()
        with Stalls() as stalls:
            async with little_memory(server):
                answer = await api.request(
                    "POST",
                    f"{PATH}{workflow}{path}",
                    data=io.BytesIO(BODIES[name]),
                    headers=given,
                )
        assert answer.status == 400, answer.content[:300]
        assert "Invalid JSON" in answer.json["detail"]
        assert time.monotonic() - started < 5 + stalls.seconds
    await assert_still_serves(api)


@pytest.mark.parametrize("depth", [60, 300, 900])
async def test_h04_json_that_is_deep_has_an_answer(api, depth):
    """Run, or refused; never a fault."""
    workflow = (await api.create_workflow(graphs.hello()))["id"]
    given = {"Content-Type": JSON_TYPE}
    for body in (nested(depth), nested(depth, '{"a":', "}")):
        ran = await api.request(
            "POST", f"{PATH}{workflow}/run", data=body, headers=given
        )
        assert ran.status in (200, 400), ran.content[:300]
        deep = b'{"name": "x", "access": "private", "graph": {"nodes": [{"id": "a",'
        deep += b'"type": "nodetool.text.Concat", "data": %b}], "edges": []}}' % body
        saved = await api.request("POST", PATH, data=deep, headers=given)
        assert saved.status in (200, 400, 422), saved.content[:300]


async def test_h04_what_is_large_and_honest_passes(api):
    """Controls: texts full of brackets, commas and colons are only texts."""
    workflow = (await api.create_workflow(graphs.hello()))["id"]
    url, given = f"{PATH}{workflow}/run", {"Content-Type": JSON_TYPE}
    for text in ("[{:," * 500_000, '"\\":,[' * 300_000, "\u0003:" * 100_000):
        body = io.BytesIO(json.dumps({"params": {"prompt": text}}).encode())
        ran = await api.request("POST", url, data=body, headers=given)
        assert ran.status == 200, ran.content[:300]
    numbers = {"params": {"prompt": "x", "list": list(range(400_000))}}
    body = io.BytesIO(json.dumps(numbers).encode())
    ran = await api.request("POST", url, data=body, headers=given)
    assert ran.status == 200
