"""The Asset object, as REST and sockets send it."""

from __future__ import annotations

from typing import Any

from nodetool_site.lib.rendering import etag_of, format_time
from storage.folders import HOME
from storage.links import public_url
from storage.media_types import has_thumbnail
from storage.models import Asset, User
from storage.models.asset import FOLDER_TYPE

Json = dict[str, Any]


def asset_document(asset: Asset, *, base_url: str) -> Json:
    """Return an asset with links that work as they stand."""
    document = {
        "id": asset.pk,
        "user_id": asset.owner_id,
        "workflow_id": asset.workflow_id,
        "parent_id": asset.parent_id or asset.owner_id,
        "name": asset.name,
        "content_type": asset.content_type,
        "size": asset.size,
        "metadata": asset.metadata,
        "created_at": format_time(asset.created_at),
        "get_url": None if asset.is_folder else _link(asset, asset.key, base_url),
        "thumb_url": _link(asset, asset.thumbnail_key, base_url)
        if has_thumbnail(asset.content_type)
        else None,
        "duration": asset.duration,
        "node_id": asset.node_id,
        "job_id": asset.job_id,
        "uri": f"asset://{asset.key}",
    }
    return {**document, "etag": etag_of(document)}


def home_document(user: User) -> Json:
    """Return the root folder of a user, which has no row: its id is the user's."""
    document = {
        "id": user.pk,
        "user_id": user.pk,
        "workflow_id": None,
        "parent_id": "",
        "name": HOME,
        "content_type": FOLDER_TYPE,
        "size": 0,
        "metadata": None,
        "created_at": format_time(user.date_joined),
        "get_url": None,
        "thumb_url": None,
        "duration": None,
        "node_id": None,
        "job_id": None,
        "uri": f"asset://{user.pk}",
    }
    return {**document, "etag": etag_of(document)}


def _link(asset: Asset, key: str, base_url: str) -> str:
    return public_url(key, asset.owner_id, base_url, is_temp=asset.is_temp)
