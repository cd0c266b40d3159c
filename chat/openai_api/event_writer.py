"""What a completion says as events of a stream; ``[DONE]`` is always the last.

The same calls and chunks give the same events, however they are read.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from chat.openai_api.errors import describe
from chat.openai_api.generation import Head
from chat.openai_api.legacy import use_old_form
from chat.openai_api.schemas import (
    CallPiece,
    ChunkChoice,
    CompletionChunk,
    Delta,
    FunctionCall,
    Logprobs,
    encode,
    usage_document,
)
from nodetool_site.lib import sse
from workflows.providers.calls import Call
from workflows.providers.messages import Chunk, FinishReason, ToolCallDelta

CONTENT = b'"content":'
EMPTY_CONTENT = CONTENT + b'""'
"""No string can hold this: its quotes would be escaped."""


class EventWriter:
    """Writes the events of one completion, each by itself."""

    def __init__(
        self, head: Head, calls: Sequence[Call], *, wants_usage: bool, is_legacy: bool
    ) -> None:
        self._head = head
        self._calls = calls
        self._wants_usage = wants_usage
        self._is_legacy = is_legacy
        # By choice: the event of a text, encoded but for the text.
        self._around_text: dict[int, tuple[bytes, bytes]] = {}

    def end(self) -> list[bytes]:
        """Return the last events, when every call has ended."""
        if not self._wants_usage:
            return [sse.DONE]
        usage = usage_document([call.usage for call in self._calls])
        chunk = CompletionChunk(**self._head._asdict(), choices=[], usage=usage)
        return [sse.event(encode(chunk)), sse.DONE]

    def add(self, events: list[bytes], call: Call, chunk: Chunk) -> None:
        """Add the events of a call's next chunk."""
        text = call.take(chunk)
        if not self._around_text:
            self._begin(events)
        if chunk.reasoning or chunk.tool_calls or chunk.logprobs or chunk.is_refusal:
            delta = Delta(
                content=UNSET if chunk.is_refusal else text or UNSET,
                refusal=text if chunk.is_refusal else UNSET,
                reasoning_content=chunk.reasoning or UNSET,
                tool_calls=[_call_piece(c) for c in chunk.tool_calls] or UNSET,
            )
            events.append(self._event(call, delta, logprobs=chunk.logprobs))
        elif text:
            events.append(self._text_event(call, text))

    def _begin(self, events: list[bytes]) -> None:
        """Add each choice's first event, and prepare those that say text alone.

        All at once, whoever speaks first: OpenAI's client takes a choice that is new
        for the one behind those that it knows.
        """
        for call in self._calls:
            events.append(self._event(call, Delta(role="assistant", content="")))
            event = self._event(call, Delta(content=""))
            before, after = event.split(EMPTY_CONTENT)
            self._around_text[call.index] = before + CONTENT, after

    def finish(self, events: list[bytes], call: Call) -> None:
        """Add the events of a call's end."""
        rest, reason = call.end()
        if not self._around_text:
            self._begin(events)
        if rest:
            events.append(self._text_event(call, rest))
        if call.bare_calls:
            pieces = [_no_arguments(index) for index in call.bare_calls]
            events.append(self._event(call, Delta(tool_calls=pieces)))
        events.append(self._event(call, Delta(), finish_reason=reason))

    def _text_event(self, call: Call, text: str) -> bytes:
        before, after = self._around_text[call.index]
        return before + sse.one_line_each(encode(text)) + after

    def _event(
        self,
        call: Call,
        delta: Delta,
        *,
        finish_reason: FinishReason | None = None,
        logprobs: list[dict[str, object]] | None = None,
    ) -> bytes:
        choice = ChunkChoice(
            index=call.index,
            delta=delta,
            logprobs=Logprobs(content=logprobs) if logprobs else None,
            finish_reason=finish_reason,
        )
        if self._is_legacy:
            use_old_form(choice)
        usage: UnsetType | None = None if self._wants_usage else UNSET
        chunk = CompletionChunk(**self._head._asdict(), choices=[choice], usage=usage)
        return sse.one_line_each(sse.event(encode(chunk)))


def _call_piece(delta: ToolCallDelta) -> CallPiece:
    if not delta.name:
        function = FunctionCall(arguments=delta.arguments)
        return CallPiece(index=delta.index, function=function)
    function = FunctionCall(name=delta.name, arguments=delta.arguments)
    return CallPiece(index=delta.index, id=delta.id, type="function", function=function)


def _no_arguments(index: int) -> CallPiece:
    return CallPiece(index=index, function=FunctionCall(arguments="{}"))


def failed(error: Exception) -> list[bytes]:
    """Return the event of a failure, and the end of the stream."""
    return [sse.one_line_each(sse.event(describe(error).body)), sse.DONE]
