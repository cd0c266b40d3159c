"""Assets as socket clients read them: the Asset object, lists by cursor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nodetool_site.lib.errors import BadRequest, NotFound
from nodetool_site.lib.pagination import decode_cursor, encode_cursor, page_limit
from nodetool_site.lib.rendering import format_time
from storage.identity import Identity
from storage.links import public_url
from storage.models import Asset
from workflows.api.queries import read_text
from workflows.documents import etag_of

Json = dict[str, Any]

# What an asset is filed under beside its job; none is, so such a filter finds nothing.
_UNUSED_FILTERS = ("workflow_id", "node_id")


def find_asset(owner_id: str, asset_id: str, *, base_url: str) -> Json:
    """One asset of the owner's.

    Raises:
        NotFound: they have none of that id.
    """
    asset = _visible_to(owner_id).filter(pk=asset_id).first()
    if asset is None:
        raise NotFound("Asset not found")
    return asset_document(asset, base_url=base_url)


def list_assets(owner_id: str, query: Mapping[str, str], *, base_url: str) -> Json:
    """A page of the owner's assets, the newest first, narrowed by ``query``."""
    limit = page_limit(query, name="page_size")
    rows = _narrowed(owner_id, query)
    position = decode_cursor(query.get("cursor"), tuple[str, str])
    if position is not None:
        rows = rows.filter(created_at__lte=_moment(position[0])).exclude(
            created_at=_moment(position[0]), pk__gte=position[1]
        )
    # One more than asked for tells whether a next page exists.
    found = list(rows.order_by("-created_at", "-pk")[: limit + 1])
    assets = found[:limit]
    last = assets[-1] if len(found) > limit else None
    return {
        "assets": [asset_document(asset, base_url=base_url) for asset in assets],
        "next": last and encode_cursor(format_time(last.created_at), last.pk),
    }


def asset_document(asset: Asset, *, base_url: str) -> Json:
    """The Asset object. All assets lie in the root folder, whose id is the owner's."""
    document = {
        "id": asset.pk,
        "user_id": asset.owner_id,
        "workflow_id": None,
        "parent_id": asset.owner_id,
        "name": asset.name,
        "content_type": asset.content_type,
        "size": asset.size,
        "metadata": asset.metadata,
        "created_at": format_time(asset.created_at),
        "get_url": public_url(asset.key, asset.owner_id, base_url),
        "thumb_url": None,
        "duration": None,
        "node_id": None,
        "job_id": asset.job_id,
        "uri": f"asset://{asset.key}",
    }
    return {**document, "etag": etag_of(document)}


def _visible_to(owner_id: str) -> Any:
    return Asset.objects.visible_to(Identity(owner_id))


def _narrowed(owner_id: str, query: Mapping[str, str]) -> Any:
    rows = _visible_to(owner_id)
    if any(read_text(query, name) for name in _UNUSED_FILTERS):
        return rows.none()
    if read_text(query, "parent_id") not in (None, owner_id):
        return rows.none()
    if content_type := read_text(query, "content_type"):
        rows = rows.filter(content_type__startswith=content_type)
    if job_id := read_text(query, "job_id"):
        rows = rows.filter(job_id=job_id)
    return rows


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        format_time(moment)
    except (ValueError, OverflowError) as error:
        raise BadRequest("Unreadable cursor") from error
    return moment
