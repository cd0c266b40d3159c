"""Parameters of a workflow: numbers, texts, paths and other plain values."""

from pathlib import PurePath
from typing import Annotated, Any
from urllib.parse import quote

from workflows.engine.node import InputNode, Meta
from workflows.engine.values import ColorValue, empty_asset
from workflows.nodes import registry
from workflows.nodes.structured import ImageSizeValue, default_size, no_color


class Parameter(InputNode):
    """What all input nodes share: a name for the caller, and a value."""

    name: Annotated[str, Meta(description="The parameter's name.")] = ""
    description: Annotated[str, Meta(description="What the caller is told.")] = ""


def _in_range(value: Any, low: float, high: float) -> Any:
    if not low <= value <= high:
        raise ValueError(f"{value} is not between {low} and {high}")
    return value


@registry.register("nodetool.input.FloatInput")
class FloatInput(Parameter):
    """A number, within bounds."""

    outputs = {"output": "float"}

    value: float = 0.0
    min: Annotated[float, Meta(description="The smallest number allowed.")] = 0
    max: Annotated[float, Meta(description="The largest number allowed.")] = 99999

    def check(self, value: Any) -> Any:
        return _in_range(value, self.min, self.max)


@registry.register("nodetool.input.IntegerInput")
class IntegerInput(Parameter):
    """A whole number, within bounds."""

    outputs = {"output": "int"}

    value: int = 0
    min: Annotated[int, Meta(description="The smallest number allowed.")] = 0
    max: Annotated[int, Meta(description="The largest number allowed.")] = 99999

    def check(self, value: Any) -> Any:
        return _in_range(value, self.min, self.max)


@registry.register("nodetool.input.BooleanInput")
class BooleanInput(Parameter):
    """A switch that is on or off."""

    outputs = {"output": "bool"}

    value: bool = False


@registry.register("nodetool.input.StringInput")
class StringInput(Parameter):
    """A text; what is longer than the limit is cut off."""

    outputs = {"output": "str"}

    value: str = ""
    max_length: Annotated[
        int,
        Meta(description="Characters that are kept; 0 for all.", min=0, max=100000),
    ] = 0
    line_mode: Annotated[
        str, Meta(description="How editors show the field: one line or several.")
    ] = "single_line"

    def check(self, value: Any) -> Any:
        return value[: self.max_length] if self.max_length > 0 else value


@registry.register("nodetool.input.SelectInput")
class SelectInput(Parameter):
    """One of the listed options."""

    outputs = {"output": "str"}

    value: str = ""
    options: Annotated[
        list[str], Meta(description="What may be chosen; anything if empty.")
    ] = []
    enum_type_name: Annotated[
        str, Meta(description="The enum type that the options come from.")
    ] = ""

    def check(self, value: Any) -> Any:
        if self.options and value and value not in self.options:
            raise ValueError(f"{value!r} is not one of {', '.join(self.options)}")
        return value


@registry.register("nodetool.input.StringListInput")
class StringListInput(Parameter):
    """A list of texts."""

    outputs = {"output": "list[str]"}

    value: list[str] = []


@registry.register("nodetool.input.TextListInput")
class TextListInput(Parameter):
    """A list of texts."""

    outputs = {"output": "list[str]"}

    value: list[str] = []


@registry.register("nodetool.input.FilePathInput")
class FilePathInput(Parameter):
    """The path of a file."""

    outputs = {"output": "str"}

    value: Annotated[str, Meta(json_schema_extra={"type": "file_path"})] = ""


@registry.register("nodetool.input.FolderPathInput")
class FolderPathInput(Parameter):
    """The path of a folder."""

    outputs = {"output": "str"}

    value: Annotated[str, Meta(json_schema_extra={"type": "folder_path"})] = ""


@registry.register("nodetool.input.DocumentFileInput")
class DocumentFileInput(Parameter):
    """The path of a document: as a reference to the document, and as it is."""

    outputs = {"document": "document", "path": "str"}

    value: Annotated[str, Meta(json_schema_extra={"type": "file_path"})] = ""

    def values(self, value: Any) -> dict[str, Any]:
        document = {**empty_asset("document"), "uri": _file_uri(value)}
        return {"document": document, "path": value}


def _file_uri(path: str) -> str:
    if not path or path.startswith("file:"):
        return path
    # What a relative path is relative to is for the reader of the file to say.
    return f"file:{'//' if PurePath(path).is_absolute() else ''}{quote(path)}"


@registry.register("nodetool.input.ColorInput")
class ColorInput(Parameter):
    """A colour."""

    outputs = {"output": "color"}

    value: ColorValue = no_color()


@registry.register("nodetool.input.ImageSizeInput")
class ImageSizeInput(Parameter):
    """Width and height of a picture."""

    outputs = {"output": "image_size"}

    value: ImageSizeValue = default_size()
