"""The calls behind one completion: made at once, read in order, closed for certain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from workflows.providers.calls import Call, characters_of
from workflows.providers.messages import ChatRequest, Chunk

if TYPE_CHECKING:
    from chat.openai_api.thread_storage import Exchange

Item: TypeAlias = tuple[Call, Chunk | Exception | None]
"""What a call has to say next; None is its end, an exception its failure."""

WAITING_CHUNKS = 256
WAITING_CHARACTERS = 256 * 1024
"""A call waits for its reader from one of these on."""


class Head(NamedTuple):
    """What identifies a completion, in its answer or in each event."""

    id: str
    created: int
    model: str


class Generation:
    """Some calls of a provider, each in a task of its own.

    ``close`` must be called: it ends the calls to the provider that still run.
    ``exchange``: what a thread is to have of it.
    """

    def __init__(
        self,
        answers: Sequence[AsyncGenerator[Chunk, None]],
        request: ChatRequest,
        exchange: Exchange | None = None,
    ) -> None:
        self._exchange = exchange
        self._items: list[Item] = []
        self._waiting_characters = 0
        self._reader: asyncio.Future[None] | None = None
        self._wake_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._has_room = asyncio.Event()
        make = Call if exchange is None else exchange.call
        self.calls = [make(index, request) for index in range(len(answers))]
        self._loop = asyncio.get_running_loop()
        self._tasks = [
            self._loop.create_task(self._pump(call, answer))
            for call, answer in zip(self.calls, answers, strict=True)
        ]

    async def next(self, timeout_s: float | None = None) -> list[Item]:
        """Return all that is there, at least one; nothing if it takes too long."""
        if not self._items:
            self._reader = self._loop.create_future()
            if timeout_s is not None:
                self._wake_in(timeout_s)
            await self._reader
        items, self._items, self._waiting_characters = self._items, [], 0
        self._has_room.set()
        return items

    async def keep(self) -> None:
        """Store what has been said where it is to be stored; all of it must be there.

        Raises:
            ThreadNotFound: the thread is somebody else's by now.
        """
        if self._exchange is not None:
            await self._exchange.store()

    def cut(self, call: Call) -> None:
        """End the call to the provider: no more of this answer is needed."""
        self._tasks[call.index].cancel()

    def fail(self, error: Exception) -> None:
        """End what still runs, and tell the reader why."""
        self.close()
        self._put((self.calls[0], error))

    def close(self) -> None:
        """End what still runs."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    def _put(self, item: Item) -> None:
        self._items.append(item)
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake_in(self, timeout_s: float) -> None:
        """Let the reader's wait end. One timer serves many waits: most are short."""
        self._wake_at = self._loop.time() + timeout_s
        if self._timer is None:
            self._timer = self._loop.call_at(self._wake_at, self._ring)

    def _ring(self) -> None:
        if self._loop.time() < self._wake_at:
            self._timer = self._loop.call_at(self._wake_at, self._ring)
        else:
            self._timer = None
            self._wake()

    def _is_full(self) -> bool:
        many = len(self._items) >= WAITING_CHUNKS
        return many or self._waiting_characters >= WAITING_CHARACTERS

    async def _pump(self, call: Call, answer: AsyncGenerator[Chunk, None]) -> None:
        """Take what comes in one batch without leaving the task, up to the bound."""
        try:
            async with aclosing(answer):
                async for chunk in answer:
                    self._put((call, chunk))
                    self._waiting_characters += characters_of(chunk)
                    if self._is_full():
                        self._has_room.clear()
                        await self._has_room.wait()
        except Exception as error:  # noqa: BLE001 - told to whoever reads
            self._put((call, error))
        else:
            self._put((call, None))
