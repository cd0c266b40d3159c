"""Frames of ``/ws``: JSON text and MessagePack, one object each."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from jobs.feed import Page
from storage.rendering import has_references, render_json, render_object
from workflows.engine.events import encode_value

MAX_DEPTH = 64
MAX_CONTAINERS = 100_000
BYTES_IN = frozenset({"output_update", "preview_update"})

_decode_json = msgspec.json.Decoder().decode
_decode_msgpack = msgspec.msgpack.Decoder().decode
_encode_msgpack = msgspec.msgpack.Encoder().encode


class InvalidFrame(Exception):
    """The frame cannot be read."""


def decode(frame: str | bytes) -> Any:
    """Read a text frame as JSON, a binary one as MessagePack.

    Raises:
        InvalidFrame: malformed, deeper than 64 levels, over 100,000 objects and lists,
            or with keys that are not text.
    """
    try:
        value = (
            _decode_json(frame) if isinstance(frame, str) else _decode_msgpack(frame)
        )
    except RecursionError:
        raise InvalidFrame("The frame is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeError, ValueError) as error:
        kind = "JSON" if isinstance(frame, str) else "MessagePack"
        raise InvalidFrame(f"The frame is not valid {kind}: {error}") from None
    _check(value)
    return value


def encode(message: dict[str, Any], *, binary: bool) -> bytes:
    """Write one message."""
    if not binary:
        return encode_value(message)
    try:
        return _encode_msgpack(message)
    except Exception:  # noqa: BLE001 - odd values: what JSON makes of them
        return _encode_msgpack(_decode_json(encode_value(message)))


async def encode_page(
    page: Page, *, binary: bool, owner_id: str, base_url: str
) -> list[bytes]:
    """The frames of a page of events, with references made fit for the client."""
    if not binary:
        return [
            await render_json(line, owner_id=owner_id, base_url=base_url)
            if has_references(line)
            else line
            for line in page.lines
        ]
    events = await read_events(
        page, with_bytes=True, owner_id=owner_id, base_url=base_url
    )
    return [_encode_msgpack(event) for event in events]


async def read_events(
    page: Page, *, with_bytes: bool, owner_id: str, base_url: str
) -> list[dict[str, Any]]:
    """The events of a page, decoded, with references made fit for the client.

    ``with_bytes``: those of files too, as MessagePack has them.
    """
    events = []
    for line in page.lines:
        event: dict[str, Any] = _decode_json(line)
        if has_references(line):
            event = await (
                _render_with_bytes(event, owner_id, base_url)
                if with_bytes
                else render_object(event, owner_id=owner_id, base_url=base_url)
            )
        events.append(event)
    return events


async def _render_with_bytes(
    event: dict[str, Any], owner_id: str, base_url: str
) -> Any:
    render = partial(render_object, owner_id=owner_id, base_url=base_url)
    kind = event.get("type")
    result = event.get("result")
    if kind == "job_update" and isinstance(result, dict):
        outputs = await render(result.get("outputs"))
        folded = {name: value for name, value in result.items() if name != "outputs"}
        folded = await render(folded, with_bytes=True)
        return {**event, "result": {"outputs": outputs, **folded}}
    return await render(event, with_bytes=kind in BYTES_IN)


def _check(value: Any) -> None:
    waiting = [(value, 1)]
    count = 0
    while waiting:
        container, depth = waiting.pop()
        if isinstance(container, dict):
            for key in container:
                if not isinstance(key, str):
                    raise InvalidFrame("The keys of an object must be text.")
            parts: Any = container.values()
        elif isinstance(container, list):
            parts = container
        elif isinstance(container, msgspec.msgpack.Ext):
            raise InvalidFrame("MessagePack extension types are not used here.")
        else:
            continue
        count += 1
        if depth > MAX_DEPTH:
            raise InvalidFrame(f"The frame is nested deeper than {MAX_DEPTH} levels.")
        if count > MAX_CONTAINERS:
            raise InvalidFrame(f"The frame holds over {MAX_CONTAINERS} objects.")
        waiting.extend(
            (part, depth + 1)
            for part in parts
            if isinstance(part, dict | list | msgspec.msgpack.Ext)
        )
