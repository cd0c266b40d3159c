"""Many streams of a model at once: how late they are, and what those who leave cost."""

import asyncio
import json
import os
from urllib.parse import urlsplit

import aiohttp
import psutil

from tests.bench.scenarios.chat import many_streams
from tests.bench.target import Options, Target
from tests.end_to_end.model_server import model_server, settings_for
from tests.stalls import Stalls

ABORTS = int(os.environ.get("CHAT_ABORTS", "100"))
STREAMS = int(os.environ.get("CHAT_STREAMS", "50"))
AT_ONCE = 20
LEFT_S = 20.0  # how soon is the business of tests/chat/test_hanging_up.py
# The database threads open their connections when they are first needed: on SQLite
# three files for each of the four.
LATE_FILES = 12
WAYS_TO_LEAVE = (
    ("openai/fake-n2000-d5", True),  # in the middle of a stream
    ("openai/fake-n2-t60000", True),  # before its first word
    ("openai/fake-n2000-d5", False),  # while the answer is gathered
)


def body_of(model, *, is_stream):
    hello = [{"role": "user", "content": "Hi"}]
    return json.dumps({"model": model, "messages": hello, "stream": is_stream})


async def leave(server, number):
    """Ask, and go: by closing the connection in order, or by cutting it."""
    model, is_stream = WAYS_TO_LEAVE[number % len(WAYS_TO_LEAVE)]
    body = body_of(model, is_stream=is_stream)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    kind = "Content-Type: application/json\r\n"
    writer.write(f"{head}{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    if number % len(WAYS_TO_LEAVE) == 0:
        await reader.readuntil(b"tok1 ")
    else:
        await asyncio.sleep(0.05)  # by now the model is asked
    if number % 2:
        writer.transport.abort()
    else:
        writer.close()


def open_files(server, upstream):
    """What the web process has open: its sockets to the model, and all the rest."""
    process = psutil.Process(server.web.pid)
    port = urlsplit(upstream).port
    to_model = [
        c for c in process.net_connections() if c.raddr and c.raddr.port == port
    ]
    return len(to_model), process.num_fds() - len(to_model)


async def test_e11_who_leaves_a_completion_leaves_nothing_behind(new_server):
    async with model_server() as upstream:
        server = new_server(env=settings_for(upstream))
        async with aiohttp.ClientSession(server.base_url) as session:

            async def ask():
                body = body_of("openai/fake-n2", is_stream=True)
                kind = {"Content-Type": "application/json"}
                path = "/v1/chat/completions"
                async with session.post(path, data=body, headers=kind) as reply:
                    return (await reply.read()).endswith(b"data: [DONE]\n\n")

            assert all(await asyncio.gather(*(ask() for _ in range(AT_ONCE))))
            to_model, others = open_files(server, upstream)
            before = (to_model, others + LATE_FILES)

            for first in range(0, ABORTS, AT_ONCE):
                numbers = range(first, min(first + AT_ONCE, ABORTS))
                await asyncio.gather(*(leave(server, number) for number in numbers))

            deadline = asyncio.get_running_loop().time() + LEFT_S
            while not fits(now := open_files(server, upstream), before):
                assert asyncio.get_running_loop().time() < deadline, (now, before)
                await asyncio.sleep(0.05)
            assert await ask()


def fits(now, before):
    return all(count <= limit for count, limit in zip(now, before, strict=True))


async def test_c06_many_streams_at_once_are_hardly_later_than_their_model(new_server):
    async with model_server() as upstream:
        options = Options(window_s=1.0, upstream=upstream)
        server = new_server(env=settings_for(upstream))
        async with Target.connect(server, options) as target:
            with Stalls() as stalls:
                figures = await many_streams(target, streams=STREAMS)

    # With an eye on machines that do much else: the measured figures are a tenth.
    assert figures["via_errors"] == 0
    more_ms = 1000 * stalls.seconds
    assert figures["via_delay_p50_ms"] < figures["direct_delay_p50_ms"] + 100 + more_ms
    assert figures["via_delay_p99_ms"] < figures["direct_delay_p99_ms"] + 1000 + more_ms
    assert figures["added_memory_per_stream_mb"] < 1
