"""Texts: join, change, measure, search."""

from typing import Annotated, Any, Literal

from workflows.engine.context import NodeContext, NodeInputs, NodeOutputs
from workflows.engine.node import Meta, Node
from workflows.nodes import registry
from workflows.nodes.filters import StreamFilter
from workflows.nodes.limits import LONG_TEXT, check_size, text_work
from workflows.nodes.structured import choice

MatchMode = Literal["any", "all", "none"]
Measure = Literal["characters", "words", "lines"]
FilterType = Literal[
    "contains",
    "starts_with",
    "ends_with",
    "length_greater",
    "length_less",
    "exact_length",
]


@registry.register("nodetool.text.Concat")
class Concat(Node):
    """The first text followed by the second."""

    title = "Concatenate Text"
    outputs = {"output": "str"}
    pure = True

    a: str = ""
    b: str = ""

    async def process(self, context: NodeContext) -> str:
        # Long texts too: copying them is quicker than handing them to a process.
        check_size(len(self.a) + len(self.b))
        return self.a + self.b


@registry.register("nodetool.text.Join")
class Join(Node):
    """The items of a list as one text, with a separator between them."""

    outputs = {"output": "str"}
    pure = True

    strings: list[Any] = []
    separator: str = ""

    async def process(self, context: NodeContext) -> Any:
        return await text_work(context, join_texts, self.strings, self.separator)


def join_texts(items: list[Any], separator: str) -> str:
    """Return the items as text, joined."""
    texts = [str(item) for item in items]
    check_size(sum(map(len, texts)) + len(separator) * max(0, len(texts) - 1))
    return separator.join(texts)


@registry.register("nodetool.text.Collect")
class Collect(Node):
    """All texts of a stream as one, once the stream has ended."""

    outputs = {"output": "str"}
    streaming_input = True
    pure = True

    input_item: Annotated[str, Meta(description="The stream of texts.")] = ""
    separator: Annotated[str, Meta(description="Put between the texts.")] = ""

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        separator = await inputs.first("separator", self.separator)
        texts, size = [], 0
        async for text in inputs.each("input_item"):
            size += len(text) + len(separator)
            check_size(size)
            texts.append(text)
        await outputs.emit("output", separator.join(texts))


@registry.register("nodetool.text.ToUppercase")
class ToUppercase(Node):
    """The text in capital letters."""

    outputs = {"output": "str"}
    pure = True

    text: str = ""

    async def process(self, context: NodeContext) -> Any:
        return await text_work(context, str.upper, self.text)


@registry.register("nodetool.text.ToLowercase")
class ToLowercase(Node):
    """The text in small letters."""

    outputs = {"output": "str"}
    pure = True

    text: str = ""

    async def process(self, context: NodeContext) -> Any:
        return await text_work(context, str.lower, self.text)


@registry.register("nodetool.text.TrimWhitespace")
class TrimWhitespace(Node):
    """The text without the white space at its ends."""

    outputs = {"output": "str"}
    pure = True

    text: str = ""
    trim_start: bool = True
    trim_end: bool = True

    async def process(self, context: NodeContext) -> str:
        # Long texts too: it looks at the ends alone.
        if self.trim_start and self.trim_end:
            return self.text.strip()
        if self.trim_start:
            return self.text.lstrip()
        return self.text.rstrip() if self.trim_end else self.text


@registry.register("nodetool.text.Split")
class Split(Node):
    """The parts of the text between the delimiters."""

    title = "Split Text"
    outputs = {"output": "list[str]"}
    pure = True

    text: str = ""
    delimiter: str = ","

    async def process(self, context: NodeContext) -> Any:
        if not self.delimiter:
            raise ValueError("delimiter is empty: give at least one character")
        return await text_work(context, str.split, self.text, self.delimiter)


@registry.register("nodetool.text.Replace")
class Replace(Node):
    """The text with each occurrence of another text replaced."""

    title = "Replace Text"
    outputs = {"output": "str"}
    pure = True

    text: str = ""
    old: Annotated[str, Meta(description="What to look for.")] = ""
    new: Annotated[str, Meta(description="What to put there.")] = ""

    async def process(self, context: NodeContext) -> Any:
        return await text_work(context, replace_text, self.text, self.old, self.new)


def replace_text(text: str, old: str, new: str) -> str:
    """Return the text with every ``old`` replaced."""
    check_size(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


@registry.register("nodetool.text.Length")
class Length(Node):
    """How many characters, words or lines the text has."""

    title = "Measure Length"
    outputs = {"output": "int"}
    pure = True

    text: str = ""
    measure: Annotated[
        Measure, choice(Measure, "nodetool.nodes.nodetool.text.Length.Measure")
    ] = "characters"
    trim_whitespace: Annotated[
        bool, Meta(description="Leave out white space at the ends and empty lines.")
    ] = False

    async def process(self, context: NodeContext) -> Any:
        text = self.text.strip() if self.trim_whitespace else self.text
        if self.measure == "characters":
            return len(text)
        if self.measure == "words":
            return await text_work(context, count_words, text)
        return await text_work(context, count_lines, text, self.trim_whitespace)


def count_words(text: str) -> int:
    """Return the number of words."""
    return len(text.split())


def count_lines(text: str, skip_empty: bool) -> int:  # noqa: FBT001 - called by position in another process
    """Return the number of lines."""
    lines = text.splitlines()
    return sum(1 for line in lines if line) if skip_empty else len(lines)


@registry.register("nodetool.text.HasLength")
class HasLength(Node):
    """Whether the text is as long as asked; a length of 0 asks for nothing."""

    title = "Check Length"
    outputs = {"output": "bool"}
    pure = True

    text: str = ""
    min_length: Annotated[int, Meta(description="0 for no minimum.")] = 0
    max_length: Annotated[int, Meta(description="0 for no maximum.")] = 0
    exact_length: Annotated[
        int, Meta(description="The other two do not count then; 0 for any.")
    ] = 0

    async def process(self, context: NodeContext) -> bool:
        length = len(self.text)
        if self.exact_length:
            return length == self.exact_length
        fits_minimum = length >= self.min_length
        return fits_minimum and (not self.max_length or length <= self.max_length)


@registry.register("nodetool.text.Contains")
class Contains(Node):
    """Whether the text contains any, all or none of the given texts."""

    title = "Contains Text"
    outputs = {"output": "bool"}
    pure = True

    text: str = ""
    substring: Annotated[str, Meta(description="What to look for.")] = ""
    search_values: Annotated[
        list[str], Meta(description="Several texts to look for, instead.")
    ] = []
    case_sensitive: bool = True
    match_mode: Annotated[
        MatchMode, choice(MatchMode, "nodetool.nodes.nodetool.text.Contains.MatchMode")
    ] = "any"

    async def process(self, context: NodeContext) -> Any:
        wanted = self.search_values or [self.substring]
        args = (self.text, wanted, self.case_sensitive)
        if len(self.text) * len(wanted) > LONG_TEXT:
            found = await context.run_blocking(find_texts, *args)
        else:
            found = find_texts(*args)
        if self.match_mode == "none":
            return not any(found)
        return all(found) if self.match_mode == "all" else any(found)


def find_texts(text: str, wanted: list[str], case_sensitive: bool) -> list[bool]:  # noqa: FBT001 - called by position in another process
    """Return for each wanted text whether it occurs."""
    if case_sensitive:
        return [each in text for each in wanted]
    lowered = text.lower()
    return [each.lower() in lowered for each in wanted]


@registry.register("nodetool.text.FilterString")
class FilterString(StreamFilter):
    """Passes on the texts of a stream that meet a condition."""

    outputs = {"output": "str"}

    value: Annotated[str, Meta(description="The stream of texts.")] = ""
    filter_type: Annotated[
        FilterType,
        choice(FilterType, "nodetool.nodes.nodetool.text.FilterString.FilterType"),
    ] = "contains"
    criteria: Annotated[
        str, Meta(description="The text to look for, or a length as a number.")
    ] = ""

    def passes(self, value: Any) -> bool:
        match self.filter_type:
            case "contains":
                return self.criteria in value
            case "starts_with":
                return bool(value.startswith(self.criteria))
            case "ends_with":
                return bool(value.endswith(self.criteria))
            case "length_greater":
                return len(value) > self._length()
            case "length_less":
                return len(value) < self._length()
            case "exact_length":
                return len(value) == self._length()

    def _length(self) -> int:
        try:
            return int(self.criteria)
        except ValueError:
            raise ValueError(
                f"criteria {self.criteria!r} is not a length: for {self.filter_type} "
                "use a whole number"
            ) from None
