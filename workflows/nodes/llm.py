"""What the nodes that call a language model share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any

from workflows.agents.loop import AgentLoop, Happening, Piece
from workflows.agents.media import attached
from workflows.agents.telling import Teller
from workflows.engine.context import NodeContext, ReachedModel
from workflows.engine.events import encode_value
from workflows.engine.node import Node
from workflows.engine.type_specs import TypeSpec
from workflows.engine.values import text_chunk
from workflows.providers.messages import ChatRequest, Message, TextPart

Json = Mapping[str, Any]

NO_PROVIDER = "empty"
SHOWN_ROWS = 20


async def reach(context: NodeContext, model: Json) -> ReachedModel:
    """Return the model that a property names.

    Raises:
        ValueError: none is chosen.
        ProviderError: it cannot be called; the text names the cure.
    """
    model_id, provider = model.get("id"), model.get("provider")
    if not model_id:
        raise ValueError(
            "No model is chosen: choose one in the node's property 'model'"
        )
    return await context.models.find(
        str(model_id), None if provider in (None, "", NO_PROVIDER) else str(provider)
    )


def said(role: Any, text: str) -> Message:
    """Return a message that is only text."""
    return Message(role, (TextPart(text),))


def instructed(system: str, *messages: Message) -> tuple[Message, ...]:
    """Return messages behind instructions, if there are any."""
    return (*((said("system", system),) if system else ()), *messages)


async def question(context: NodeContext, text: str, *references: Json) -> Message:
    """Return a message of the user, with pictures and sounds that are not empty.

    Raises:
        ValueError: there is nothing in it.
        UnusableMedia: a picture or a sound cannot be given to a model.
    """
    parts = await attached(context, *references)
    if text:
        parts = (TextPart(text), *parts)
    if not parts:
        raise ValueError("There is nothing to work on: give a text or a prompt")
    return Message("user", parts)


def added_outputs(context: NodeContext, node: Node) -> dict[str, TypeSpec]:
    """Return the outputs that the user has added to a node, with their types."""
    declared = type(node).outputs
    return {
        name: spec for name, spec in context.outputs.items() if name not in declared
    }


def wanted_fields(context: NodeContext, node: Node) -> dict[str, TypeSpec]:
    """Return the fields that a node with outputs of the user's own shall find.

    Raises:
        ValueError: it has none.
    """
    fields = added_outputs(context, node)
    if not fields:
        raise ValueError("There are no outputs: add one for each field that is wanted")
    return fields


def tagged(name: str, text: str) -> str:
    """Return a text between tags, as instructions refer to it; empty if it is."""
    return f"<{name}>\n{text}\n</{name}>\n" if text else ""


def table_text(table: Mapping[str, list[Any]]) -> str:
    """Return the columns and the first rows of a table for a prompt, a row a line."""
    rows = islice(zip(*table.values(), strict=True), SHOWN_ROWS)
    lines = [list(table), *(list(row) for row in rows)]
    return "\n".join(encode_value(line).decode() for line in lines)


def request_to(
    reached: ReachedModel, messages: Sequence[Message], **options: Any
) -> ChatRequest:
    """Return a request to a model."""
    return ChatRequest(model=reached.model, messages=tuple(messages), **options)


async def streamed(
    context: NodeContext, loop: AgentLoop, *, with_thinking: bool = False
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the pieces of an answer for the output ``chunk``, and tell of them.

    ``with_thinking``: what the model only thinks goes to the output ``thinking``.
    """
    teller = Teller(context)
    async with aclosing(loop.run()) as happenings:
        async for happening in happenings:
            await teller.tell(happening)
            output = _output_of(happening, with_thinking=with_thinking)
            if output is not None:
                yield output
    loop.check()
    await teller.chunk("", is_last=True)
    yield {"chunk": text_chunk("", done=True)}


def _output_of(happening: Happening, *, with_thinking: bool) -> dict[str, Any] | None:
    if not isinstance(happening, Piece):
        return None
    chunk = text_chunk(happening.text)
    if not happening.is_thinking:
        return {"chunk": chunk}
    return {"thinking": {**chunk, "thinking": True}} if with_thinking else None
