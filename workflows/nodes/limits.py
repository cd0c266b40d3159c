"""Bounds on work whose cost the user's input decides.

Patterns and templates run in a process that can be killed, with limits of time and
memory. Texts are bounded, and long ones are worked on outside the loop.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from workflows.engine.context import NodeContext

TIME_LIMIT_S = 5.0
MEMORY_LIMIT_BYTES = 256 * 1024 * 1024
MAX_PATTERN = 1_000
MAX_TEXT = 64 * 1024 * 1024
LONG_TEXT = 256 * 1024
_POINTER = 8


async def run_limited(
    context: NodeContext, property_name: str, fn: Callable[..., Any], *args: Any
) -> Any:
    """Call a module-level function in a process, within the limits.

    Raises:
        ValueError: it took too long or too much memory, or it said what is wrong; the
            text names the property that is to blame.
    """
    try:
        return await context.run_blocking(
            fn,
            *args,
            time_limit_s=TIME_LIMIT_S,
            memory_limit_bytes=MEMORY_LIMIT_BYTES,
        )
    except TimeoutError:
        raise ValueError(
            f"{property_name} took longer than {TIME_LIMIT_S:g} s: make it "
            "simpler, or the text shorter"
        ) from None
    except (MemoryError, RecursionError):
        raise ValueError(
            f"{property_name} needs too much memory: make it simpler, or the text "
            "shorter"
        ) from None
    except ChildProcessError as died:
        raise ValueError(
            f"{property_name} broke the process that it ran in: make it simpler"
        ) from died


async def text_work(context: NodeContext, fn: Callable[..., Any], *args: Any) -> Any:
    """Call a module-level function on texts: here if they are short, else elsewhere."""
    if size_of(args) <= LONG_TEXT:
        return fn(*args)
    return await context.run_blocking(fn, *args)


def size_of(values: Sequence[Any]) -> int:
    """Return the bytes, roughly, in texts and lists of texts.

    Does not go on counting past `LONG_TEXT`.
    """
    total = 0
    for value in values:
        if isinstance(value, str):
            total += len(value) + _POINTER
        elif isinstance(value, list):
            total += size_of(value) + _POINTER
        else:
            total += _POINTER
        if total > LONG_TEXT:
            break
    return total


def check_size(size: int) -> None:
    """Refuse a text of more than `MAX_TEXT` characters, before it is made.

    Raises:
        ValueError: it is too long.
    """
    if size > MAX_TEXT:
        raise ValueError(
            f"the result would have {size:,} characters, more than the {MAX_TEXT:,} "
            "that are allowed: use shorter texts"
        )


def compile_pattern(name: str, pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Return the compiled pattern. Call it in the other process only.

    Raises:
        ValueError: it is not a regular expression, or too long.
    """
    try:
        return re.compile(pattern, flags)
    except (re.error, OverflowError) as error:
        raise ValueError(
            f"{name} is not a regular expression ({error}): correct it, or put a "
            "backslash before special characters"
        ) from None


def check_pattern(name: str, pattern: str) -> None:
    """Refuse a pattern that is too long.

    Raises:
        ValueError: it is.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(
            f"{name} has {len(pattern):,} characters: use at most {MAX_PATTERN:,}"
        )
