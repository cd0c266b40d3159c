"""Fixed values: plain ones, dates and choices."""

import datetime as dt
from typing import Annotated, Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.nodes import registry
from workflows.nodes.structured import ImageSizeValue, JsonRef, default_size, no_asset


class Constant(Node):
    """Base of the constants; a subclass declares ``value``."""

    pure = True
    reports_result = False

    async def process(self, context: NodeContext) -> Any:
        # Spelt out: a constant may itself be a dict, even one with the key "output".
        return {"output": self.value}  # type: ignore[attr-defined]


@registry.register("nodetool.constant.Bool")
class Bool(Constant):
    """On or off."""

    outputs = {"output": "bool"}
    expose_as_tool = True

    value: bool = False


@registry.register("nodetool.constant.Integer")
class Integer(Constant):
    """A whole number."""

    outputs = {"output": "int"}

    value: int = 0


@registry.register("nodetool.constant.Float")
class Float(Constant):
    """A number."""

    outputs = {"output": "float"}

    value: float = 0.0


@registry.register("nodetool.constant.String")
class String(Constant):
    """A text."""

    outputs = {"output": "str"}

    value: str = ""


@registry.register("nodetool.constant.TextList")
class TextList(Constant):
    """A list of texts."""

    outputs = {"output": "list[str]"}
    expose_as_tool = True

    value: list[str] = []


@registry.register("nodetool.constant.List")
class List(Constant):
    """A list of anything."""

    outputs = {"output": "list[any]"}

    value: list[Any] = []


@registry.register("nodetool.constant.Dict")
class Dict(Constant):
    """Values by name."""

    outputs = {"output": "dict[str, any]"}
    expose_as_tool = True

    value: dict[str, Any] = {}


@registry.register("nodetool.constant.JSON")
class JSON(Constant):
    """A JSON document."""

    outputs = {"output": "json"}
    expose_as_tool = True

    value: JsonRef = no_asset("json")


@registry.register("nodetool.constant.Select")
class Select(Constant):
    """One of the listed options."""

    outputs = {"output": "str"}

    value: str = ""
    options: Annotated[
        list[str], Meta(description="What may be chosen; anything if empty.")
    ] = []
    enum_type_name: Annotated[
        str, Meta(description="The enum type that the options come from.")
    ] = ""

    async def process(self, context: NodeContext) -> str:
        if self.options and self.value and self.value not in self.options:
            options = ", ".join(self.options)
            raise ValueError(f"value {self.value!r} is not an option: use {options}")
        return self.value


@registry.register("nodetool.constant.Date")
class Date(Node):
    """A day."""

    outputs = {"output": "date"}
    pure = True
    reports_result = False

    year: Annotated[int, Meta(min=1, max=9999)] = 1900
    month: Annotated[int, Meta(min=1, max=12)] = 1
    day: Annotated[int, Meta(min=1, max=31)] = 1

    async def process(self, context: NodeContext) -> dict[str, Any]:
        _check_day(self.year, self.month, self.day)
        day = {"year": self.year, "month": self.month, "day": self.day}
        return {"output": {"type": "date", **day}}


@registry.register("nodetool.constant.DateTime")
class DateTime(Node):
    """A moment; the offset from UTC is in minutes."""

    title = "Date Time"
    outputs = {"output": "datetime"}
    pure = True
    expose_as_tool = True
    reports_result = False

    year: Annotated[int, Meta(min=1, max=9999)] = 1900
    month: Annotated[int, Meta(min=1, max=12)] = 1
    day: Annotated[int, Meta(min=1, max=31)] = 1
    hour: Annotated[int, Meta(min=0, max=23)] = 0
    minute: Annotated[int, Meta(min=0, max=59)] = 0
    second: Annotated[int, Meta(min=0, max=59)] = 0
    millisecond: Annotated[int, Meta(min=0, max=999)] = 0
    tzinfo: Annotated[str, Meta(description="Name of the time zone.")] = "UTC"
    utc_offset: Annotated[
        int, Meta(description="Minutes ahead of UTC.", min=-720, max=840)
    ] = 0

    async def process(self, context: NodeContext) -> dict[str, Any]:
        _check_day(self.year, self.month, self.day)
        moment = {
            "type": "datetime",
            "year": self.year,
            "month": self.month,
            "day": self.day,
            "hour": self.hour,
            "minute": self.minute,
            "second": self.second,
            "microsecond": self.millisecond * 1000,
            "tzinfo": self.tzinfo,
            "utc_offset": self.utc_offset,
        }
        return {"output": moment}


def _check_day(year: int, month: int, day: int) -> None:
    try:
        dt.date(year, month, day)
    except ValueError:
        raise ValueError(
            f"day {day} does not exist in {year}-{month:02}: use a day of that month"
        ) from None


@registry.register("nodetool.constant.ImageSize")
class ImageSize(Node):
    """Width and height of a picture."""

    outputs = {"image_size": "image_size", "width": "int", "height": "int"}
    pure = True
    expose_as_tool = True
    reports_result = False

    value: ImageSizeValue = default_size()

    async def process(self, context: NodeContext) -> dict[str, Any]:
        size = self.value
        width, height = size.get("width", 1024), size.get("height", 1024)
        return {"image_size": size, "width": width, "height": height}
