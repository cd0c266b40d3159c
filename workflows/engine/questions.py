"""What a node asks of the client that watches the run, and the answers."""

from __future__ import annotations

import asyncio
from typing import Any

MAX_OPEN = 1_000


class TooManyQuestions(Exception):
    """A run waits for as many answers as it may."""


class Questions:
    """The questions of one run that wait for an answer, by an id that the node makes.

    Belongs to the loop that the run is on.
    """

    def __init__(self) -> None:
        self._open: dict[str, asyncio.Future[Any]] = {}

    def expect(self, key: str) -> None:
        """Take an answer from now on; to be called before the question is told.

        Raises:
            TooManyQuestions: 1,000 wait already.
        """
        if len(self._open) >= MAX_OPEN:
            raise TooManyQuestions(f"{MAX_OPEN} questions wait for an answer")
        self._open[key] = asyncio.get_running_loop().create_future()

    async def answer(self, key: str, timeout_s: float) -> Any:
        """Return the answer to a question that is expected.

        Raises:
            TimeoutError: none has come in time; a later one is ignored.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._open[key]
        finally:
            del self._open[key]

    def give(self, key: str, value: Any) -> bool:
        """Hand in an answer; the first one counts. False if nobody waits for it."""
        waiting = self._open.get(key)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(value)
        return True
