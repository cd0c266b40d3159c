"""One HTTP client for all model servers: streams and small answers, all bounded.

What a server does wrong is raised as ``ProviderError`` with words of our own: texts of
the library hold addresses. Redirects are not followed and proxy variables not read: a
key goes to the address of the settings and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from workflows.providers import failures
from workflows.providers.base import ProviderError
from workflows.providers.wire import MessageTooLong

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping

    import aiohttp

    from workflows.providers.wire import MessageParser

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 100 * 1024 * 1024
MAX_DOCUMENT_BYTES = 16 * 1024 * 1024  # a list of models; the largest have 1 MB
MAX_ERROR_BYTES = 64 * 1024
MAX_CONNECTIONS = 1000
BUFFER_BYTES = 64 * 1024
CONNECT_S, IDLE_S = 10.0, 60.0
# Under the five seconds after which common servers close an idle connection: a
# request that meets the closing fails, and must not be sent a second time.
KEEP_ALIVE_S = 4.0
LINGER_S = 0.05
# What one read asks for. From 128 KiB on the C library maps the memory anew for each,
# which takes ten times as long as to read a chunk of an answer.
READ_BYTES = 64 * 1024


@dataclass(frozen=True)
class Endpoint:
    """Where a provider is called, with which key, and how both are named to people.

    ``base_url`` comes from settings or the table of providers, never from a request.
    """

    provider: str
    title: str
    base_url: str
    key: str = field(default="", repr=False)
    key_name: str = ""
    url_name: str = ""

    def url(self, path: str) -> str:
        """Return the address of a path below the base."""
        return self.base_url.rstrip("/") + path


class Answer:
    """A streamed answer: batches of messages, each as soon as it has come."""

    def __init__(
        self, client: HttpClient, response: aiohttp.ClientResponse, to: Endpoint
    ) -> None:
        self._client, self._response, self.to = client, response, to
        self._left = client.max_bytes

    def messages(self, parser: MessageParser) -> Messages:
        """Return what to iterate over; see ``Messages``."""
        return Messages(self, parser)

    @property
    def media_type(self) -> str:
        """The media type without its parameters, in lower case."""
        return self._response.content_type.lower()

    async def read(self) -> bytes:
        """Return what has come, empty at the end.

        Raises:
            ProviderError: the connection broke, was silent, or the answer is too large.
        """
        data: bytes = await self._client.guarded(
            self._response.content.readany(), self.to
        )
        self._left -= len(data)
        if self._left < 0:
            raise failures.too_large(self.to)
        return data

    async def whole(self, max_bytes: int) -> bytes:
        """Return the body, or as much of it as the bound allows and one byte more."""
        body = bytearray()
        while len(body) <= max_bytes and (data := await self.read()):
            body += data
        return bytes(body[: max_bytes + 1])

    async def linger(self) -> None:
        """After the last message: wait a moment for the end, to keep the connection."""
        try:
            async with asyncio.timeout(LINGER_S):
                while await self.read():
                    pass
        except (TimeoutError, ProviderError):
            pass  # the answer is whole; only the connection is lost

    def close(self) -> None:
        """Cut the connection, unless the answer has been read to its end."""
        self._response.close()


class Messages:
    """The messages of an answer: a list of those that each read completes.

    No generator: one that is left early is ended some time later, by the loop.
    """

    def __init__(self, answer: Answer, parser: MessageParser) -> None:
        self._answer, self._parser = answer, parser

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> list[bytes]:
        found: list[bytes] = []
        while not found:
            data = await self._answer.read()
            try:
                found = self._parser.feed(data) if data else self._parser.finish()
            except MessageTooLong as error:
                raise failures.too_large(self._answer.to) from error
            if not data and not found:
                raise StopAsyncIteration
        return found


class HttpClient:
    """Connections to all model servers, one pool per event loop, opened when needed."""

    def __init__(
        self,
        *,
        idle_s: float = IDLE_S,
        connect_s: float = CONNECT_S,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self.idle_s, self.connect_s, self.max_bytes = idle_s, connect_s, max_bytes
        self._errors: tuple[type[Exception], ...] = (OSError, ValueError)
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}

    @asynccontextmanager
    async def stream(
        self,
        to: Endpoint,
        path: str,
        *,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        media_types: tuple[str, ...],
    ) -> AsyncIterator[Answer]:
        """Send a request and give its answer once the head of a good one has come.

        Raises:
            ProviderError: no answer, another one than 2xx, or of another media type.
        """
        content = _encoded(body, to)
        async with self._sent(to, "POST", path, headers, content) as answer:
            if answer.media_type not in media_types:
                raise failures.wrong_type(to)
            yield answer

    async def document(
        self,
        to: Endpoint,
        path: str,
        *,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the JSON document behind a path; a POST if there is a body.

        Raises:
            ProviderError: no answer, another one than 2xx, or it is not JSON.
        """
        method = "GET" if body is None else "POST"
        content = None if body is None else _encoded(body, to)
        async with self._sent(to, method, path, headers, content) as answer:
            if answer.media_type != "application/json":
                raise failures.wrong_type(to)
            text = await answer.whole(MAX_DOCUMENT_BYTES)
        if len(text) > MAX_DOCUMENT_BYTES:
            raise failures.too_large(to)
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise failures.invalid_json(to) from error

    async def close(self) -> None:
        """Close the running loop's connections; the next request opens new ones."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    async def guarded(self, step: Awaitable[Any], to: Endpoint) -> Any:
        """Return what a step of the library returns.

        Raises:
            ProviderError: it failed. Not chained: the cause may hold an address or key.
        """
        try:
            return await step
        except self._errors as error:
            logger.info("%s: %s", to.provider, type(error).__name__)
            failure = failures.translated(error, to)
        raise failure

    @asynccontextmanager
    async def _sent(
        self,
        to: Endpoint,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> AsyncIterator[Answer]:
        session = await self._opened()
        sent = {"Content-Type": "application/json", **headers}
        response: aiohttp.ClientResponse = await self.guarded(
            session.request(
                method, to.url(path), data=content, headers=sent, allow_redirects=False
            ),
            to,
        )
        _read_by_little(response)
        answer = Answer(self, response, to)
        try:
            if not 200 <= response.status < 300:
                text = await _error_text(answer)
                raise failures.refused(to, response.status, response.headers, text)
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise failures.wrong_type(to)  # not asked for, and may be a bomb
            yield answer
        finally:
            answer.close()

    async def _opened(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is not None:
            return session
        # In a thread: the import would hold up the loop for a third of a second.
        library: Any = await asyncio.to_thread(import_module, "aiohttp")
        self._errors = (library.ClientError, OSError, ValueError)
        if loop not in self._sessions:
            for closed in [known for known in self._sessions if known.is_closed()]:
                del self._sessions[closed]
            self._sessions[loop] = self._session(library)
        return self._sessions[loop]

    def _session(self, library: Any) -> aiohttp.ClientSession:
        session: aiohttp.ClientSession = library.ClientSession(
            connector=library.TCPConnector(
                limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S
            ),
            timeout=library.ClientTimeout(
                total=None, connect=self.connect_s, sock_read=self.idle_s
            ),
            cookie_jar=library.DummyCookieJar(),
            headers={"Accept-Encoding": "identity", "User-Agent": "nodetool-server"},
            auto_decompress=False,
            read_bufsize=BUFFER_BYTES,
            trust_env=False,
        )
        return session


_shared: dict[float, HttpClient] = {}


def shared_client(idle_s: float) -> HttpClient:
    """Return the process's client for calls that bear this silence, in seconds."""
    client = _shared.get(idle_s)
    return client or _shared.setdefault(idle_s, HttpClient(idle_s=idle_s))


async def close_shared() -> None:
    """Close all connections of the running loop; for when its work is done."""
    for client in list(_shared.values()):
        await client.close()


def _read_by_little(response: aiohttp.ClientResponse) -> None:
    """Have asyncio's transport ask for ``READ_BYTES``; others have their own ways."""
    transport: Any = response.connection and response.connection.transport
    if hasattr(transport, "max_size"):
        transport.max_size = READ_BYTES


def _encoded(body: Mapping[str, Any], to: Endpoint) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (UnicodeEncodeError, RecursionError) as error:
        what = "half characters, or values nested this deep"
        raise failures.not_taken(to, what) from error


async def _error_text(answer: Answer) -> bytes:
    """Return what an error says; its status counts even where the text is lost."""
    try:
        return await answer.whole(MAX_ERROR_BYTES)
    except ProviderError:
        return b""
