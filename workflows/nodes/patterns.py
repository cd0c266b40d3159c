"""Regular expressions, always in a process that can be killed."""

import re
from typing import Annotated, Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.nodes import registry
from workflows.nodes.limits import (
    check_pattern,
    check_size,
    compile_pattern,
    run_limited,
)


@registry.register("nodetool.text.RegexReplace")
class RegexReplace(Node):
    """The text with the matches of a pattern replaced."""

    title = "Replace with Regex"
    outputs = {"output": "str"}
    pure = True

    text: str = ""
    pattern: Annotated[str, Meta(description="What to look for.")] = ""
    replacement: Annotated[
        str, Meta(description=r"What to put there; \1 is the first group.")
    ] = ""
    count: Annotated[int, Meta(description="How many at most; 0 for all.")] = 0

    async def process(self, context: NodeContext) -> Any:
        check_pattern("pattern", self.pattern)
        if self.count < 0:
            raise ValueError("count is negative: use 0 for all matches")
        args = (self.text, self.pattern, self.replacement, self.count)
        return await run_limited(context, "pattern", replace_matches, *args)


def replace_matches(text: str, pattern: str, replacement: str, count: int) -> str:
    """Return the text with the matches replaced."""
    compiled = compile_pattern("pattern", pattern)
    try:
        result = compiled.sub(replacement, text, count=count)
    except (re.error, IndexError) as error:
        raise ValueError(
            f"replacement is not usable ({error}): refer to groups of the pattern, and "
            "double each other backslash"
        ) from None
    check_size(len(result))
    return result


@registry.register("nodetool.text.FindAllRegex")
class FindAllRegex(Node):
    """All matches of a pattern; of its group, or groups, if it has any."""

    title = "Find All Regex Matches"
    outputs = {"output": "list[str]"}
    pure = True

    text: str = ""
    regex: Annotated[str, Meta(description="What to look for.")] = ""
    dotall: Annotated[bool, Meta(description="A dot matches line ends too.")] = False
    ignorecase: Annotated[bool, Meta(description="Case does not matter.")] = False
    multiline: Annotated[
        bool, Meta(description="^ and $ match at the ends of each line.")
    ] = False

    async def process(self, context: NodeContext) -> Any:
        check_pattern("regex", self.regex)
        flags = (
            (re.DOTALL if self.dotall else 0)
            | (re.IGNORECASE if self.ignorecase else 0)
            | (re.MULTILINE if self.multiline else 0)
        )
        return await run_limited(
            context, "regex", find_matches, self.text, self.regex, int(flags)
        )


def find_matches(text: str, pattern: str, flags: int) -> list[Any]:
    """Return the matches; lists of texts where the pattern has several groups."""
    found = compile_pattern("regex", pattern, flags).findall(text)
    return [list(each) if isinstance(each, tuple) else each for each in found]
