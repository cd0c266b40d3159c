"""The only way from async code to the ORM: a fixed set of long-lived threads.

Each thread keeps one connection for good, so a call costs a thread hop and never a
connect. Nothing closes connections per request; a thread drops its own connection
when an error has shown that it is unusable.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import Error, OperationalError, ProgrammingError, connections

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4


class _Threads:
    """The executor; made at the first call and again after ``close``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def executor(self) -> ThreadPoolExecutor:
        executor = self._executor
        if executor is None:
            with self._lock:
                executor = self._executor or ThreadPoolExecutor(
                    THREADS, thread_name_prefix="db"
                )
                self._executor = executor
        return executor

    def close(self) -> None:
        """Close every thread's connection, then end the threads."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is None:
            return
        barrier = threading.Barrier(THREADS)
        for closed in [executor.submit(_close_all, barrier) for _ in range(THREADS)]:
            closed.result()
        executor.shutdown()


_threads = _Threads()


async def db(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``fn`` in a database thread and return what it returns.

    A call that has begun runs to its end, also when the awaiting task is cancelled.
    """
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(
        _threads.executor(), partial(context.run, _call, fn, *args, **kwargs)
    )


def close_database_threads() -> None:
    """Close all connections of ``db``; the next call starts new threads."""
    _threads.close()


def drop_broken_connections() -> None:
    """Close this thread's connections that an error has made unusable.

    Errors that a view has turned into an answer count too: the connection itself
    remembers that there was one.
    """
    for connection in connections.all(initialized_only=True):
        if connection.errors_occurred:
            connection.close_if_unusable_or_obsolete()


def _call(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return fn(*args, **kwargs)
    finally:
        drop_broken_connections()


def _close_all(barrier: threading.Barrier) -> None:
    barrier.wait()  # one for each thread: none of them takes two of these calls
    connections.close_all()


def describe_problem(error: Error) -> str:
    """Return in one line why the database cannot be used, and the cure."""
    text = " ".join(str(error).split())
    is_behind = isinstance(error, ProgrammingError) or (
        isinstance(error, OperationalError) and text.startswith("no such ")
    )
    cure = (
        "`nodetool db migrate` makes its tables"
        if is_behind
        else "see that it is there, and what DATABASE_URL or DB_PATH says"
    )
    return f"Database not usable: {text}; {cure}"
