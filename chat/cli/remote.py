"""A partner behind a running server: turns over its ``/chat``, threads over REST."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
from aiohttp import ClientWebSocketResponse, WSMsgType
from django.core.management.base import CommandError

from chat.cli.threads import no_thread
from chat.documents import MessageFields
from nodetool_site.lib.rendering import encode_json
from storage.ids import new_id
from workflows.management.http_client import ApiClient

Json = dict[str, Any]

THREADS = "/api/threads/"
MAX_FRAME_BYTES = 32 * 1024**2
CONNECT_S, STOP_S = 10.0, 10.0


class RemotePartner:
    """A model or a workflow of a server, and a thread of the token's user there.

    ``said`` is what each message says beside its text. A turn has a connection of its
    own: nobody answers the server's pings while the user thinks.
    """

    def __init__(
        self, api_url: str, token: str, said: MessageFields, thread_id: str | None
    ) -> None:
        self._api = ApiClient(api_url, token)
        self._url = api_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._said = said
        self.thread_id = thread_id
        if thread_id is not None and self._api.find(_path(thread_id)) is None:
            raise no_thread(thread_id)

    def threads(self, limit: int) -> list[Json]:
        """Return the newest threads as the API shows them."""
        page = self._api.request("GET", f"{THREADS}?reverse=true&limit={limit}")
        threads: list[Json] = page["threads"]
        return threads

    async def answer(self, text: str) -> AsyncGenerator[str, None]:
        """Return the answer in pieces; see ``Partner``."""
        is_first, thread_id = self.thread_id is None, self.thread_id or new_id()
        message = msgspec.structs.replace(self._said, content=text)
        frame = {**msgspec.structs.asdict(message), "thread_id": thread_id}
        async with self._socket() as socket:
            await socket.send_str(encode_json(frame).decode())
            self.thread_id = thread_id
            failure, is_over = "", False
            try:
                while not is_over:
                    told = await _next(socket)
                    if told["type"] == "error":
                        failure = told["message"]
                    elif told["type"] == "chunk":
                        is_over = told["done"]
                        if _is_text(told):
                            yield told["content"]
            finally:
                if not is_over:
                    await _stop(socket)
        if failure:
            if is_first:
                await self._keep_thread_if_made()
            raise CommandError(failure)

    async def close(self) -> None:
        """Nothing is open between turns."""

    async def _keep_thread_if_made(self) -> None:
        """Forget a thread whose first message the server has refused."""
        path = _path(str(self.thread_id))
        if await asyncio.to_thread(self._api.find, path) is None:
            self.thread_id = None

    @asynccontextmanager
    async def _socket(self) -> AsyncIterator[ClientWebSocketResponse]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers, timeout=timeout) as client,
                client.ws_connect(
                    f"{self._url}/chat", max_msg_size=MAX_FRAME_BYTES
                ) as socket,
            ):
                yield socket
        except aiohttp.WSServerHandshakeError as error:
            refusal = f"{self._url} does not talk (HTTP {error.status})"
            raise CommandError(refusal) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CommandError(f"No answer from {self._url}: {error}") from error


async def _next(socket: ClientWebSocketResponse) -> Json:
    """Return the next frame.

    Raises:
        CommandError: the server has closed the connection.
    """
    message = await socket.receive()
    if message.type is WSMsgType.TEXT:
        frame: Json = msgspec.json.decode(message.data)
        return {"type": "", **frame}
    reason = message.extra or f"code {socket.close_code}"
    raise CommandError(f"The server has closed the connection: {reason}")


async def _stop(socket: ClientWebSocketResponse) -> None:
    """Have the turn ended, which would go on without this connection."""
    with suppress(CommandError, ConnectionError, TimeoutError):
        async with asyncio.timeout(STOP_S):
            await socket.send_str('{"type":"stop"}')
            while (await _next(socket))["type"] != "generation_stopped":
                pass


def _is_text(chunk: Json) -> bool:
    return chunk["content_type"] == "text" and not chunk["thinking"]


def _path(thread_id: str) -> str:
    return THREADS + quote(thread_id, safe="")
