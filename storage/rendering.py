"""References inside events and results, made fit for a client.

What is stored holds ``asset://`` URIs and stand-ins for large values. Whoever sends
it puts small enough values back and turns the URIs into links that work. All of it
is scoped to the owner of the job: a value cannot name a stranger's file.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec
from django.conf import settings

from nodetool_site.lib.db import db
from storage.keys import is_key
from storage.links import public_url
from storage.models import Asset
from storage.services import open_asset

Change: TypeAlias = Callable[[dict[str, Any]], Any]

MAX_RESTORED_BYTES = 16 * 1024 * 1024
"""All values put back into one event together: what the largest frame holds."""

MAX_DEPTH = 200
MEDIA_TYPES = frozenset(
    {"image", "audio", "video", "document", "dataframe", "model_3d", "text"}
)

_MARK = b'"asset://'
_URI = re.compile(rb'"uri":"asset://([A-Za-z0-9_-]{1,64}\.[a-z0-9]{1,10})"')


def has_references(body: bytes) -> bool:
    """Tell whether an encoded event needs ``render_json`` at all."""
    return _MARK in body


async def render_json(body: bytes, *, owner_id: str, base_url: str) -> bytes:
    """Return the JSON of an event, or of a result, as its owner's client gets it.

    Stored JSON is put in as it is, without decoding it: the loop stays free.
    """
    if not has_references(body):
        return body
    links = _Links(owner_id, base_url)
    document = msgspec.json.decode(body)
    restored = await _restore(document, owner_id, links.as_raw_json)
    return msgspec.json.encode(_replace(document, links.changing(restored, {})))


async def render_object(
    value: Any, *, owner_id: str, base_url: str, with_bytes: bool = False
) -> Any:
    """Return a decoded event, or a result, as its owner's client gets it.

    ``with_bytes`` fills ``data`` of files up to ``INLINE_ASSET_LIMIT``: what
    MessagePack clients draw from. Files inside of large values keep their links.
    """
    links = _Links(owner_id, base_url)
    restored = await _restore(value, owner_id, links.as_object)
    data = await _load_data(value, owner_id) if with_bytes else {}
    return _replace(value, links.changing(restored, data))


async def restore_values(value: Any, *, owner_id: str) -> Any:
    """Return a decoded value with the large ones that it refers to put back.

    Other references stay, also inside of what is put back: for what is to be stored
    elsewhere, since large values go with their job.
    """
    restored = await _restore(value, owner_id, _decoded)

    def change(reference: dict[str, Any]) -> Any:
        return restored.get(reference["uri"], reference)

    return _replace(value, change)


class _Links:
    """The addresses of files, for one owner who reached us by one base URL."""

    def __init__(self, owner_id: str, base_url: str) -> None:
        self._owner_id = owner_id
        self._base_url = base_url

    def changing(
        self, restored: Mapping[str, Any], data: Mapping[str, bytes]
    ) -> Change:
        """Return what makes of a reference its value, or its link (and its data)."""

        def change(reference: dict[str, Any]) -> Any:
            uri = reference["uri"]
            if uri in restored:
                return restored[uri]
            if uri in data:
                reference = {**reference, "data": data[uri]}
            return self._linked(reference)

        return change

    def as_object(self, uri: str, data: bytes) -> Any:
        """Return a large value, with links in it."""
        value = _decoded(uri, data)
        return _replace(value, self._linked) if has_references(data) else value

    def as_raw_json(self, uri: str, data: bytes) -> msgspec.Raw:
        """Return the JSON of a large value, with links in it."""
        if not uri.endswith(".json"):
            return msgspec.Raw(msgspec.json.encode(data.decode()))
        return msgspec.Raw(_URI.sub(self._link_in_json, data))

    def _linked(self, reference: dict[str, Any]) -> dict[str, Any]:
        key = reference["uri"].removeprefix("asset://")
        return {**reference, "uri": self._url(key)} if is_key(key) else reference

    def _link_in_json(self, match: re.Match[bytes]) -> bytes:
        return msgspec.json.encode({"uri": self._url(match[1].decode())})[1:-1]

    def _url(self, key: str) -> str:
        return public_url(key, self._owner_id, self._base_url)


async def _restore(
    value: Any, owner_id: str, decode: Callable[[str, bytes], Any]
) -> dict[str, Any]:
    """Return the large values that ``value`` refers to, by URI."""
    wanted = {
        reference["uri"]: reference["metadata"]["size"]
        for reference in _references(value)
        if _is_large_value(reference)
    }
    stored = await _load_all(wanted, owner_id)
    if not stored:
        return {}
    return await asyncio.to_thread(
        lambda: {uri: decode(uri, data) for uri, data in stored.items()}
    )


async def _load_data(value: Any, owner_id: str) -> dict[str, bytes]:
    """Return the bytes of the files that ``value`` refers to, by URI."""
    wanted = {
        reference["uri"]: 0
        for reference in _references(value)
        if reference.get("type") in MEDIA_TYPES and reference.get("data") is None
    }
    return await _load_all(wanted, owner_id)


async def _load_all(wanted: dict[str, int], owner_id: str) -> dict[str, bytes]:
    """Return the files behind some URIs, as far as they fit the two limits."""
    limit = settings.INLINE_ASSET_LIMIT
    uris = [uri for uri, size in wanted.items() if size <= limit]
    if not uris:
        return {}
    assets = await db(_find_all, owner_id, uris)
    stored: dict[str, bytes] = {}
    room = MAX_RESTORED_BYTES
    for asset in assets:
        if asset.size <= min(limit, room):
            data = await asyncio.to_thread(_read, asset)
            if data is not None:
                stored[f"asset://{asset.key}"] = data
                room -= len(data)
    return stored


def _find_all(owner_id: str, uris: list[str]) -> list[Asset]:
    keys = [uri.removeprefix("asset://") for uri in uris]
    return list(Asset.objects.filter(owner_id=owner_id, key__in=keys[:500]))


def _read(asset: Asset) -> bytes | None:
    try:
        with open_asset(asset) as file:
            return file.read()
    except FileNotFoundError:
        return None


def _is_large_value(reference: dict[str, Any]) -> bool:
    metadata = reference.get("metadata")
    return (
        reference.get("type") in ("json", "text")
        and isinstance(metadata, dict)
        and metadata.get("inlined_data") is False
        and isinstance(metadata.get("size"), int)
    )


def _decoded(uri: str, data: bytes) -> Any:
    return msgspec.json.decode(data) if uri.endswith(".json") else data.decode()


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("uri"), str)
        and value["uri"].startswith("asset://")
    )


def _references(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if _is_reference(value):
        yield value
    elif depth < MAX_DEPTH and isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            if isinstance(part, dict | list):
                yield from _references(part, depth + 1)


def _replace(value: Any, change: Change, depth: int = 0) -> Any:
    """Return ``value`` with its references changed; what holds none is not copied."""
    if _is_reference(value):
        return change(value)
    if depth >= MAX_DEPTH:
        return value
    if isinstance(value, dict):
        parts = {
            name: _replace(part, change, depth + 1)
            for name, part in value.items()
            if isinstance(part, dict | list)
        }
        is_same = all(parts[name] is value[name] for name in parts)
        return value if is_same else {**value, **parts}
    if isinstance(value, list):
        items = [
            _replace(part, change, depth + 1) if isinstance(part, dict | list) else part
            for part in value
        ]
        is_same = all(a is b for a, b in zip(items, value, strict=True))
        return value if is_same else items
    return value
