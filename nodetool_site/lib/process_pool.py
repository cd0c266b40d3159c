"""Work that blocks or may go wrong, in processes of which each can be killed alone.

A thread cannot be ended, and killing one child of the standard pool breaks all running
calls. Pebble's pool replaces the one process whose call was cancelled.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from typing import Any

from nodetool_site.lib import process_calls

# What a limited call may last by the clock, when the machine is busy with others.
WALL_LIMIT_S = 30.0


class BlockingPool:
    """A pool of one process for each processor, started on first use.

    A call is a module-level function with arguments and a result that can be pickled.
    Calls beyond the number of processes wait their turn, in order.
    """

    def __init__(self, size: int | None = None) -> None:
        self._size = size or os.cpu_count() or 1
        self._lock = threading.Lock()
        self._pool: Any = None

    async def run(
        self,
        fn: Callable[..., Any],
        *args: Any,
        time_limit_s: float | None = None,
        memory_limit_bytes: int | None = None,
    ) -> Any:
        """Call ``fn(*args)`` in a process; cancelling the call kills that process.

        ``time_limit_s`` is processor time, so neither the queue nor other work counts;
        a call with such a limit also ends after `WALL_LIMIT_S`. Of memory the call gets
        so much beyond what its process has.

        Raises:
            Whatever ``fn`` raises; ``TimeoutError`` and ``MemoryError`` for a limit,
            ``ChildProcessError`` if the process died, ``TypeError`` if function,
            arguments or result cannot go from one process to another.
        """
        # Imported where it is needed, as Pebble below.
        from concurrent.futures.process import BrokenProcessPool

        from pebble import ProcessExpired

        request = process_calls.packed(fn, args)
        wall_limit_s = WALL_LIMIT_S if time_limit_s else None
        future = self._started().submit(
            process_calls.call,
            wall_limit_s,
            request,
            time_limit_s,
            memory_limit_bytes,
        )
        try:
            answer = await asyncio.wrap_future(future)
        except ProcessExpired as died:
            if died.exitcode == -signal.SIGPROF:
                raise TimeoutError(f"It took longer than {time_limit_s:g} s") from None
            raise ChildProcessError(
                "The process that did the work has died "
                f"({_ending(died.exitcode)}); others go on"
            ) from None
        except BrokenProcessPool:
            raise ChildProcessError("The processes for such work have died") from None
        value, error = pickle.loads(answer)  # noqa: S301 - from a child of this pool
        if error is not None:
            raise error
        return value

    def close(self) -> None:
        """Kill what runs and start no more."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
            pool.join()

    def _started(self) -> Any:
        with self._lock:
            broken = self._pool
            if broken is None or not broken.active:
                self._pool = _new_pool(self._size)
                if broken is not None:
                    # Somebody killed an idle process: such a pool takes no more calls.
                    threading.Thread(target=broken.join, daemon=True).start()
            return self._pool


def _new_pool(size: int) -> Any:
    # Importing Pebble costs a start-up what most servers need later.
    from pebble import ProcessPool

    return ProcessPool(
        max_workers=size,
        initializer=process_calls.clean_environment,
        context=multiprocessing.get_context("forkserver"),
    )


def _ending(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"
