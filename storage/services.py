"""All writes to assets and users. Everything here blocks: call it from a thread."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, TypedDict, Unpack

from django.conf import settings
from django.db import transaction

from storage.files import Draft, delete_file, open_file
from storage.ids import new_id
from storage.media_types import extension_for, value_type_of
from storage.models import Asset, User

MAX_NAME = 255
MAX_CONTENT_TYPE = 127
UNNAMED = "file"


class AssetFields(TypedDict, total=False):
    """What may be said of a new asset: where it lies, where it comes from."""

    parent_id: str | None
    workflow_id: str | None
    node_id: str | None
    job_id: str | None
    metadata: dict[str, Any] | None
    duration: float | None
    expires_at: datetime | None


def store_asset(
    owner_id: str,
    content: bytes | BinaryIO,
    *,
    name: str,
    content_type: str,
    asset_id: str | None = None,
    **fields: Unpack[AssetFields],
) -> Asset:
    """Store a file and its row: first the file, so that no row is without one."""
    draft = Draft()
    try:
        if isinstance(content, bytes):
            draft.append(content)
        else:
            draft.copy_from(content)
        return keep_draft(
            draft,
            owner_id,
            name=name,
            content_type=content_type,
            asset_id=asset_id,
            **fields,
        )
    finally:
        draft.discard()


def keep_draft(
    draft: Draft,
    owner_id: str,
    *,
    name: str,
    content_type: str,
    asset_id: str | None = None,
    **fields: Unpack[AssetFields],
) -> Asset:
    """Make an asset of a draft."""
    asset_id = asset_id or new_id()
    key = f"{asset_id}.{extension_for(content_type, name)}"
    facts = draft.keep(key)
    try:
        return Asset.objects.create(
            id=asset_id,
            owner_id=owner_id,
            name=_clean(name, MAX_NAME) or UNNAMED,
            content_type=_clean(content_type, MAX_CONTENT_TYPE),
            size=facts.size,
            sha256=facts.sha256,
            key=key,
            **fields,
        )
    except Exception:
        delete_file(key)
        raise


def open_asset(asset: Asset) -> BinaryIO:
    """Open the bytes of an asset.

    Raises:
        FileNotFoundError: somebody removed the file.
    """
    return open_file(asset.key)


def delete_asset(asset: Asset) -> None:
    """Delete the row, and the file once that is certain."""
    key = asset.key
    asset.delete()
    transaction.on_commit(partial(delete_file, key))


def delete_user(user: User) -> None:
    """Delete a user with all that is theirs, files included."""
    keys = list(Asset.objects.visible_to(user).values_list("key", flat=True))
    user.delete()
    transaction.on_commit(partial(_delete_files, keys))


def asset_value(asset: Asset) -> dict[str, Any]:
    """Return what travels along edges and in events for a stored file."""
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


def _delete_files(keys: list[str]) -> None:
    for key in keys:
        delete_file(key)


def _clean(text: str, length: int) -> str:
    """Drop what no header and no database column can hold."""
    printable = "".join(character for character in text if character.isprintable())
    return printable.encode("utf-8", "replace").decode()[:length]
