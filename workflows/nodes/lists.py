"""Lists: make, measure, reorder. The list that comes in is never changed."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.nodes import registry
from workflows.nodes.structured import choice

MAX_RANGE = 1_000_000
# A longer list is sorted in another process: it would hold up all other runs here.
SORTED_IN_PLACE = 10_000

SortOrder = Literal["ascending", "descending"]


def _numbers(start: int, stop: int, step: int) -> range:
    if step == 0:
        raise ValueError("step is 0: use a positive or a negative number")
    return range(start, stop, step)


@registry.register("nodetool.list.GenerateSequence")
class GenerateSequence(Node):
    """Sends whole numbers one after the other, from start to before stop."""

    outputs = {"output": "int"}
    streaming_output = True
    retry_safe = True

    start: Annotated[int, Meta(description="The first number.")] = 0
    stop: Annotated[int, Meta(description="The first number left out.")] = 0
    step: Annotated[int, Meta(description="From one number to the next.")] = 1

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        for number in _numbers(self.start, self.stop, self.step):
            yield {"output": number}


@registry.register("nodetool.list.ListRange")
class ListRange(Node):
    """The list of whole numbers from start to before stop."""

    outputs = {"output": "list[int]"}
    pure = True

    start: Annotated[int, Meta(description="The first number.")] = 0
    stop: Annotated[int, Meta(description="The first number left out.")] = 0
    step: Annotated[int, Meta(description="From one number to the next.")] = 1

    async def process(self, context: NodeContext) -> list[int]:
        numbers = _numbers(self.start, self.stop, self.step)
        # The length of a range past the machine's word size cannot be asked for.
        if abs(self.stop - self.start) // abs(self.step) > MAX_RANGE:
            raise ValueError(
                f"stop {self.stop} makes a list of over {MAX_RANGE:,} numbers: "
                "send them one by one with GenerateSequence"
            )
        return list(numbers)


@registry.register("nodetool.list.Append")
class Append(Node):
    """The list with a value added at its end."""

    outputs = {"output": "list[any]"}
    pure = True

    values: list[Any] = []
    value: Annotated[Any, Meta(description="The value to add.")] = []

    async def process(self, context: NodeContext) -> list[Any]:
        return [*self.values, self.value]


@registry.register("nodetool.list.Reverse")
class Reverse(Node):
    """The list from its end to its start."""

    outputs = {"output": "list[any]"}
    pure = True

    values: list[Any] = []

    async def process(self, context: NodeContext) -> list[Any]:
        return self.values[::-1]


@registry.register("nodetool.list.Sort")
class Sort(Node):
    """The list in order; its items must be comparable with each other."""

    outputs = {"output": "list[any]"}
    pure = True

    values: list[Any] = []
    order: Annotated[
        SortOrder, choice(SortOrder, "nodetool.nodes.nodetool.list.Sort.SortOrder")
    ] = "ascending"

    async def process(self, context: NodeContext) -> list[Any]:
        descending = self.order == "descending"
        if len(self.values) <= SORTED_IN_PLACE:
            return sort_values(self.values, descending)
        ordered: list[Any] = await context.run_blocking(
            sort_values, self.values, descending
        )
        return ordered


def sort_values(values: list[Any], descending: bool) -> list[Any]:  # noqa: FBT001 - called by position in another process
    """Return the values in order."""
    try:
        return sorted(values, reverse=descending)
    except TypeError as error:
        raise ValueError(
            f"values cannot be put in order ({error}): sort only numbers or only texts"
        ) from None


@registry.register("nodetool.list.GetElement")
class GetElement(Node):
    """The item at an index, counted from 0; a negative one counts from the end."""

    outputs = {"output": "any"}
    pure = True

    values: list[Any] = []
    index: int = 0

    async def process(self, context: NodeContext) -> dict[str, Any]:
        count = len(self.values)
        if not -count <= self.index < count:
            bounds = f"use {-count} to {count - 1}" if count else "the list is empty"
            raise ValueError(f"index {self.index} is out of range: {bounds}")
        return {"output": self.values[self.index]}


@registry.register("nodetool.list.Length")
class Length(Node):
    """How many items the list has."""

    title = "List Length"
    outputs = {"output": "int"}
    pure = True

    values: list[Any] = []

    async def process(self, context: NodeContext) -> int:
        return len(self.values)


@registry.register("nodetool.list.Sum")
class Sum(Node):
    """The sum of the numbers; an empty list has none."""

    outputs = {"output": "float"}
    pure = True

    values: list[float] = []

    async def process(self, context: NodeContext) -> float:
        if not self.values:
            raise ValueError("values is empty: give at least one number")
        return sum(self.values)
