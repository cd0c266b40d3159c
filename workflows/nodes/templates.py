"""Text from a template, rendered in a sandbox in a process that can be killed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.nodes import registry
from workflows.nodes.limits import run_limited

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_OUTPUT_BYTES = 1024 * 1024
_SINGLE_BRACES = re.compile(r"\{\s*([^\W\d]\w*)\s*\}")


@registry.register("nodetool.text.FormatText")
class FormatText(Node):
    """A Jinja template with the node's own inputs as variables.

    Case does not matter in the names of variables, and ``{name}`` stands for
    ``{{ name }}`` when there is an input of that name.
    """

    outputs = {"output": "str"}
    dynamic = True
    retry_safe = True

    template: Annotated[
        str,
        Meta(
            description="For example: Hello, {{ name }}! or: {{ title|truncate(20) }}"
        ),
    ] = ""

    async def process(self, context: NodeContext) -> Any:
        args = (self.template, self.dynamic_properties)
        return await run_limited(context, "template", render, *args)


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return the rendered template.

    Raises:
        ValueError: the template is wrong, does something that is not allowed, or gives
            more than `MAX_OUTPUT_BYTES`.
    """
    # Takes 40 ms to import, and is used in the other process only.
    from jinja2 import TemplateError, TemplateSyntaxError

    lowered = {name.lower(): value for name, value in values.items()}
    try:
        compiled = _environment(lowered).from_string(template)
        return _within_limit(compiled.generate({**lowered, **values}))
    except TemplateSyntaxError as error:
        raise ValueError(
            f"template is wrong in line {error.lineno} ({error.message}): correct it"
        ) from None
    except (TemplateError, TypeError, ArithmeticError, LookupError) as error:
        raise ValueError(f"template cannot be rendered ({error}): correct it") from None


def _within_limit(pieces: Iterator[str]) -> str:
    kept, size = [], 0
    for piece in pieces:
        size += len(piece.encode("utf-8", "surrogatepass"))
        if size > MAX_OUTPUT_BYTES:
            raise ValueError(
                f"template gives more than {MAX_OUTPUT_BYTES:,} bytes: make it shorter"
            )
        kept.append(piece)
    return "".join(kept)


def _environment(names: Mapping[str, Any]) -> ImmutableSandboxedEnvironment:
    """Return a sandbox in which case does not matter and single braces work."""
    # Takes 40 ms to import, and is used in the other process only.
    from jinja2.ext import Extension
    from jinja2.lexer import Token, TokenStream
    from jinja2.runtime import Context
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class AnyCase(Context):
        def resolve_or_missing(self, key: str) -> Any:
            return super().resolve_or_missing(key if key in self else key.lower())

    class SingleBraces(Extension):
        def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
            for token in stream:
                if token.type == "data":
                    yield from _split_data(token)
                else:
                    yield token

    def _split_data(token: Token) -> Iterator[Token]:
        end = 0
        for match in _SINGLE_BRACES.finditer(token.value):
            if match[1].lower() in names:
                yield Token(token.lineno, "data", token.value[end : match.start()])
                yield Token(token.lineno, "variable_begin", "{{")
                yield Token(token.lineno, "name", match[1])
                yield Token(token.lineno, "variable_end", "}}")
                end = match.end()
        yield Token(token.lineno, "data", token.value[end:])

    # The result is text for people and models, not a page: nothing is escaped.
    environment = ImmutableSandboxedEnvironment(
        autoescape=False, extensions=[SingleBraces]
    )
    environment.context_class = AnyCase
    return environment
