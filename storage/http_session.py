"""Requests to other servers from an event loop: one session, small answers, in time."""

from __future__ import annotations

import asyncio
import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from storage.key_sets import Unreachable

if TYPE_CHECKING:
    import aiohttp

logger = logging.getLogger(__name__)

TOTAL_S, CONNECT_S = 5.0, 2.0
MAX_CONNECTIONS = 20
MAX_ANSWER_BYTES = 256 * 1024


class HttpSession:
    """One pool of connections, opened at the first request on a loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def get(
        self, url: str, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and body. Redirects are not followed.

        Raises:
            Unreachable: no whole answer within 5 s, or one that is too large.
        """
        session = await self._opened()
        try:
            async with session.get(
                url, headers=headers, allow_redirects=False
            ) as answer:
                body = await answer.content.read(MAX_ANSWER_BYTES)
                while not answer.content.at_eof() and len(body) < MAX_ANSWER_BYTES:
                    body += await answer.content.read(MAX_ANSWER_BYTES - len(body))
        except (self._error, TimeoutError, OSError) as error:
            logger.warning("%s does not answer: %s", url, error or type(error).__name__)
            raise Unreachable from error
        if len(body) >= MAX_ANSWER_BYTES:
            logger.warning("%s answers too much", url)
            raise Unreachable
        return answer.status, body

    async def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _opened(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            # In a thread: the import would hold up the loop for a third of a second.
            library: Any = await asyncio.to_thread(import_module, "aiohttp")
            self._error: type[Exception] = library.ClientError
            if self._session is None or self._loop is not loop:
                self._loop = loop
                self._session = library.ClientSession(
                    connector=library.TCPConnector(limit=MAX_CONNECTIONS),
                    timeout=library.ClientTimeout(total=TOTAL_S, connect=CONNECT_S),
                    cookie_jar=library.DummyCookieJar(),
                )
        return self._session
