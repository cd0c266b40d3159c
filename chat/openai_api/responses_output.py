"""Puts a response together from what a model says, and tells each step as an event.

Items are in the order in which they begin. A text or a thought ends where something
else begins; tool calls stay open to the end, for their pieces may come in turns.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from chat.openai_api.answers import MAX_CHARACTERS
from chat.openai_api.errors import describe
from chat.openai_api.responses_schemas import (
    ContentPart,
    FunctionCallItem,
    IncompleteDetails,
    InputTokensDetails,
    ItemStatus,
    MessageItem,
    OutputItem,
    OutputText,
    OutputTokensDetails,
    ReasoningItem,
    ReasoningText,
    Refusal,
    ResponseDocument,
    ResponseFailure,
    ResponseUsage,
)
from workflows.providers.base import ProviderError
from workflows.providers.calls import Call
from workflows.providers.messages import Chunk, FinishReason, ToolCallDelta, Usage

_Kind = Literal["output_text", "refusal", "reasoning_text"]


class Event(NamedTuple):
    """A step of a response. ``members`` are those besides type and number."""

    type: str
    members: dict[str, Any]


class _Text:
    """A message, with what is said or why nothing is, or a thought under way."""

    def __init__(self, index: int, kind: _Kind) -> None:
        self.index, self.kind = index, kind
        self.id = _new_id("rs" if kind == "reasoning_text" else "msg")
        self._pieces: list[str] = []
        self._logprobs: list[dict[str, Any]] = []

    def say(self, text: str, logprobs: list[dict[str, Any]]) -> Event:
        """Add a piece."""
        self._pieces.append(text)
        self._logprobs += logprobs
        return self._event("delta", delta=text, **self._probable(logprobs))

    def begin(self) -> Iterator[Event]:
        """Tell that it is there, still empty."""
        added = {"output_index": self.index, "item": self._item("in_progress", [])}
        yield Event("response.output_item.added", added)
        yield self._part_event("added", self._part("", []))

    def end(self, status: ItemStatus) -> Iterator[Event]:
        """Tell all of it."""
        text = "".join(self._pieces)
        said = {"refusal" if self.kind == "refusal" else "text": text}
        part = self._part(text, self._logprobs)
        yield self._event("done", **said, **self._probable(self._logprobs))
        yield self._part_event("done", part)
        yield _item_done(self.index, self._item(status, [part]))

    def _part(self, text: str, logprobs: list[dict[str, Any]]) -> ContentPart:
        if self.kind == "reasoning_text":
            return ReasoningText(text=text)
        if self.kind == "refusal":
            return Refusal(refusal=text)
        return OutputText(text=text, logprobs=logprobs)

    def _item(self, status: ItemStatus, parts: list[Any]) -> OutputItem:
        item = ReasoningItem if self.kind == "reasoning_text" else MessageItem
        return item(id=self.id, status=status, content=parts)

    def _probable(self, logprobs: list[dict[str, Any]]) -> dict[str, Any]:
        return {"logprobs": logprobs} if self.kind == "output_text" else {}

    def _event(self, step: str, **members: Any) -> Event:
        return Event(f"response.{self.kind}.{step}", {**self._place, **members})

    def _part_event(self, step: str, part: ContentPart) -> Event:
        return Event(f"response.content_part.{step}", {**self._place, "part": part})

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self.id, "output_index": self.index, "content_index": 0}


class _ToolCall:
    """A tool call under way."""

    def __init__(self, index: int, piece: ToolCallDelta) -> None:
        self.index = index
        self.id = _new_id("fc")
        self._call_id, self._name = piece.id, piece.name
        self._arguments: list[str] = []

    def begin(self) -> Event:
        """Tell that it is there, without its arguments."""
        added = {"output_index": self.index, "item": self._item("in_progress", "")}
        return Event("response.output_item.added", added)

    def say(self, arguments: str) -> Event:
        """Add a piece of the arguments."""
        self._arguments.append(arguments)
        return self._event("delta", delta=arguments)

    def end(self, status: ItemStatus) -> Iterator[Event]:
        """Tell all of it."""
        if not self._arguments:
            yield self.say("{}")  # no text is no JSON
        arguments = "".join(self._arguments)
        yield self._event("done", arguments=arguments)
        yield _item_done(self.index, self._item(status, arguments))

    def _item(self, status: ItemStatus, arguments: str) -> FunctionCallItem:
        return FunctionCallItem(
            id=self.id,
            status=status,
            call_id=self._call_id,
            name=self._name,
            arguments=arguments,
        )

    def _event(self, step: str, **members: Any) -> Event:
        place = {"item_id": self.id, "output_index": self.index}
        kind = f"response.function_call_arguments.{step}"
        return Event(kind, {**place, **members})


class ResponseOutput:
    """One response, from its beginning to its end.

    ``document`` is what it amounts to so far; its items are those that have ended.
    """

    def __init__(self, document: ResponseDocument) -> None:
        self.document = document
        self._items: dict[int, OutputItem] = {}
        self._text: _Text | None = None
        self._calls: dict[int, _ToolCall] = {}
        self._count = 0
        self._size = 0

    def begin(self) -> Iterator[Event]:
        """Tell that it is under way."""
        for step in ("created", "in_progress"):
            yield self._lifecycle(step)

    def add(self, call: Call, chunk: Chunk) -> Iterator[Event]:
        """Take what the model says next.

        Raises:
            ProviderError: it says more than is kept in memory.
        """
        text = call.take(chunk)
        if chunk.reasoning:
            yield from self._say(chunk.reasoning, [], "reasoning_text")
        if text:
            kind: _Kind = "refusal" if chunk.is_refusal else "output_text"
            yield from self._say(text, chunk.logprobs or [], kind)
        for piece in chunk.tool_calls:
            yield from self._call_tool(piece)

    def finish(self, call: Call) -> Iterator[Event]:
        """End it."""
        _, reason = call.end()
        cut = _INCOMPLETE.get(reason)
        if not self._count:  # clients look for a message
            yield from self._open_text("output_text")
        yield from self._close("incomplete" if cut else "completed")
        self.document = msgspec.structs.replace(
            self._shown(),
            status="incomplete" if cut else "completed",
            incomplete_details=IncompleteDetails(reason=cut) if cut else None,
            usage=_usage(call.usage),
        )
        yield self._lifecycle(self.document.status)

    def fail(self, error: Exception) -> Iterator[Event]:
        """End it where it broke off. Clients raise what the last event says."""
        answer = describe(error)
        failure = ResponseFailure(
            code=_failure_code(answer.status), message=answer.message
        )
        self.document = msgspec.structs.replace(
            self._shown(), status="failed", error=failure
        )
        yield self._lifecycle("failed")
        said = msgspec.json.decode(answer.body)["error"]
        flat = {name: said[name] for name in ("code", "message", "param")}
        yield Event("error", {"error": said, **flat})

    def _say(
        self, text: str, logprobs: list[dict[str, Any]], kind: _Kind
    ) -> Iterator[Event]:
        self._grow(len(text))
        if self._text is None or self._text.kind != kind:
            yield from self._open_text(kind)
        assert self._text is not None
        yield self._text.say(text, logprobs)

    def _open_text(self, kind: _Kind) -> Iterator[Event]:
        yield from self._close_text("completed")
        self._text = _Text(self._next_index(), kind)
        yield from self._text.begin()

    def _call_tool(self, piece: ToolCallDelta) -> Iterator[Event]:
        self._grow(len(piece.arguments))
        call = self._calls.get(piece.index)
        if call is None:
            yield from self._close_text("completed")
            call = self._calls[piece.index] = _ToolCall(self._next_index(), piece)
            yield call.begin()
        if piece.arguments:
            yield call.say(piece.arguments)

    def _close_text(self, status: ItemStatus) -> Iterator[Event]:
        if self._text is not None:
            yield from self._kept(self._text.end(status))
            self._text = None

    def _close(self, status: ItemStatus) -> Iterator[Event]:
        for call in self._calls.values():
            yield from self._kept(call.end(status))
        self._calls.clear()
        yield from self._close_text(status)

    def _kept(self, events: Iterator[Event]) -> Iterator[Event]:
        """Note the item that ends with these events."""
        for event in events:
            if event.type == _ITEM_DONE:
                self._items[event.members["output_index"]] = event.members["item"]
            yield event

    def _next_index(self) -> int:
        self._count += 1
        return self._count - 1

    def _grow(self, characters: int) -> None:
        self._size += characters
        if self._size > MAX_CHARACTERS:
            raise ProviderError("The answer of the provider is too long.")

    def _shown(self) -> ResponseDocument:
        items = [self._items[index] for index in sorted(self._items)]
        return msgspec.structs.replace(self.document, output=items)

    def _lifecycle(self, step: str) -> Event:
        return Event(f"response.{step}", {"response": self.document})


_ITEM_DONE = "response.output_item.done"
_INCOMPLETE: dict[FinishReason, Any] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}


def _item_done(index: int, item: OutputItem) -> Event:
    return Event(_ITEM_DONE, {"output_index": index, "item": item})


def _failure_code(status: int) -> Any:
    if status == 429:
        return "rate_limit_exceeded"
    return "server_error" if status >= 500 else "invalid_prompt"


def _usage(usage: Usage) -> ResponseUsage:
    asked, said = max(0, usage.prompt_tokens), max(0, usage.completion_tokens)
    return ResponseUsage(
        input_tokens=asked,
        input_tokens_details=InputTokensDetails(cached_tokens=usage.cached_tokens or 0),
        output_tokens=said,
        output_tokens_details=OutputTokensDetails(
            reasoning_tokens=usage.reasoning_tokens or 0
        ),
        total_tokens=asked + said,
    )


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(24)}"
