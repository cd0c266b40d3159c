"""Reads what ``/chat/completions`` streams, from OpenAI and from those like it."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from workflows.providers import failures
from workflows.providers.adapter import ToolCalls, finish_of
from workflows.providers.messages import Chunk, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workflows.providers.http_client import Endpoint
    from workflows.providers.messages import FinishReason, ToolCallDelta

END = b"[DONE]"
FINISH: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


# Ends that are none.
BROKEN = ("error", "insufficient_system_resource")
# Members of a reasoning detail that come in pieces; the others come whole.
PIECES = ("text", "summary", "data")


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Piece(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: Any = None


class _Delta(msgspec.Struct):
    content: str | list[_Piece] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    reasoning_details: list[dict[str, Any]] | None = None


class _Logprobs(msgspec.Struct):
    content: list[dict[str, Any]] | None = None


class _Choice(msgspec.Struct):
    index: int | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Groq(msgspec.Struct):
    usage: _Usage | None = None
    error: str | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    object: str | None = None
    x_groq: _Groq | None = None


_EVENT = msgspec.json.Decoder(_Event)


class OpenAIReading:
    """Reads the events of one answer; only the first choice is of interest."""

    def __init__(self, to: Endpoint) -> None:
        self.is_over = False
        self._to = to
        self._calls = ToolCalls()
        self._has_finished = False

    def read(self, data: bytes) -> Sequence[Chunk]:
        if data == END:
            self.is_over = True
            return ()
        event = _EVENT.decode(data)
        if event.error:
            raise failures.in_stream(self._to, event.error)
        if event.x_groq is not None and event.x_groq.error:
            raise failures.in_stream(self._to, event.x_groq.error)
        if event.object == "error":  # some say it without a frame
            raise failures.in_stream(self._to, msgspec.json.decode(data))
        found = [
            chunk
            for choice in event.choices or ()
            if not choice.index and (chunk := self._chunk(choice)) is not None
        ]
        usage = event.usage or (event.x_groq.usage if event.x_groq else None)
        if usage is not None:
            found.append(Chunk(usage=_usage(usage)))
        return found

    def finish(self) -> Sequence[Chunk]:
        if self._has_finished:
            return ()
        if not self.is_over:
            raise failures.broken_off(self._to)
        return (Chunk(finish_reason=finish_of({}, "", has_calls=bool(self._calls))),)

    def _chunk(self, choice: _Choice) -> Chunk | None:
        delta = choice.delta or _Delta()
        refusal = "" if delta.content else delta.refusal or ""
        text, reasoning = delta.content or refusal, ""
        if not isinstance(text, str):
            text, reasoning = _pieces(text)
        reasoning = delta.reasoning_content or delta.reasoning or reasoning
        calls = tuple(map(self._call, delta.tool_calls)) if delta.tool_calls else ()
        finish = self._finish(choice.finish_reason)
        logprobs = choice.logprobs.content if choice.logprobs else None
        memory = tuple(delta.reasoning_details or ())
        if not (text or reasoning or calls or finish or logprobs or memory):
            return None
        return Chunk(
            text=text,
            reasoning=reasoning,
            tool_calls=calls,
            finish_reason=finish,
            logprobs=logprobs,
            memory=memory,
            is_refusal=bool(refusal),
        )

    def _call(self, call: _ToolCall) -> ToolCallDelta:
        function = call.function or _Function()
        arguments = function.arguments or ""
        if not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        return self._calls.piece(
            call.index,
            call_id=call.id or "",
            name=function.name or "",
            arguments=arguments,
        )

    def _finish(self, said: str | None) -> FinishReason | None:
        if not said or self._has_finished:
            return None
        if said in BROKEN:
            raise failures.in_stream(self._to, {})
        self._has_finished = True
        return finish_of(FINISH, said, has_calls=bool(self._calls))


def joined_details(pieces: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the reasoning details that these pieces of a stream make up.

    Pieces of one have its type and index; a signature is valid only for the whole.
    """
    numbered = enumerate(pieces)
    groups = (list(group) for _, group in groupby(numbered, key=_detail_of))
    return [_joined([piece for _, piece in group]) for group in groups]


def _detail_of(numbered: tuple[int, dict[str, Any]]) -> Any:
    """Return what tells details apart; one without an index comes whole."""
    number, piece = numbered
    index = piece.get("index")
    return (piece.get("type"), number if index is None else None, index)


def _joined(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    detail = {
        name: value
        for piece in pieces
        for name, value in piece.items()
        if value is not None
    }
    for name in PIECES:
        if isinstance(detail.get(name), str):
            detail[name] = "".join(piece.get(name) or "" for piece in pieces)
    return detail


def _pieces(content: list[_Piece]) -> tuple[str, str]:
    """Return the text and the reasoning of a content in parts, as of Mistral."""
    text = "".join(piece.text or "" for piece in content)
    reasoning = "".join(_thoughts(piece.thinking) for piece in content)
    return text, reasoning


def _thoughts(thinking: Any) -> str:
    if isinstance(thinking, str):
        return thinking
    entries = thinking if isinstance(thinking, list) else []
    return "".join(str(e.get("text", "")) for e in entries if isinstance(e, dict))


def _usage(usage: _Usage) -> Usage:
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        cached_tokens=prompt.cached_tokens if prompt else None,
        reasoning_tokens=completion.reasoning_tokens if completion else None,
    )
