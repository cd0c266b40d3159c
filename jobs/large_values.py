"""Values over 256 KiB travel as references; their bytes go to the asset store.

An event stays small, whatever a node emits: so a page of events has a bound, and a
batch fits into an announcement. The bytes are written by the event log's thread, in
the transaction of the event that refers to them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec

from workflows.engine.events import (
    Chunk,
    ClientToolCall,
    Event,
    JobUpdate,
    LogUpdate,
    MessageEvent,
    NodeUpdate,
    OutputUpdate,
    PreviewUpdate,
    StepResult,
    ToolCallUpdate,
    ToolResultUpdate,
    encode_value,
)
from workflows.engine.sanitize import sanitize

MAX_INLINE_BYTES = 256 * 1024
MAX_CHUNK_CHARACTERS = 64 * 1024
MAX_LOG_CHARACTERS = 32 * 1024
MAX_REMEMBERED = 64


@dataclass(slots=True, frozen=True)
class StoredValue:
    """A large value on its way into the asset store."""

    asset_id: str
    data: bytes
    content_type: str
    extension: str


class LargeValues:
    """Replaces the large values of one job's events by references.

    ``waiting`` holds the bytes until the writer takes them; ``bytes_put_aside`` counts
    all that ever were there. A value that comes in several events (a result, an output,
    the properties of the next) is stored once.
    """

    def __init__(self) -> None:
        self.waiting: deque[StoredValue] = deque()
        self.bytes_put_aside = 0
        self._known: OrderedDict[bytes, dict[str, Any]] = OrderedDict()
        # A text goes from node to node: the same object comes in event after event.
        self._last_text: tuple[str, dict[str, Any]] | None = None

    def shrink(self, event: Event) -> list[Event]:
        """The event, or the events, that say the same with every part small."""
        replace = msgspec.structs.replace
        if isinstance(event, OutputUpdate | PreviewUpdate):
            return [replace(event, value=self.refer(event.value))]
        if isinstance(event, NodeUpdate):
            return [
                replace(
                    event,
                    result=self.refer_each(event.result),
                    properties=self.refer_each(event.properties),
                )
            ]
        if isinstance(event, MessageEvent):
            return [replace(event, content=self.refer(event.content))]
        if isinstance(event, StepResult):
            return [replace(event, result=self.refer(event.result))]
        if isinstance(event, ToolResultUpdate):
            return [replace(event, result=self.refer_each(event.result) or {})]
        if isinstance(event, ToolCallUpdate | ClientToolCall):
            return [replace(event, args=self.refer_each(event.args) or {})]
        if isinstance(event, Chunk):
            return [*_cut(event)]
        if isinstance(event, LogUpdate):
            kept = event.content[:MAX_LOG_CHARACTERS]
            text = f"{kept}… ({len(event.content)} characters)"
            return [replace(event, content=text)]
        return [event]

    def shrink_result(self, result: dict[str, Any]) -> dict[str, Any]:
        """A job's result with its large lists and values as references."""
        return {
            name: self.refer_each(value)
            if name == "outputs" and isinstance(value, dict)
            else self.refer(value)
            for name, value in result.items()
        }

    def refer_each(self, values: dict[str, Any] | None) -> dict[str, Any] | None:
        """``values`` with the large ones as references."""
        if values is None:
            return None
        return {name: self.refer(value) for name, value in values.items()}

    def refer(self, value: Any) -> Any:
        """``value``, or a reference to it if it is large."""
        if is_large_text(value):
            return self._refer_to_text(value)
        data = bytes(value) if type(value) is msgspec.Raw else encode_value(value)
        if len(data) <= MAX_INLINE_BYTES:
            return value
        if isinstance(value, str):
            return self._refer_to(msgspec.json.decode(data, type=str).encode(), "text")
        return self._refer_to(data, "json")

    def _refer_to_text(self, text: str) -> dict[str, Any]:
        if self._last_text is not None and self._last_text[0] is text:
            return self._last_text[1]
        reference = self._refer_to(_utf8(text), "text")
        self._last_text = (text, reference)
        return reference

    def _refer_to(self, data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).digest()
        known = self._known.get(digest)
        if known is not None:
            return known
        is_text = kind == "text"
        stored = StoredValue(
            asset_id=uuid4().hex,
            data=data,
            content_type="text/plain" if is_text else "application/json",
            extension="txt" if is_text else "json",
        )
        self.waiting.append(stored)
        self.bytes_put_aside += len(data)
        return self._remember(digest, stored, kind)

    def _remember(
        self, digest: bytes, stored: StoredValue, kind: str
    ) -> dict[str, Any]:
        reference = {
            "type": kind,
            "uri": f"asset://{stored.asset_id}.{stored.extension}",
            "asset_id": stored.asset_id,
            "data": None,
            "metadata": {"size": len(stored.data), "inlined_data": False},
        }
        self._known[digest] = reference
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return reference


def is_large_text(value: Any) -> bool:
    """Whether ``value`` is a text that is large, seen without encoding it."""
    return type(value) is str and len(value) > MAX_INLINE_BYTES


def _utf8(text: str) -> bytes:
    """``text`` as it is stored, clean; the common case at little cost."""
    with contextlib.suppress(UnicodeEncodeError):
        data = text.encode()
        if b"\0" not in data:
            return data
    cleaned: str = sanitize(text)
    return cleaned.encode()


def holds_large_text(event: Event) -> bool:
    """Whether an event carries a large text as one of its values.

    Asked of every event: hence no ``isinstance``.
    """
    if type(event) is OutputUpdate or type(event) is PreviewUpdate:
        return is_large_text(event.value)
    if type(event) is NodeUpdate:
        return _any_large(event.result) or _any_large(event.properties)
    return type(event) is JobUpdate and _any_large(event.result)


def _any_large(values: dict[str, Any] | None) -> bool:
    return values is not None and any(map(is_large_text, values.values()))


def _cut(event: Chunk) -> list[Chunk]:
    size = MAX_CHUNK_CHARACTERS
    text = event.content
    pieces = [text[i : i + size] for i in range(0, len(text), size)] or [""]
    last = len(pieces) - 1
    return [
        msgspec.structs.replace(event, content=piece, done=event.done and i == last)
        for i, piece in enumerate(pieces)
    ]
