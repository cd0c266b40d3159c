"""A chat completion whose answer is read from the log of a job.

The graph of such a job is the server's own: ``Completion`` asks a model, while
``CompletionForm`` only says how the answer is to look.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from workflows.agents.answers import AgentError
from workflows.agents.loop import AgentLoop, Piece
from workflows.agents.telling import Teller
from workflows.agents.tool_names import tools_named
from workflows.agents.tools import Tool
from workflows.engine.context import NodeContext, ReachedModel
from workflows.engine.errors import EngineError
from workflows.engine.node import Node
from workflows.nodes import registry
from workflows.providers.base import ProviderError
from workflows.providers.calls import Call
from workflows.providers.messages import (
    ChatRequest,
    Chunk,
    FinishReason,
    ToolCall,
    ToolCallDelta,
    Usage,
)

ARGUMENTS_AT_ONCE = 8 * 1024
_decode_request = msgspec.json.Decoder(ChatRequest).decode


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a ``ProviderError`` says, as it is stored."""

    message: str
    status: int
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None
    is_transient: bool = False

    @classmethod
    def of(cls, error: ProviderError) -> Failure:
        """Return what an error says."""
        return cls(*(getattr(error, name) for name in cls.__struct_fields__))

    def error(self) -> ProviderError:
        """Return the error that says it."""
        return ProviderError(**msgspec.structs.asdict(self))


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ``content_metadata`` of a piece: what it says beside its text.

    ``choice``: the number of the answer. The last piece of each has ``usage`` and its
    ``finish_reason``. ``failure`` ends all answers.
    """

    choice: int = 0
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: list[dict[str, Any]] | None = None
    is_refusal: bool = False
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    failure: Failure | None = None


@registry.register("nodetool.chat.Completion")
class Completion(Node):
    """Asks a model for one answer or several, and tells each piece as a ``chunk``.

    ``request`` is the JSON text of a ``ChatRequest``, with the provider's own id of
    the model.
    Stop strings are applied here. An error of the provider is told before the node
    fails with it.

    ``tools`` are names of tools that run here while the model answers; the answer does
    not show their calls. Those of the request are never run: a call of one ends the
    answer, of which it is a part.
    """

    outputs = {"output": "none"}
    hidden = True

    request: str = ""
    provider: str = ""
    choices: int = 1
    tools: list[str] = []

    async def process(self, context: NodeContext) -> dict[str, Any]:
        try:
            await self._answer(context)
        except ProviderError as error:
            await _tell(context, Details(failure=Failure.of(error)))
            raise
        return {"output": None}

    async def _answer(self, context: NodeContext) -> None:
        request = _decode_request(self.request)
        reached = await context.models.find(request.model, self.provider or None)
        tools = await self._served_tools(context)
        try:
            async with asyncio.TaskGroup() as group:
                for index in range(self.choices):
                    call = Call(index, request)
                    answer = _answer_one(context, reached, request, tools, call)
                    group.create_task(answer)
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed

    async def _served_tools(self, context: NodeContext) -> list[Tool]:
        """Return the tools that run here.

        Raises:
            ProviderError: one is not to be had. The caller cannot do anything about
                it, and to ask again does not help.
        """
        try:
            return await tools_named(self.tools, context)
        except EngineError as error:
            raise ProviderError(
                f"The server's own tools (NODETOOL_TOOLS) are not all there: {error}",
                status=400,
                code="server_tool_not_found",
            ) from error


@registry.register("nodetool.chat.CompletionForm")
class CompletionForm(Node):
    """What the events of an answer look like: read by who writes them, never run."""

    outputs = {"output": "none"}
    hidden = True
    inert = True

    form: dict[str, Any] = {}


async def _answer_one(
    context: NodeContext,
    reached: ReachedModel,
    request: ChatRequest,
    tools: Sequence[Tool],
    call: Call,
) -> None:
    """Tell one answer; with ``tools`` it is the end of an agent's loop."""
    loop = None
    if tools:
        loop = AgentLoop(
            reached, request, usage=context.run.usage, tools=tools, must_fit=False
        )
    said = reached.provider.stream(request) if loop is None else _say(context, loop)
    async with aclosing(said) as chunks:
        async for chunk in chunks:
            await _tell_chunk(context, call.index, chunk, call.take(chunk))
            if call.is_cut:
                break
    rest, reason = call.end()
    if loop is None:
        usage = call.usage
        context.run.usage.add(usage.prompt_tokens, usage.completion_tokens)
    else:  # it has counted its calls by itself
        usage = loop.spent
    last = Details(choice=call.index, finish_reason=reason, usage=usage)
    await _tell(context, last, rest, done=True)


async def _say(context: NodeContext, loop: AgentLoop) -> AsyncGenerator[Chunk, None]:
    """Yield what a loop comes to as if one answer of a model had said it.

    Raises:
        ProviderError: a call of the model failed, or it comes to no answer.
    """
    teller = Teller(context)
    try:
        async with aclosing(loop.run()) as happenings:
            async for happening in happenings:
                if isinstance(happening, Piece):
                    yield _chunk_of(happening)
                else:
                    await teller.tell(happening)
    except AgentError as error:
        raise ProviderError(str(error), status=502) from error
    for number, call in enumerate(loop.passed_calls):
        for delta in _deltas(number, call):
            yield Chunk(tool_calls=(delta,))
    yield Chunk(finish_reason=loop.finish_reason)


def _chunk_of(piece: Piece) -> Chunk:
    if piece.is_thinking:
        return Chunk(reasoning=piece.text)
    return Chunk(text=piece.text, logprobs=piece.logprobs, is_refusal=piece.is_refusal)


def _deltas(number: int, call: ToolCall) -> Iterator[ToolCallDelta]:
    """Yield a call in pieces: the log of a job takes no large events."""
    yield ToolCallDelta(number, call.id, call.name)
    for start in range(0, len(call.arguments), ARGUMENTS_AT_ONCE):
        piece = call.arguments[start : start + ARGUMENTS_AT_ONCE]
        yield ToolCallDelta(number, arguments=piece)


async def _tell_chunk(
    context: NodeContext, choice: int, chunk: Chunk, text: str
) -> None:
    # Apart: a long text is cut into events that have all its details.
    if chunk.reasoning:
        await _tell(context, Details(choice=choice), chunk.reasoning, thinking=True)
    if text or chunk.logprobs:
        details = Details(
            choice=choice, logprobs=chunk.logprobs, is_refusal=chunk.is_refusal
        )
        await _tell(context, details, text)
    if chunk.tool_calls:
        await _tell(context, Details(choice=choice, tool_calls=chunk.tool_calls))


async def _tell(
    context: NodeContext, details: Details, text: str = "", **flags: bool
) -> None:
    await context.chunk(
        text,
        content_metadata=msgspec.to_builtins(details),
        done=flags.get("done", False),
        thinking=flags.get("thinking", False),
    )
