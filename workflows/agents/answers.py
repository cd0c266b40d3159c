"""One answer of a model: put together from its chunks, counted, and asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from workflows.agents.tools import MAX_ARGUMENTS
from workflows.providers.base import ProviderError
from workflows.providers.messages import (
    ChatRequest,
    Chunk,
    FinishReason,
    Message,
    Source,
    TextPart,
    ToolCall,
    ToolCallDelta,
    Usage,
    estimate_tokens,
)

if TYPE_CHECKING:
    from workflows.engine.context import ReachedModel
    from workflows.engine.usage import UsageTally
    from workflows.providers.base import ChatProvider

RETRIES = 2
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 20.0
MAX_CALLS = 64

_FAULTS: dict[FinishReason | None, str] = {
    "length": "The model has used up its tokens before its answer began: it needs a "
    "larger max_tokens, or less to think about",
    "content_filter": "The model's provider has held back the answer: its content "
    "filter does not allow it",
}


class AgentError(Exception):
    """A model has come to no answer."""


class Answer:
    """What a model has said so far in one answer."""

    def __init__(self, request: ChatRequest) -> None:
        self.finish_reason: FinishReason | None = None
        self.has_begun = False
        self._request = request
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._memory: list[dict[str, Any]] = []
        self._calls: dict[int, _Call] = {}
        self._sources: dict[Source, None] = {}
        self._usage: Usage | None = None
        self._said = 0

    @property
    def has_said_anything(self) -> bool:
        """Whether there is something to count."""
        return self.has_begun or self.finish_reason is not None

    @property
    def text(self) -> str:
        """The text, without what the model only thought."""
        return "".join(self._text)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools that the model wants called, in its order: at most 64."""
        return tuple(self._calls[index].whole() for index in sorted(self._calls))

    @property
    def fault(self) -> str:
        """Why there is no answer at all; empty where there may be one."""
        return "" if self._text or self._calls else _FAULTS.get(self.finish_reason, "")

    @property
    def sources(self) -> tuple[Source, ...]:
        """The pages that the answer rests on, each once."""
        return tuple(self._sources)

    @property
    def usage(self) -> Usage:
        """What the provider counted, else an estimate."""
        if self._usage is not None:
            return self._usage
        asked = sum(estimate_tokens(message.text) for message in self._request.messages)
        return Usage(asked, estimate_tokens(" " * self._said))

    def take(self, chunk: Chunk) -> None:
        """Add the next chunk."""
        if chunk.text or chunk.reasoning or chunk.tool_calls:
            self.has_begun = True
        if chunk.text:
            self._text.append(chunk.text)
        if chunk.reasoning:
            self._reasoning.append(chunk.reasoning)
        self._memory += chunk.memory
        for delta in chunk.tool_calls:
            self._add(delta)
        self._sources.update(dict.fromkeys(chunk.sources))
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self._usage = chunk.usage or self._usage
        self._said += len(chunk.text) + len(chunk.reasoning)

    def count(self, tally: UsageTally) -> None:
        """Add what the call has used, if the model has said anything."""
        if self.has_said_anything:
            tally.add(self.usage.prompt_tokens, self.usage.completion_tokens)

    def message(self) -> Message:
        """Return the answer as a message of the conversation."""
        text = self.text
        content = (TextPart(text),) if text else ()
        return Message(
            "assistant",
            content,
            tool_calls=self.tool_calls,
            reasoning="".join(self._reasoning),
            memory=tuple(self._memory),
        )

    def _add(self, delta: ToolCallDelta) -> None:
        self._said += len(delta.arguments)
        call = self._calls.get(delta.index)
        if call is None:
            if len(self._calls) >= MAX_CALLS:
                return
            name = f"call_{len(self._request.messages)}_{delta.index}"
            call = self._calls[delta.index] = _Call(delta.id or name, delta.name)
        call.add(delta.arguments)


class _Call:
    """A tool call that is being said; of too long arguments only the beginning."""

    def __init__(self, call_id: str, name: str) -> None:
        self._id = call_id
        self._name = name
        self._pieces: list[str] = []
        self._room = MAX_ARGUMENTS + 1

    def add(self, piece: str) -> None:
        """Add the next piece of the arguments."""
        if self._room > 0:
            self._pieces.append(piece[: self._room])
            self._room -= len(piece)

    def whole(self) -> ToolCall:
        """Return the call as far as it has been said."""
        return ToolCall(self._id, self._name, "".join(self._pieces))


async def ask(
    provider: ChatProvider, request: ChatRequest, answer: Answer
) -> AsyncGenerator[Chunk, None]:
    """Yield the chunks of an answer, each of which ``answer`` has taken.

    A call that fails before the model has said anything is made again, twice at most,
    if that may help and the wait is short.

    Raises:
        ProviderError: the call failed, for good or in the middle of the answer.
    """
    for attempt in range(RETRIES + 1):
        try:
            async with aclosing(provider.stream(request)) as chunks:
                async for chunk in chunks:
                    answer.take(chunk)
                    yield chunk
        except ProviderError as error:
            wait_s = _wait_s(error, attempt)
            if answer.has_begun or wait_s is None:
                raise
        else:
            return
        await asyncio.sleep(wait_s)


async def whole_answer(
    reached: ReachedModel, request: ChatRequest, tally: UsageTally
) -> Answer:
    """Return an answer when it is complete; it is counted, however it ends.

    Raises:
        ProviderError: the call failed.
        AgentError: the model could not say anything.
    """
    answer = Answer(request)
    try:
        async with aclosing(ask(reached.provider, request, answer)) as chunks:
            async for _ in chunks:
                pass
    finally:
        answer.count(tally)
    if answer.fault:
        raise AgentError(answer.fault)
    return answer


def _wait_s(error: ProviderError, attempt: int) -> float | None:
    """Return how long to wait before the next attempt; None if there is none."""
    if not error.is_transient or attempt >= RETRIES:
        return None
    wait_s = error.retry_after_s or FIRST_WAIT_S * 2**attempt
    return wait_s if wait_s <= LONGEST_WAIT_S else None
