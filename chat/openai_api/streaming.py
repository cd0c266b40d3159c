"""A completion as server-sent events."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from chat.openai_api.errors import describe
from chat.openai_api.event_stream import EventStream
from chat.openai_api.generation import Call, Generation, Head
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
from storage.identity import Identity
from workflows.providers.messages import Chunk, FinishReason, ToolCallDelta

CONTENT = b'"content":'
EMPTY_CONTENT = CONTENT + b'""'
"""No string can hold this: its quotes would be escaped."""


class CompletionStream(EventStream):
    """The events of one completion, framed; ``[DONE]`` is always the last."""

    def __init__(
        self,
        generation: Generation,
        head: Head,
        *,
        identity: Identity,
        wants_usage: bool,
        is_legacy: bool,
    ) -> None:
        super().__init__(generation, identity=identity)
        self._head = head
        self._wants_usage = wants_usage
        self._is_legacy = is_legacy
        # By choice: the event of a text, encoded but for the text.
        self._around_text: dict[int, tuple[bytes, bytes]] = {}

    def _add(self, pieces: list[bytes], call: Call, chunk: Chunk) -> None:
        text = call.take(chunk)
        if call.index not in self._around_text:
            self._begin(pieces, call)
        if chunk.reasoning or chunk.tool_calls or (text and chunk.logprobs):
            delta = Delta(
                content=text or UNSET,
                reasoning_content=chunk.reasoning or UNSET,
                tool_calls=[_call_piece(c) for c in chunk.tool_calls] or UNSET,
            )
            pieces.append(self._event(call, delta, logprobs=chunk.logprobs))
        elif text:
            pieces.append(self._text_event(call, text))

    def _begin(self, pieces: list[bytes], call: Call) -> None:
        """Add a choice's first event, and prepare those that say text alone."""
        pieces.append(self._event(call, Delta(role="assistant", content="")))
        event = self._event(call, Delta(content=""))
        before, after = event.split(EMPTY_CONTENT)
        self._around_text[call.index] = before + CONTENT, after

    def _finish(self, pieces: list[bytes], call: Call) -> None:
        rest, reason = call.end()
        if call.index not in self._around_text:
            self._begin(pieces, call)
        if rest:
            pieces.append(self._text_event(call, rest))
        pieces.append(self._event(call, Delta(), finish_reason=reason))

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

    def _end(self) -> bytes:
        if not self._wants_usage:
            return sse.DONE
        usage = usage_document([call.usage for call in self._generation.calls])
        chunk = CompletionChunk(**self._head._asdict(), choices=[], usage=usage)
        return sse.event(encode(chunk)) + sse.DONE

    def _failed(self, error: Exception) -> bytes:
        return sse.one_line_each(sse.event(describe(error).body)) + sse.DONE


def _call_piece(delta: ToolCallDelta) -> CallPiece:
    if not delta.name:
        function = FunctionCall(arguments=delta.arguments)
        return CallPiece(index=delta.index, function=function)
    function = FunctionCall(name=delta.name, arguments=delta.arguments)
    return CallPiece(index=delta.index, id=delta.id, type="function", function=function)
