"""Blocking work of views, in threads; a client who leaves does not break it off."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")

_running: set[asyncio.Task[Any]] = set()


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work``; when the awaiting task is cancelled, it goes on by itself.

    For work that leaves something behind if it is broken off between two steps.
    """
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_forget)
    return await asyncio.shield(task)


async def in_threads(pieces: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    """Yield what a blocking generator yields, and close it whatever happens."""
    lock = threading.Lock()  # a piece may still be in the making when all is over

    def next_piece() -> bytes | None:
        with lock:
            return next(pieces, None)

    def close() -> None:
        with lock:
            pieces.close()

    try:
        while (piece := await asyncio.to_thread(next_piece)) is not None:
            yield piece
    finally:
        await to_its_end(asyncio.to_thread(close))


def _forget(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()  # whoever awaits the task has it; nobody else asks
