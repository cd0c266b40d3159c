"""Numbers: calculate, compare, filter."""

import operator
from typing import Annotated, Any, Literal

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.nodes import registry
from workflows.nodes.filters import StreamFilter
from workflows.nodes.structured import choice

NUMBER = "union[int, float]"
# Past this an exact power takes noticeable time; no editor shows so many digits.
MAX_POWER_BITS = 65_536

Comparison = Literal["==", "!=", ">", "<", ">=", "<="]
FilterNumberType = Literal[
    "greater_than", "less_than", "equal_to", "even", "odd", "positive", "negative"
]

_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


@registry.register("lib.math.Add")
class Add(Node):
    """The sum of two numbers."""

    outputs = {"output": NUMBER}
    pure = True
    expose_as_tool = True

    a: int | float = 0.0
    b: int | float = 0.0

    async def process(self, context: NodeContext) -> int | float:
        try:
            return self.a + self.b
        except OverflowError:
            raise ValueError("a or b is too large: use smaller numbers") from None


@registry.register("lib.math.Divide")
class Divide(Node):
    """The quotient of two numbers."""

    outputs = {"output": NUMBER}
    pure = True
    expose_as_tool = True

    a: int | float = 0.0
    b: int | float = 1.0

    async def process(self, context: NodeContext) -> int | float:
        if self.b == 0:
            raise ValueError("b is 0: divide by another number")
        try:
            return self.a / self.b
        except OverflowError:
            raise ValueError("a or b is too large: use smaller numbers") from None


@registry.register("lib.math.Power")
class Power(Node):
    """A number raised to a power."""

    outputs = {"output": NUMBER}
    pure = True
    expose_as_tool = True

    base: int | float = 0.0
    exponent: int | float = 1.0

    async def process(self, context: NodeContext) -> int | float:
        base, exponent = self.base, self.exponent
        if base == 0 and exponent < 0:
            raise ValueError("exponent is negative and base is 0: change one of them")
        if base < 0 and exponent % 1 != 0:
            raise ValueError("base is negative: use a whole number as exponent")
        if isinstance(base, int) and isinstance(exponent, int):
            _check_size(base, exponent)
        try:
            result: int | float = base**exponent
        except OverflowError:
            raise ValueError("exponent makes the result too large: use less") from None
        return result


def _check_size(base: int, exponent: int) -> None:
    if abs(base) > 1 and exponent * base.bit_length() > MAX_POWER_BITS:
        raise ValueError(
            f"exponent {exponent} makes a number of over {MAX_POWER_BITS:,} bits: "
            "use a smaller one"
        )


@registry.register("nodetool.boolean.Compare")
class Compare(Node):
    """Whether two numbers compare as asked."""

    outputs = {"output": "bool"}
    pure = True

    a: int | float = 0
    b: int | float = 0
    comparison: Annotated[
        Comparison,
        choice(Comparison, "nodetool.nodes.nodetool.boolean.Compare.Comparison"),
    ] = "=="

    async def process(self, context: NodeContext) -> bool:
        return bool(_COMPARE[self.comparison](self.a, self.b))


@registry.register("nodetool.numbers.FilterNumber")
class FilterNumber(StreamFilter):
    """Passes on the numbers of a stream that meet a condition."""

    outputs = {"output": "float"}

    value: Annotated[float, Meta(description="The stream of numbers.")] = 0.0
    filter_type: Annotated[
        FilterNumberType,
        choice(
            FilterNumberType,
            "nodetool.nodes.nodetool.numbers.FilterNumber.FilterNumberType",
        ),
    ] = "greater_than"
    compare_value: Annotated[
        float, Meta(description="For greater_than, less_than and equal_to.")
    ] = 0

    def passes(self, value: Any) -> bool:
        match self.filter_type:
            case "greater_than":
                return bool(value > self.compare_value)
            case "less_than":
                return bool(value < self.compare_value)
            case "equal_to":
                return bool(value == self.compare_value)
            case "even":
                return bool(value % 2 == 0)
            case "odd":
                return bool(value % 2 == 1)
            case "positive":
                return bool(value > 0)
            case "negative":
                return bool(value < 0)
