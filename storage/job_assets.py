"""The engine's asset port for one job: what it reads and writes is its owner's.

Files are handled in threads of asyncio's own, rows in the threads of ``db``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from typing import Any, Unpack
from urllib.parse import unquote_to_bytes

from django.db.models import Q

from nodetool_site.lib.db import db
from storage.asset_values import asset_value, large_value
from storage.errors import AssetNotFound, UnknownParent, UnreadableAsset
from storage.files import Draft
from storage.folders import find_parent
from storage.keeping import keep_asset
from storage.keys import is_asset_id, key_of_uri
from storage.models import Asset
from storage.services import AssetFields, open_asset, store_asset

FOLDER_PAGE = 200


class JobAssetStore:
    """Assets as the nodes of one job see them."""

    def __init__(
        self, owner_id: str, job_id: str, workflow_id: str | None = None
    ) -> None:
        self._owner_id = owner_id
        self._job_id = job_id
        self._workflow_id = workflow_id or None

    async def write(
        self, data: bytes, *, content_type: str, name: str, node_id: str | None = None
    ) -> dict[str, Any]:
        """Store what goes with the job; return the value that refers to it."""
        draft = await asyncio.to_thread(_draft_of, data)
        asset = await self._keep(
            draft, name, content_type, node_id=node_id, is_value=True
        )
        return asset_value(asset)

    async def save(
        self,
        data: bytes,
        *,
        content_type: str,
        name: str,
        folder: dict[str, Any],
        node_id: str,
    ) -> dict[str, Any]:
        """Store a file for the owner to keep; return the value that refers to it.

        Raises:
            UnknownParent: the owner has no such folder.
            InvalidFolder: it is a file.
            QuotaExceeded, StorageFull: there is no room.
        """
        parent_id = folder_id_of(folder)
        draft = await asyncio.to_thread(_draft_of, data)
        asset = await self._keep(
            draft, name, content_type, node_id=node_id, parent_id=parent_id
        )
        return asset_value(asset)

    async def files_in(
        self, folder: dict[str, Any], kind: str
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield name and value of the files of a kind in a folder of the owner's.

        Raises:
            UnknownParent: the owner has no such folder.
            InvalidFolder: it is a file.
        """
        folder_id = folder_id_of(folder)
        after = ("", "")
        while page := await db(_page, self._owner_id, folder_id, kind, after):
            for asset in page:
                yield asset.name, asset_value(asset)
            after = (page[-1].name, page[-1].pk)

    async def read(self, value: dict[str, Any]) -> bytes:
        """Return the bytes behind an asset value.

        Raises:
            AssetNotFound: no such asset of this job's owner.
            UnreadableAsset: the value holds nothing that can be read here.
        """
        data, uri = value.get("data"), value.get("uri")
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        if not isinstance(uri, str) or not uri:
            return await self._read_stored(_wanted_by_id(value))
        if uri.startswith("data:"):
            return decode_data_uri(uri)
        return await self._read_stored(_wanted_by_uri(uri))

    def open_spill(self, *, content_type: str, name: str) -> JobSpill:
        """Return a file that a list grows into."""
        return JobSpill(self, content_type, name)

    async def _read_stored(self, wanted: dict[str, str]) -> bytes:
        asset = await db(find_own, self._owner_id, **wanted)
        return await asyncio.to_thread(_read_whole, asset)

    async def _keep(
        self, draft: Draft, name: str, content_type: str, **fields: Unpack[AssetFields]
    ) -> Asset:
        whole: AssetFields = {
            "job_id": self._job_id,
            "workflow_id": self._workflow_id,
            **fields,
        }
        try:
            return await keep_asset(
                draft, self._owner_id, name=name, content_type=content_type, **whole
            )
        finally:
            await asyncio.to_thread(draft.discard)


class JobSpill:
    """A list on its way into a file. Appends keep their order; await each."""

    def __init__(self, store: JobAssetStore, content_type: str, name: str) -> None:
        self._store = store
        self._content_type = content_type
        self._name = name
        self._draft: Draft | None = None

    async def append(self, data: bytes) -> None:
        """Write at the end."""
        self._draft = await asyncio.to_thread(_append, self._draft, data)

    async def finish(self) -> dict[str, Any]:
        """Store the file and return the reference that readers put back."""
        draft, self._draft = self._draft, None
        if draft is None:
            draft = await asyncio.to_thread(Draft)
        asset = await self._store._keep(
            draft, self._name, self._content_type, is_value=True
        )
        return large_value(asset)

    def discard(self) -> None:
        """Remove the file; after ``finish`` this does nothing."""
        if self._draft is not None:
            self._draft.discard()
            self._draft = None


def write_value_sync(
    owner_id: str,
    job_id: str,
    data: bytes,
    *,
    content_type: str,
    name: str,
    asset_id: str | None = None,
) -> dict[str, Any]:
    """Store a large value of an event and return the reference to it.

    For a thread that has a transaction open: the row belongs to that transaction,
    the file is there before it. What an earlier commit has stored, whose answer was
    lost, is not stored again.
    """
    stored = Asset.objects.filter(pk=asset_id, owner_id=owner_id, job_id=job_id).first()
    if stored is not None:
        return large_value(stored)
    asset = store_asset(
        owner_id,
        data,
        name=name,
        content_type=content_type,
        job_id=job_id,
        asset_id=asset_id,
        is_value=True,
    )
    return large_value(asset)


def find_own(owner_id: str, **wanted: str) -> Asset:
    """Return the asset of that key, or id, which ``owner_id`` must own.

    Raises:
        AssetNotFound: there is none, its time is over, or it is somebody else's.
    """
    asset = Asset.objects.live().filter(owner_id=owner_id, **wanted).first()
    if asset is None:
        raise AssetNotFound(f"Asset '{next(iter(wanted.values()))}' not found")
    return asset


def folder_id_of(folder: dict[str, Any]) -> str | None:
    """Return the id of the folder that a value refers to; None is the root."""
    uri = folder.get("uri")
    named = folder.get("asset_id")
    if not named and isinstance(uri, str):
        named = uri.removeprefix("asset://")
    if not named:
        return None
    if not is_asset_id(named):
        raise UnknownParent
    return str(named)


def _page(
    owner_id: str, folder_id: str | None, kind: str, after: tuple[str, str]
) -> list[Asset]:
    """Return the next files of a folder, by name and id."""
    parent_id = find_parent(owner_id, folder_id)
    files = Asset.objects.kept().filter(
        Q(name__gt=after[0]) | Q(name=after[0], pk__gt=after[1]),
        owner_id=owner_id,
        parent_id=parent_id,
        content_type__startswith=f"{kind}/",
    )
    return list(files.order_by("name", "pk")[:FOLDER_PAGE])


def _wanted_by_id(value: dict[str, Any]) -> dict[str, str]:
    asset_id = value.get("asset_id")
    if not is_asset_id(asset_id):
        raise UnreadableAsset("The value has no data, no uri and no asset_id.")
    return {"pk": str(asset_id)}


def _wanted_by_uri(uri: str) -> dict[str, str]:
    key = key_of_uri(uri)
    if key is None:
        raise UnreadableAsset(
            "Only stored files (asset://<id>.<extension>) and data: URIs can be read, "
            f"not '{uri.partition(':')[0][:20]}:...'."
        )
    return {"key": key}


def decode_data_uri(uri: str) -> bytes:
    """Return the bytes of a ``data:`` URI.

    Raises:
        UnreadableAsset: it is malformed.
    """
    header, comma, body = uri.partition(",")
    if not comma:
        raise UnreadableAsset("Malformed data: URI.")
    raw = unquote_to_bytes(body)
    if not header.endswith(";base64"):
        return raw
    try:
        return base64.b64decode(raw, validate=True)
    except binascii.Error as error:
        raise UnreadableAsset("Malformed base64 in a data: URI.") from error


def _draft_of(data: bytes) -> Draft:
    return _append(None, data)


def _append(draft: Draft | None, data: bytes) -> Draft:
    draft = draft or Draft()
    draft.append(data)
    return draft


def _read_whole(asset: Asset) -> bytes:
    try:
        with open_asset(asset) as file:
            return file.read()
    except FileNotFoundError as error:
        raise AssetNotFound(f"The file of asset '{asset.key}' is missing") from error
