"""Values that no store and no wire takes as they are (E-09)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Node
from workflows.nodes import registry


class Unprintable:
    """Fails whoever looks at it."""

    def __repr__(self) -> str:
        raise RuntimeError("nobody may look at this")

    __str__ = __repr__
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("nobody may compare this")


class Explosive(Mapping):
    """A mapping that fails when it is read."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("nobody may read this")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("nobody may read this")

    def __len__(self) -> int:
        return 1


def cyclic_list() -> list[Any]:
    items: list[Any] = [1]
    items.append(items)
    return items


def cyclic_dict() -> dict[str, Any]:
    parent: dict[str, Any] = {"name": "parent"}
    parent["child"] = {"name": "child", "parent": parent}
    return parent


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


# Each is made anew for each use: some of them change when they are looked at.
POISON: dict[str, Callable[[], Any]] = {
    "nul": lambda: "a\x00b",
    "lone surrogates": lambda: "a\ud800b\udfffc",
    "split pair": lambda: "\ud83d" + "\ude00",
    "nan": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "minus infinity": lambda: [float("-inf"), 1.5],
    "2**200": lambda: 2**200,
    "-2**200": lambda: {"deep": [-(2**200)]},
    "beyond decimal digits": lambda: 1 << 20_000,
    "set": lambda: {3},
    "frozenset": lambda: {"items": frozenset({"x"})},
    "tuple": lambda: (1, (2, 3)),
    "bytes": lambda: b"\x00\xff\xfe",
    "cyclic list": cyclic_list,
    "cyclic dict": cyclic_dict,
    "unprintable": Unprintable,
    "unprintable inside": lambda: [1, Unprintable(), 2],
    "unreadable mapping": Explosive,
    "odd keys": lambda: {"\x00": 1, 2: "two", None: 3},
    "nested 5000 deep": lambda: nested(5000),
    "a class": lambda: Unprintable,
    "an exception": lambda: ValueError("as a value"),
    "a generator": lambda: (n for n in range(3)),
    "a coroutine function": lambda: asyncio.sleep,
}


@registry.register("tests.Poison")
class Poison(Node):
    """One odd value."""

    outputs = {"output": "any"}

    kind: str = "nul"

    async def process(self, context: NodeContext) -> Any:
        return {"output": POISON[self.kind]()}


@registry.register("tests.PoisonStream")
class PoisonStream(Node):
    """All odd values, each with its name behind it."""

    outputs = {"output": "any", "name": "str"}
    streaming_output = True

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        for name, make in POISON.items():
            yield {"output": make(), "name": name}


@registry.register("tests.PoisonMessages")
class PoisonMessages(Node):
    """An odd text in every message that a node can send by itself."""

    outputs = {"output": "str"}

    kind: str = "nul"

    async def process(self, context: NodeContext) -> Any:
        text = str(POISON[self.kind]())
        await context.chunk(text)
        await context.log(text)
        return {"output": text}


@registry.register("tests.LargeText")
class LargeText(Node):
    """A text of ``size`` bytes with something to recognise at either end."""

    outputs = {"output": "str"}

    size: int = 0

    async def process(self, context: NodeContext) -> Any:
        return {"output": f"<{'x' * (self.size - 2)}>"}
