"""Nodes that fail, each in another way (J-02, J-12)."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Node
from workflows.nodes import registry


class Mute(Exception):
    """An error that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Harsh(BaseException):
    """Not an ``Exception``: passes by every handler that names one."""


FAULTS: dict[str, Callable[[], BaseException]] = {
    "with a text": lambda: ValueError("the tank is empty"),
    "bare": ValueError,
    "blank": lambda: RuntimeError("   "),
    "key": lambda: KeyError("colour"),
    "mute": Mute,
    "harsh": lambda: Harsh("out of the ordinary"),
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "cancelled": asyncio.CancelledError,
    "timeout": TimeoutError,
    "memory": MemoryError,
    "recursion": RecursionError,
    "stop": StopIteration,
    "odd text": lambda: ValueError("nul \x00 surrogate \ud800"),
    "long text": lambda: ValueError("long " * 10_000),
    "lines": lambda: ValueError("first\nsecond\r\nthird"),
    "group": lambda: ExceptionGroup("several", [ValueError("one"), KeyError("two")]),
}


@registry.register("tests.Raise")
class Raise(Node):
    """Fails at once, or after it has waited."""

    outputs = {"output": "any"}

    kind: str = "bare"
    waits: bool = False

    async def process(self, context: NodeContext) -> Any:
        if self.waits:
            await asyncio.sleep(0.01)
        raise FAULTS[self.kind]()


@registry.register("tests.RaiseInStream")
class RaiseInStream(Node):
    """Sends an item, then fails."""

    outputs = {"output": "int"}
    streaming_output = True

    kind: str = "bare"

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        yield {"output": 1}
        raise FAULTS[self.kind]()


@registry.register("tests.RaiseInProcess")
class RaiseInProcess(Node):
    """Fails in its pool process, or takes that process with it."""

    outputs = {"output": "any"}

    kind: str = "bare"

    async def process(self, context: NodeContext) -> Any:
        return await context.run_blocking(IN_PROCESS[self.kind])


def _raise_bare() -> None:
    raise ValueError


def _die() -> None:
    os._exit(9)


IN_PROCESS: dict[str, Callable[[], Any]] = {
    "bare": _raise_bare,
    "die": _die,
}


@registry.register("tests.UndeclaredOutput")
class UndeclaredOutput(Node):
    """Sends to an output that it does not have."""

    outputs = {"output": "any", "other": "any"}

    async def process(self, context: NodeContext) -> Any:
        return {"nowhere": 1}


@registry.register("tests.Stubborn")
class Stubborn(Node):
    """Goes on although it is told to stop."""

    outputs = {"output": "any"}

    seconds: float = 30.0

    async def process(self, context: NodeContext) -> Any:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.seconds
        while (left := deadline - loop.time()) > 0:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(left)
        return {"output": "never stopped"}
