"""Lists of assets: one folder, a filter, a search, a tree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q

from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.pagination import (
    TimePosition,
    decode_cursor,
    decode_position,
    encode_cursor,
    encode_position,
    page_limit,
    read_text,
)
from storage.documents import Json, asset_document, home_document
from storage.errors import InvalidFolder, UnknownAsset
from storage.folders import HOME
from storage.identity import Identity
from storage.models import Asset, User
from storage.models.asset import FOLDER_TYPE

MAX_PAGE = 10_000
SEARCH_PAGE = 100
MIN_QUERY = 2
MAX_TREE = 10_000
ORIGINS = ("workflow_id", "node_id", "job_id")


def find_asset(owner_id: str, asset_id: str) -> Asset:
    """Return an asset of the owner's.

    Raises:
        UnknownAsset: they have none of that id.
    """
    mine = Asset.objects.visible_to(Identity(owner_id)).live()
    asset = mine.filter(pk=asset_id).first() if "\0" not in asset_id else None
    if asset is None:
        raise UnknownAsset
    return asset


def find_document(owner_id: str, asset_id: str, *, base_url: str) -> Json:
    """Return the Asset object of that id; the owner's own id is the root folder.

    Raises:
        UnknownAsset: they have none of that id.
    """
    if asset_id == owner_id:
        return home_document(User.objects.get(pk=owner_id))
    return asset_document(find_asset(owner_id, asset_id), base_url=base_url)


def find_by_name(owner_id: str, name: str, *, base_url: str) -> Json:
    """Return the newest asset of exactly that name.

    Raises:
        UnknownAsset: they have none.
    """
    mine = Asset.objects.visible_to(Identity(owner_id)).kept()
    found = mine.filter(name=name).first() if "\0" not in name else None
    if found is None:
        raise UnknownAsset
    return asset_document(found, base_url=base_url)


def list_assets(
    owner_id: str,
    query: Mapping[str, str],
    *,
    base_url: str,
    default: int = MAX_PAGE,
    most: int = MAX_PAGE,
) -> Json:
    """Return a page of the owner's assets, the newest first.

    Without a filter these are the children of the root folder. ``default`` and
    ``most`` are sizes of a page.
    """
    limit = page_limit(query, name="page_size", default=default, most=most)
    rows = _narrowed(owner_id, query)
    after = decode_position(query.get("cursor"))
    if after is not None:
        rows = rows.filter(created_at__lte=after.moment).exclude(
            created_at=after.moment, pk__gte=after.row_id
        )
    # One more than asked for tells whether a next page exists.
    found = list(rows.order_by("-created_at", "-pk")[: limit + 1])
    assets = found[:limit]
    last = assets[-1] if len(found) > limit else None
    return {
        "assets": [asset_document(asset, base_url=base_url) for asset in assets],
        "next": last and encode_position(TimePosition(last.created_at, last.pk)),
    }


def search_assets(owner_id: str, query: Mapping[str, str], *, base_url: str) -> Json:
    """Return a page of the owner's assets whose name contains a text, by name.

    Raises:
        BadRequest: the text is shorter than two characters.
    """
    text = (read_text(query, "query") or "").strip()
    if len(text) < MIN_QUERY:
        raise BadRequest(f"Search query must be at least {MIN_QUERY} characters long")
    limit = page_limit(query, name="page_size", default=SEARCH_PAGE, most=MAX_PAGE)
    rows = Asset.objects.visible_to(Identity(owner_id)).kept()
    # Not by "icontains": to SQLite only A to Z have another case.
    rows = _of_type(rows.filter(name__iregex=re.escape(text)), query)
    total = rows.count()
    position = decode_cursor(query.get("cursor"), tuple[str, str])
    if position is not None:
        name, pk = position
        rows = rows.filter(Q(name__gt=name) | Q(name=name, pk__gt=pk))
    found = list(rows.order_by("name", "pk")[: limit + 1])
    assets = found[:limit]
    last = assets[-1] if len(found) > limit else None
    places = _Places(owner_id, assets)
    return {
        "assets": [
            {**asset_document(asset, base_url=base_url), **places.of(asset)}
            for asset in assets
        ],
        "next_cursor": last and encode_cursor(last.name, last.pk),
        "total_count": total,
        "is_global_search": True,
    }


def read_tree(owner_id: str, folder_id: str, *, base_url: str) -> Json:
    """Return a folder with ``children``, and theirs, down to the last.

    Raises:
        UnknownAsset: the owner has no such folder.
        InvalidFolder: it holds more than a list can.
    """
    document = find_document(owner_id, folder_id, base_url=base_url)
    if document["content_type"] != FOLDER_TYPE:
        return {"assets": [document]}
    document["children"] = []
    folders = {folder_id: document}
    left = MAX_TREE
    rows = Asset.objects.visible_to(Identity(owner_id)).kept().order_by("name", "pk")
    level = [folder_id]
    while level:
        inside = Q(parent__in=level)
        if owner_id in level:
            inside |= Q(parent=None)
        assets = list(rows.filter(inside)[: left + 1])
        left -= len(assets)
        if left < 0:
            raise InvalidFolder(
                f"The folder holds more than {MAX_TREE} assets: list it in pages"
            )
        level = []
        for asset in assets:
            child = asset_document(asset, base_url=base_url)
            folders[child["parent_id"]]["children"].append(child)
            if asset.is_folder:
                child["children"] = []
                folders[asset.pk] = child
                level.append(asset.pk)
    return {"assets": [document]}


class _Places:
    """Where assets lie: the folders above them, read level by level."""

    def __init__(self, owner_id: str, assets: Iterable[Asset]) -> None:
        self._owner_id = owner_id
        self._folders: dict[str, tuple[str, str | None]] = {}
        wanted = {asset.parent_id for asset in assets if asset.parent_id}
        while wanted:
            rows = Asset.objects.filter(owner_id=owner_id, pk__in=wanted)
            for pk, name, parent_id in rows.values_list("pk", "name", "parent_id"):
                self._folders[pk] = (name, parent_id)
            above = (self._folders.get(pk, ("", None))[1] for pk in wanted)
            wanted = {pk for pk in above if pk and pk not in self._folders}

    def of(self, asset: Asset) -> Json:
        """Return name, path and id of the folder of an asset."""
        names = []
        folder_id = asset.parent_id
        while folder_id in self._folders:
            name, folder_id = self._folders[folder_id]
            names.append(name)
        names.append(HOME)
        return {
            "folder_name": names[0],
            "folder_path": " / ".join(reversed(names)),
            "folder_id": asset.parent_id or self._owner_id,
        }


def _narrowed(owner_id: str, query: Mapping[str, str]) -> Any:
    mine = Asset.objects.visible_to(Identity(owner_id))
    origins = {name: read_text(query, name) for name in ORIGINS}
    # What a job put aside is listed only by who asks for that job's.
    rows = mine.filter(expires_at=None) if origins["job_id"] else mine.kept()
    rows = rows.filter(**{name: text for name, text in origins.items() if text})
    parent_id = read_text(query, "parent_id")
    is_filtered = any(origins.values()) or bool(read_text(query, "content_type"))
    if parent_id is None and not is_filtered:
        parent_id = owner_id
    if parent_id is not None:
        rows = rows.filter(parent_id=None if parent_id == owner_id else parent_id)
    return _of_type(rows, query)


def _of_type(rows: Any, query: Mapping[str, str]) -> Any:
    content_type = read_text(query, "content_type")
    return rows.filter(content_type__startswith=content_type) if content_type else rows
