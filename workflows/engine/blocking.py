"""Code that would block the loop, in processes of which each can be killed alone.

A thread cannot be ended, and killing one child of the standard pool breaks all running
calls. Pebble's pool replaces the one process whose call was cancelled.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Callable
from typing import Any

# Names that a child may see: no database address, no key, no token.
KEPT_VARIABLES = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV"}
)


class BlockingPool:
    """A pool of one process for each processor, started on first use.

    A call is a module-level function with arguments and a result that can be pickled.
    Calls beyond the number of processes wait their turn, in order.
    """

    def __init__(self, size: int | None = None) -> None:
        self._size = size or os.cpu_count() or 1
        self._lock = threading.Lock()
        self._pool: Any = None

    async def run(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Call ``fn(*args)`` in a process; cancelling the call kills that process.

        Raises:
            Whatever ``fn`` raises; ``pebble.ProcessExpired`` if the process died.
        """
        future = self._started().submit(fn, None, *args)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Kill what runs and start no more."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
            pool.join()

    def _started(self) -> Any:
        with self._lock:
            if self._pool is None:
                # Importing Pebble costs a start-up what most servers need later.
                from pebble import ProcessPool

                self._pool = ProcessPool(
                    max_workers=self._size,
                    initializer=_clean_environment,
                    context=multiprocessing.get_context("forkserver"),
                )
            return self._pool


def _clean_environment() -> None:
    environment = os.environ  # noqa: TID251 - emptied here, not read
    for name in set(environment) - KEPT_VARIABLES:
        del environment[name]
