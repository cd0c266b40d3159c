"""Calls the ASGI application in this process, without a server."""

import json
from dataclasses import dataclass
from typing import Any

from asgiref.testing import ApplicationCommunicator

from nodetool_site.handler import Handler

HOST = (b"host", b"127.0.0.1:7777")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def scope_of(method: str, target: str, headers: dict[str, str]) -> dict[str, Any]:
    path, _, query = target.partition("?")
    raw = [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": query.encode(),
        "headers": raw if "host" in {k.lower() for k in headers} else [*raw, HOST],
        "client": ["127.0.0.1", 50_000],
        "server": ["127.0.0.1", 7_777],
    }


async def request(
    method: str, target: str, *, body: bytes = b"", chunks: int = 1, **headers: str
) -> Answer:
    """Send one request; header names have ``_`` for ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    communicator = ApplicationCommunicator(Handler(), scope_of(method, target, named))
    size = max(1, -(-len(body) // chunks))
    pieces = [body[i : i + size] for i in range(0, len(body), size)] or [b""]
    for index, piece in enumerate(pieces, 1):
        more = index < len(pieces)
        await communicator.send_input(
            {"type": "http.request", "body": piece, "more_body": more}
        )
    start = await communicator.receive_output(5)
    answered = b""
    more = True
    while more:
        message = await communicator.receive_output(5)
        answered += message.get("body", b"")
        more = message.get("more_body", False)
    await communicator.wait()
    return Answer(
        start["status"],
        {k.decode().lower(): v.decode("latin-1") for k, v in start["headers"]},
        answered,
    )


async def send_json(method: str, target: str, value: Any, **headers: str) -> Answer:
    return await request(
        method,
        target,
        body=json.dumps(value).encode(),
        content_type="application/json",
        **headers,
    )
