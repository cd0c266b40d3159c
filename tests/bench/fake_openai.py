"""A fast stand-in for a model server behind /v1, on loopback, without dependencies.

Run as ``python -m tests.bench.fake_openai --port 0``; the first line it prints ends
with its address. The name of the model chooses what it does:

    fake-n2000         2,000 chunks, no delay
    fake-n200-d5       200 chunks, 5 ms between them
    fake-n20-t50       50 ms before the first byte
    fake-err429        an error of that status
    fake-drop5-n20     the connection is cut after 5 chunks
    fake-n200-d20-s1   each chunk says when it was sent, instead of its number

Chunk i says "tok<i> ", so a client can tell whether one was lost or reordered. Times
are those of ``time.monotonic``, which all processes of a machine share.
"""

import argparse
import asyncio
import functools
import json
import re
import time
from dataclasses import dataclass
from typing import Any

JSON = dict[str, Any]
BURST = 16  # chunks written per drain when there is no delay
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)
COMMON = {"id": "chatcmpl-fake", "created": 1_700_000_000}


@dataclass(frozen=True)
class Behaviour:
    chunks: int = 20
    delay_s: float = 0.0
    first_delay_s: float = 0.0
    error: int = 0
    drop_after: int = 0
    is_stamped: bool = False

    @classmethod
    def of(cls, model: str) -> "Behaviour":
        found = {
            key: int(value)
            for key, value in re.findall(r"(?<=-)(drop|err|n|d|t|s)(\d+)", model)
        }
        return cls(
            chunks=found.get("n", 20),
            delay_s=found.get("d", 0) / 1000,
            first_delay_s=found.get("t", 0) / 1000,
            error=found.get("err", 0),
            drop_after=found.get("drop", 0),
            is_stamped=bool(found.get("s")),
        )


def http_answer(body: JSON, status: str = "200 OK") -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def http_chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def stream_chunk(model: str, delta: JSON, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {
        **COMMON,
        "object": "chat.completion.chunk",
        "model": model,
        "choices": [choice],
    }
    return http_chunk(b"data: " + json.dumps(body).encode() + b"\n\n")


@functools.cache
def stream_chunks(model: str, count: int) -> list[bytes]:
    """The whole stream of one answer, ready to be written."""
    texts = (f"tok{i} " for i in range(count))
    tokens = [stream_chunk(model, {"content": text}) for text in texts]
    first = stream_chunk(model, {"role": "assistant", "content": ""})
    return [first, *tokens, stream_chunk(model, {}, "stop")]


def whole_answer(model: str, count: int) -> JSON:
    text = "".join(f"tok{i} " for i in range(count))
    message = {"role": "assistant", "content": text}
    return {
        **COMMON,
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": count,
            "total_tokens": 7 + count,
        },
    }


async def complete(body: JSON, writer: asyncio.StreamWriter) -> bool:
    """Answer one request; False when the connection was cut on purpose."""
    model = str(body.get("model", ""))
    behaviour = Behaviour.of(model)
    if behaviour.error:
        error = {"message": f"fake error {behaviour.error}", "type": "fake_error"}
        writer.write(http_answer({"error": error}, f"{behaviour.error} Error"))
        return True
    await asyncio.sleep(behaviour.first_delay_s)
    if not body.get("stream"):
        await asyncio.sleep(behaviour.chunks * behaviour.delay_s)
        writer.write(http_answer(whole_answer(model, behaviour.chunks)))
        return True
    writer.write(STREAM_HEAD)
    chunks = stream_chunks(model, behaviour.chunks)
    if behaviour.drop_after:
        writer.writelines(chunks[: behaviour.drop_after + 1])
        await writer.drain()
        writer.transport.abort()
        return False
    burst = 1 if behaviour.delay_s or behaviour.is_stamped else BURST
    for first in range(0, len(chunks), burst):
        if behaviour.is_stamped and 0 < first < len(chunks) - 1:
            stamp = {"content": f"{time.monotonic():.6f} "}
            writer.write(stream_chunk(model, stamp))
        else:
            writer.writelines(chunks[first : first + burst])
        await writer.drain()
        await asyncio.sleep(behaviour.delay_s)
    writer.write(http_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    return True


async def read_request(reader: asyncio.StreamReader) -> tuple[str, JSON]:
    """The path and the JSON body of the next request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    if headers.get("transfer-encoding", "").lower() == "chunked":
        content = await read_chunked(reader)
    path = first.split(" ")[1].split("?")[0]
    return path, json.loads(content or b"{}")


async def read_chunked(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while True:
        size = int((await reader.readline()).split(b";")[0], 16)
        content += (await reader.readexactly(size + 2))[:-2]
        if size == 0:
            return content


async def serve_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        while True:
            path, body = await read_request(reader)
            if path.endswith("/chat/completions"):
                if not await complete(body, writer):
                    return
            elif path.endswith("/models"):
                models = [
                    {"id": name, "object": "model", "owned_by": "fake"}
                    for name in ("fake-n20", "fake-n2000")
                ]
                writer.write(http_answer({"object": "list", "data": models}))
            else:
                error = {"message": "not found", "type": "invalid_request_error"}
                writer.write(http_answer({"error": error}, "404 Not Found"))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client has gone
    finally:
        writer.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9999)
    options = parser.parse_args()
    server = await asyncio.start_server(
        serve_connection, options.host, options.port, backlog=1024
    )
    port = server.sockets[0].getsockname()[1]
    print(f"listening on http://{options.host}:{port}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
