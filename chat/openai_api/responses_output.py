"""Puts a response together from what a model says, and tells each step as an event.

Items are in the order in which they begin. A text or a thought ends where something
else begins; tool calls stay open to the end, for their pieces may come in turns.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from chat.openai_api.answers import MAX_CHARACTERS
from chat.openai_api.errors import describe
from chat.openai_api.responses_schemas import (
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
    ResponseDocument,
    ResponseFailure,
    ResponseUsage,
)
from workflows.providers.base import ProviderError
from workflows.providers.calls import Call
from workflows.providers.messages import Chunk, FinishReason, ToolCallDelta, Usage


class Event(NamedTuple):
    """A step of a response. ``members`` are those besides type and number."""

    type: str
    members: dict[str, Any]


class _Text:
    """A message or a thought under way."""

    def __init__(self, index: int, *, is_thought: bool) -> None:
        self.index, self.is_thought = index, is_thought
        self.id = _new_id("rs" if is_thought else "msg")
        self._pieces: list[str] = []
        self._logprobs: list[dict[str, Any]] = []

    def say(self, text: str, logprobs: list[dict[str, Any]]) -> Event:
        """Add a piece."""
        self._pieces.append(text)
        self._logprobs += logprobs
        if self.is_thought:
            return self._event("response.reasoning_text.delta", delta=text)
        return self._event("response.output_text.delta", delta=text, logprobs=logprobs)

    def begin(self) -> Iterator[Event]:
        """Tell that it is there, still empty."""
        added = {"output_index": self.index, "item": self._item("in_progress", [])}
        yield Event("response.output_item.added", added)
        yield self._event("response.content_part.added", part=self._part(""))

    def end(self, status: ItemStatus) -> Iterator[Event]:
        """Tell all of it."""
        part = self._part("".join(self._pieces), self._logprobs)
        if isinstance(part, ReasoningText):
            yield self._event("response.reasoning_text.done", text=part.text)
        else:
            yield self._event(
                "response.output_text.done", text=part.text, logprobs=part.logprobs
            )
        yield self._event("response.content_part.done", part=part)
        yield _item_done(self.index, self._item(status, [part]))

    def _part(
        self, text: str, logprobs: list[dict[str, Any]] | None = None
    ) -> OutputText | ReasoningText:
        if self.is_thought:
            return ReasoningText(text=text)
        return OutputText(text=text, logprobs=logprobs or [])

    def _item(self, status: ItemStatus, parts: list[Any]) -> OutputItem:
        kind = ReasoningItem if self.is_thought else MessageItem
        return kind(id=self.id, status=status, content=parts)

    def _event(self, kind: str, **members: Any) -> Event:
        place = {"item_id": self.id, "output_index": self.index, "content_index": 0}
        return Event(kind, {**place, **members})


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
        arguments = "".join(self._arguments) or "{}"
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
            yield from self._say(chunk.reasoning, [], is_thought=True)
        if text:
            yield from self._say(text, chunk.logprobs or [], is_thought=False)
        for piece in chunk.tool_calls:
            yield from self._call_tool(piece)

    def finish(self, call: Call) -> Iterator[Event]:
        """End it."""
        _, reason = call.end()
        cut = _INCOMPLETE.get(reason)
        if not self._count:  # clients look for a message
            yield from self._open_text(is_thought=False)
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
        self, text: str, logprobs: list[dict[str, Any]], *, is_thought: bool
    ) -> Iterator[Event]:
        self._grow(len(text))
        if self._text is None or self._text.is_thought != is_thought:
            yield from self._open_text(is_thought=is_thought)
        assert self._text is not None
        yield self._text.say(text, logprobs)

    def _open_text(self, *, is_thought: bool) -> Iterator[Event]:
        yield from self._close_text("completed")
        self._text = _Text(self._next_index(), is_thought=is_thought)
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
