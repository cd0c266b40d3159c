"""The child's side of the process pool: one call, within its limits.

Requests and answers are packed here, so that what cannot be packed is an error of that
call, and neither a line in the log nor the end of the pool.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Names that a child may see: no database address, no key, no token.
KEPT_VARIABLES = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV"}
)


def clean_environment() -> None:
    """Forget every variable that a child has no business with."""
    environment = os.environ  # noqa: TID251 - emptied here, not read
    for name in set(environment) - KEPT_VARIABLES:
        del environment[name]


def packed(fn: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    """Return a call as it goes to a child.

    Raises:
        TypeError: it cannot go there.
    """
    try:
        return pickle.dumps((fn, args))
    except Exception as error:
        raise TypeError(f"{_name(fn)} cannot be called elsewhere: {error}") from error


def call(
    request: bytes, time_limit_s: float | None, memory_limit_bytes: int | None
) -> bytes:
    """Do what ``request`` asks for; return the packed pair ``(value, error)``.

    What computes cannot be interrupted, so the process ends when its time is up.
    """
    try:
        with _time_limit(time_limit_s), _memory_limit(memory_limit_bytes):
            fn, args = pickle.loads(request)  # noqa: S301 - from the parent
            return _packed_result(fn, fn(*args))
    except BaseException as error:  # noqa: BLE001 - the caller gets it
        return _packed_error(error)


def _packed_result(fn: Callable[..., Any], value: Any) -> bytes:
    try:
        return pickle.dumps((value, None))
    except MemoryError:
        raise
    except Exception as error:
        raise TypeError(
            f"What {_name(fn)} has returned cannot leave its process: {error}"
        ) from error


def _packed_error(error: BaseException) -> bytes:
    """Return the error if it can travel, else one that says the same."""
    where = "".join(traceback.format_exception(error))
    try:
        error.add_note(f"In a process of its own:\n{where}")
        answer = pickle.dumps((None, error))
        pickle.loads(answer)  # noqa: S301 - of which many a class is not capable
    except Exception:  # noqa: BLE001 - whatever its class does wrong
        return pickle.dumps((None, RuntimeError(_text(error))))
    return answer


def _text(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an error without words
        return type(error).__name__


def _name(fn: Callable[..., Any]) -> str:
    return getattr(fn, "__qualname__", None) or repr(fn)


@contextlib.contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    """End the process once it has computed for so long."""
    if not seconds:
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@contextlib.contextmanager
def _memory_limit(more_bytes: int | None) -> Iterator[None]:
    """Let the process take only so much more address space than it has.

    Where the operating system cannot do this (macOS), the time limit is all there is.
    """
    statm = Path("/proc/self/statm")
    if not more_bytes or not statm.exists():
        yield
        return
    # Not on every platform, and needed in a child only.
    import resource

    used = int(statm.read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = used + more_bytes
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
