"""A chat completion whose answer is read from the log of a job.

The graph of such a job is the server's own: ``Completion`` asks a model, while
``CompletionForm`` only says how the answer is to look.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import msgspec

from workflows.engine.context import NodeContext, ReachedModel
from workflows.engine.node import Node
from workflows.nodes import registry
from workflows.providers.base import ProviderError
from workflows.providers.calls import Call
from workflows.providers.messages import (
    ChatRequest,
    Chunk,
    FinishReason,
    ToolCallDelta,
    Usage,
)


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
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    failure: Failure | None = None


@registry.register("nodetool.chat.Completion")
class Completion(Node):
    """Asks a model for one answer or several, and tells each piece as a ``chunk``.

    ``request`` is a ``ChatRequest`` as JSON, with the provider's own id of the model.
    Stop strings are applied here. An error of the provider is told before the node
    fails with it.
    """

    outputs = {"output": "none"}
    hidden = True

    request: dict[str, Any] = {}
    provider: str = ""
    choices: int = 1

    async def process(self, context: NodeContext) -> dict[str, Any]:
        try:
            await self._answer(context)
        except ProviderError as error:
            await _tell(context, Details(failure=Failure.of(error)))
            raise
        return {"output": None}

    async def _answer(self, context: NodeContext) -> None:
        request = msgspec.convert(self.request, ChatRequest)
        reached = await context.models.find(request.model, self.provider or None)
        try:
            async with asyncio.TaskGroup() as group:
                for index in range(self.choices):
                    call = Call(index, request)
                    group.create_task(_answer_one(context, reached, request, call))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed


@registry.register("nodetool.chat.CompletionForm")
class CompletionForm(Node):
    """What the events of an answer look like: read by who writes them, never run."""

    outputs = {"output": "none"}
    hidden = True
    inert = True

    form: dict[str, Any] = {}


async def _answer_one(
    context: NodeContext, reached: ReachedModel, request: ChatRequest, call: Call
) -> None:
    async with aclosing(reached.provider.stream(request)) as chunks:
        async for chunk in chunks:
            await _tell_chunk(context, call.index, chunk, call.take(chunk))
            if call.is_cut:
                break
    rest, reason = call.end()
    usage = call.usage
    context.run.usage.add(usage.prompt_tokens, usage.completion_tokens)
    last = Details(choice=call.index, finish_reason=reason, usage=usage)
    await _tell(context, last, rest, done=True)


async def _tell_chunk(
    context: NodeContext, choice: int, chunk: Chunk, text: str
) -> None:
    # Apart: a long text is cut into events that have all its details.
    if chunk.reasoning:
        await _tell(context, Details(choice=choice), chunk.reasoning, thinking=True)
    if text:
        details = Details(choice=choice, logprobs=chunk.logprobs)
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
