"""Drafts made into assets by coroutines: files in asyncio's threads, rows in ``db``'s.

A store may take minutes for a file, and all requests share the few threads of the
database. What has begun goes on to its end when the caller is cancelled: else a client
who leaves between the file and its row would leave the file.
"""

from __future__ import annotations

import asyncio
from typing import Unpack

from nodetool_site.lib.db import db
from nodetool_site.lib.threads import to_its_end
from storage import services
from storage.files import Draft
from storage.ids import new_id
from storage.media_types import extension_for
from storage.models import Asset
from storage.services import AssetFields


async def keep_asset(
    draft: Draft,
    owner_id: str,
    *,
    name: str,
    content_type: str,
    key: str = "",
    **fields: Unpack[AssetFields],
) -> Asset:
    """Make an asset of a draft, under a key of its own or one that a client chose.

    Raises:
        QuotaExceeded: the owner has no room for it.
        StorageFull, StorageUnavailable: the store has none, or does not answer.
        UnknownParent: there is no such folder of the owner's.
        IntegrityError: the key is taken.
    """
    return await to_its_end(
        _keep(draft, owner_id, name, content_type, key=key, **fields)
    )


async def replace_content(draft: Draft, owner_id: str, asset_id: str) -> Asset:
    """Give an asset other bytes; raises as the service."""
    return await to_its_end(_replace(draft, owner_id, asset_id))


async def _keep(
    draft: Draft,
    owner_id: str,
    name: str,
    content_type: str,
    *,
    key: str,
    **fields: Unpack[AssetFields],
) -> Asset:
    asset_id = new_id()
    suffix = key.rpartition(".")[2] or extension_for(content_type, name)
    own_name = f"{asset_id}.{suffix}"
    kept = await asyncio.to_thread(
        services.keep_file,
        draft,
        key or own_name,
        asset_id=asset_id,
        is_temp=fields.get("expires_at") is not None,
        # A key that is the client's choice may have been another's before.
        file_name=own_name if key else "",
    )
    return await db(
        services.record_file,
        kept,
        owner_id,
        name=name,
        content_type=content_type,
        **fields,
    )


async def _replace(draft: Draft, owner_id: str, asset_id: str) -> Asset:
    old = await db(services.find_replaceable, owner_id, asset_id)
    kept = await asyncio.to_thread(services.keep_content, draft, old)
    return await db(services.record_content, kept, owner_id)
