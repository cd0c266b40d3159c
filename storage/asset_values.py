"""What travels along edges and in events for a stored file."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from storage.media_types import value_type_of
from storage.models import Asset


def asset_value(asset: Asset) -> dict[str, Any]:
    """Return the reference to a file."""
    is_large = asset.size > settings.INLINE_ASSET_LIMIT
    return {
        "type": value_type_of(asset.content_type),
        "uri": f"asset://{asset.key}",
        "asset_id": asset.pk,
        "data": None,
        "metadata": _size_note(asset) if is_large else None,
    }


def large_value(asset: Asset) -> dict[str, Any]:
    """Return what stands for a value that was stored because of its size.

    ``inlined_data`` tells it from a file: readers put such a value back.
    """
    return {
        **asset_value(asset),
        "type": "text" if asset.content_type == "text/plain" else "json",
        "metadata": _size_note(asset),
    }


def _size_note(asset: Asset) -> dict[str, Any]:
    return {"size": asset.size, "inlined_data": False}
