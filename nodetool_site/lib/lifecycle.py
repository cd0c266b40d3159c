"""What happens when the server process starts, stops and is asked whether it is ready.

Apps register hooks; the server command, and an ASGI server with a lifespan, run
them on the serving loop. Under a server without either, nothing here is called: a
part that needs a start then starts at its first use.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Hook: TypeAlias = Callable[[], Awaitable[None]]
ReadinessCheck: TypeAlias = Callable[[], Awaitable[bool]]

READINESS_TIMEOUT_S = 1.5  # a probe has two seconds in all
STOP_TIMEOUT_S = 5.0

logger = logging.getLogger(__name__)


class Stopping:
    """Whether the server is going down. Long answers end when it is.

    Used on the serving loop only.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._listeners: set[Callable[[], None]] = set()

    def is_set(self) -> bool:
        """Tell whether the server has begun to stop."""
        return self._is_set

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` once when the server begins to stop; now if it has."""
        if self._is_set:
            listener()
        else:
            self._listeners.add(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Forget ``listener``; harmless if it is not known."""
        self._listeners.discard(listener)

    def set(self) -> None:
        """Begin: tell every listener."""
        self._is_set = True
        listeners, self._listeners = self._listeners, set()
        for listener in listeners:
            listener()

    def clear(self) -> None:
        """Forget that the server was stopping (a test starts several)."""
        self._is_set = False


stopping = Stopping()
_start_hooks: list[Hook] = []
_stop_hooks: list[Hook] = []
_readiness_checks: dict[str, ReadinessCheck] = {}


def on_start(hook: Hook) -> Hook:
    """Run ``hook`` when the server starts, in the order of registration."""
    _start_hooks.append(hook)
    return hook


def on_stop(hook: Hook) -> Hook:
    """Run ``hook`` when the last request has ended, in reverse order."""
    _stop_hooks.append(hook)
    return hook


def add_readiness_check(name: str, check: ReadinessCheck) -> None:
    """Make ``/ready`` answer 503 while ``check`` returns False, fails or is slow."""
    _readiness_checks[name] = check


async def start() -> None:
    """Run the start hooks. A hook that fails keeps the server from starting."""
    stopping.clear()
    for hook in _start_hooks:
        await hook()


async def stop() -> None:
    """Run the stop hooks; none of them can keep the process alive."""
    stopping.set()
    for hook in reversed(_stop_hooks):
        try:
            await asyncio.wait_for(hook(), STOP_TIMEOUT_S)
        except Exception:
            logger.exception("a stop hook failed")


async def readiness() -> dict[str, bool]:
    """Return what each readiness check says, all asked at once."""
    names = list(_readiness_checks)
    answers = await asyncio.gather(*(_ask(_readiness_checks[name]) for name in names))
    return dict(zip(names, answers, strict=True))


async def _ask(check: ReadinessCheck) -> bool:
    try:
        return await asyncio.wait_for(check(), READINESS_TIMEOUT_S)
    except Exception:
        logger.warning("readiness check failed", exc_info=True)
        return False
