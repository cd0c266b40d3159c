"""References inside events and results, made fit for a client.

What is stored holds ``asset://`` URIs and stand-ins for large values. Whoever sends
it puts small enough values back and turns the URIs into links that work. All of it
is scoped to the owner of the job: a value cannot name a stranger's file.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from django.conf import settings

from nodetool_site.lib.db import db
from storage.keys import is_key
from storage.links import public_url
from storage.models import Asset
from storage.services import open_asset

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
    document = msgspec.json.decode(body)
    restored = await _restore(document, owner_id, as_json=True)
    if restored is not document:
        body = msgspec.json.encode(restored)

    def link(match: re.Match[bytes]) -> bytes:
        url = public_url(match[1].decode(), owner_id, base_url)
        return msgspec.json.encode({"uri": url})[1:-1]

    return _URI.sub(link, body)


async def render_object(
    value: Any, *, owner_id: str, base_url: str, with_bytes: bool = False
) -> Any:
    """Return a decoded event, or a result, as its owner's client gets it.

    ``with_bytes`` fills ``data`` of files up to ``INLINE_ASSET_LIMIT``: what
    MessagePack clients draw from.
    """
    restored = await _restore(value, owner_id, as_json=False)
    if with_bytes:
        restored = await _attach_bytes(restored, owner_id)
    return resolve_links(restored, owner_id=owner_id, base_url=base_url)


async def restore_large_values(value: Any, *, owner_id: str) -> Any:
    """Put large values back as they were, up to ``INLINE_ASSET_LIMIT`` each.

    At most ``MAX_RESTORED_BYTES`` in all; the rest stay references.
    """
    return await _restore(value, owner_id, as_json=False)


def resolve_links(value: Any, *, owner_id: str, base_url: str) -> Any:
    """Turn the ``asset://`` URIs of asset values into addresses."""

    def link(reference: dict[str, Any]) -> Any:
        key = reference["uri"].removeprefix("asset://")
        if not is_key(key):
            return reference
        return {**reference, "uri": public_url(key, owner_id, base_url)}

    return _replace(value, link)


async def _restore(value: Any, owner_id: str, *, as_json: bool) -> Any:
    wanted = {
        reference["uri"]: reference["metadata"]["size"]
        for reference in _references(value)
        if _is_large_value(reference)
    }
    stored = await _load_all(wanted, owner_id)
    if not stored:
        return value
    decode = _as_raw_json if as_json else _decoded
    decoded = await asyncio.to_thread(
        lambda: {uri: decode(uri, data) for uri, data in stored.items()}
    )
    return _replace(value, lambda reference: decoded.get(reference["uri"], reference))


async def _attach_bytes(value: Any, owner_id: str) -> Any:
    wanted = {
        reference["uri"]: 0
        for reference in _references(value)
        if reference.get("type") in MEDIA_TYPES and reference.get("data") is None
    }
    stored = await _load_all(wanted, owner_id)

    def attach(reference: dict[str, Any]) -> Any:
        data = stored.get(reference["uri"])
        return reference if data is None else {**reference, "data": data}

    return _replace(value, attach) if stored else value


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


def _as_raw_json(uri: str, data: bytes) -> msgspec.Raw:
    return msgspec.Raw(
        data if uri.endswith(".json") else msgspec.json.encode(data.decode())
    )


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


def _replace(value: Any, change: Any, depth: int = 0) -> Any:
    """Return ``value`` with its references changed; what holds none is not copied."""
    if _is_reference(value):
        return change(value)
    if depth >= MAX_DEPTH:
        return value
    if isinstance(value, dict):
        parts = {
            name: _replace(part, change, depth + 1) for name, part in value.items()
        }
        return parts if any(parts[name] is not value[name] for name in value) else value
    if isinstance(value, list):
        items = [_replace(part, change, depth + 1) for part in value]
        return (
            items
            if any(a is not b for a, b in zip(items, value, strict=True))
            else value
        )
    return value
