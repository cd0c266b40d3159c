"""A small ASGI application on the real server; `python -m` starts it."""

import argparse
import asyncio
import sys

PIECE = b"x" * 65_536
SEEN: list[str] = []


async def app(scope, receive, send):
    kind = "ws" if scope["type"] == "websocket" else "http"
    name = scope["path"].strip("/").replace("-", "_")
    query = dict(
        pair.split("=") for pair in scope["query_string"].decode().split("&") if pair
    )
    await globals()[f"{kind}_{name}"](query, receive, send)


# --- WebSocket


async def ws_echo(query, receive, send):
    await accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        reply = {k: v for k, v in message.items() if k != "type" and v is not None}
        await send({"type": "websocket.send", **reply})
    SEEN.append(f"echo ended {message['code']}")


async def ws_flood(query, receive, send):
    """Send ``bytes`` as fast as the server lets us."""
    await accept(receive, send)
    for _ in range(int(query["bytes"]) // len(PIECE)):
        await send({"type": "websocket.send", "bytes": PIECE})
    SEEN.append("flood sent")
    await send({"type": "websocket.close", "code": 1000})


async def ws_close(query, receive, send):
    await accept(receive, send)
    await send(
        {
            "type": "websocket.close",
            "code": int(query["code"]),
            "reason": query["reason"],
        }
    )


async def ws_crash(query, receive, send):
    await accept(receive, send)
    raise RuntimeError("on purpose")


async def ws_crash_early(query, receive, send):
    raise RuntimeError("on purpose")


async def ws_return(query, receive, send):
    await accept(receive, send)


async def ws_refuse(query, receive, send):
    await receive()
    start = {"type": "websocket.http.response.start", "status": int(query["status"])}
    await send({**start, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"no"})


async def ws_numbers(query, receive, send):
    """One message, then many frames at once, then one message."""
    await accept(receive, send)
    await send({"type": "websocket.send", "text": "0"})
    frames = [b"%d" % n for n in range(1, 1_000)]
    await send({"type": "websocket.send", "frames": frames, "binary": False})
    big = [b"b" * 125, b"b" * 126, b"b" * 65_535, b"b" * 65_536]
    await send({"type": "websocket.send", "frames": big, "binary": True})
    await send({"type": "websocket.send", "text": "last"})
    await receive()


async def ws_busy(query, receive, send):
    """Take nothing until told; then count."""
    await accept(receive, send)
    await BUSY.wait()
    count = 0
    while (await receive())["type"] == "websocket.receive":
        count += 1
        if count == int(query["frames"]):
            await send({"type": "websocket.send", "text": str(count)})


async def accept(receive, send):
    await receive()
    await send({"type": "websocket.accept"})


# --- HTTP


async def http_flood(query, receive, send):
    await start(send, [(b"content-type", b"application/json")])
    for _ in range(int(query["bytes"]) // len(PIECE)):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body"})


async def http_size(query, receive, send):
    """How large the body was, and in how many pieces it came."""
    size = pieces = 0
    more = True
    while more:
        message = await receive()
        size += len(message["body"])
        pieces += 1
        more = message["more_body"]
    await text(send, f"{size} {pieces}")


async def http_wait(query, receive, send):
    """Wait for the client to hang up."""
    while (await receive())["type"] != "http.disconnect":
        SEEN.append("waiting")
    SEEN.append("hung up")


async def http_sleep(query, receive, send):
    SEEN.append("sleeping")
    await asyncio.sleep(float(query["s"]))
    await text(send, "slept")


async def http_seen(query, receive, send):
    await text(send, "\n".join(SEEN))


async def http_unbusy(query, receive, send):
    BUSY.set()
    await text(send, "ok")


async def http_crash(query, receive, send):
    raise RuntimeError("on purpose")


async def http_half(query, receive, send):
    await start(send, [])
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("on purpose")


async def http_bad_header(query, receive, send):
    await start(send, [(b"x-bad", b"a\r\nset-cookie: b")])


async def http_empty(query, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def start(send, headers, status=200):
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def text(send, words):
    await start(send, [(b"content-type", b"text/plain")])
    await send({"type": "http.response.body", "body": words.encode()})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--stuck-reader-s", type=float, default=30)
    parser.add_argument("--check-interval-s", type=float, default=0.2)
    parser.add_argument("--head-timeout-s", type=float, default=20)
    parser.add_argument("--ping-interval-s", type=float, default=20)
    options = parser.parse_args()
    from nodetool_site.server import Server
    from nodetool_site.serving import sockets, web

    sockets.PING_INTERVAL_S = options.ping_interval_s
    sockets.PONG_TIMEOUT_S = 4 * options.ping_interval_s
    web.HEAD_TIMEOUT_S = options.head_timeout_s

    Server(
        app,
        host="127.0.0.1",
        port=options.port,
        stuck_reader_s=options.stuck_reader_s,
        check_interval_s=options.check_interval_s,
        on_ready=lambda port: sys.stderr.write(f"listening on {port}\n"),
    ).run()


BUSY = asyncio.Event()

if __name__ == "__main__":
    main()
