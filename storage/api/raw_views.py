"""``/api/storage/...``: files of the caller by key, also temporary ones."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request

from nodetool_site.lib.api import AsyncAPIView
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import BadRequest, Conflict, NotFound
from storage import quotas, services
from storage.api.base import caller_of
from storage.api.downloads import find_by_key, parse_key
from storage.api.serving import NO_FILE, answer_file
from storage.api.uploads import received_file
from storage.keeping import keep_asset, replace_content
from storage.keys import TEMP, is_key
from storage.media_types import content_type_of
from storage.models import Asset

MIN_TTL_S = 60


class RawStorageView(AsyncAPIView):
    """The file of a key that is the caller's; foreign keys do not exist."""

    http_method_names = ("get", "head", "put", "delete", "options")

    async def get(self, request: Request, path: str) -> HttpResponseBase:
        """Answer GET and HEAD, as ``/storage/`` does."""
        return await answer_file(request._request, await _find(request, path))

    head = get

    async def put(self, request: Request, path: str) -> HttpResponse:
        """Store the body under a new temporary key, or as other content of an asset."""
        folder, key = parse_key(path)
        owner_id = caller_of(request)
        asset = await db(find_by_key, folder, key)
        if asset is None and folder == TEMP:
            await _store_temp(request, owner_id, key)
        elif asset is None or asset.owner_id != owner_id or asset.key != key:
            raise NotFound(NO_FILE)
        else:
            await _replace(request, asset)
        return HttpResponse()

    async def delete(self, request: Request, path: str) -> HttpResponse:
        """Delete file and row."""
        await db(services.delete_asset, await _find(request, path))
        return HttpResponse()


async def _find(request: Request, path: str) -> Asset:
    folder, key = parse_key(path)
    asset = await db(find_by_key, folder, key)
    if asset is None or asset.key != key or asset.owner_id != caller_of(request):
        raise NotFound(NO_FILE)
    return asset


async def _store_temp(request: Request, owner_id: str, key: str) -> None:
    if not is_key(key):
        raise BadRequest(
            "Invalid key: a temporary key is <name>.<extension>; a name has at most 64 "
            "letters, digits, - and _, an extension 10 lower-case letters and digits"
        )
    ttl = max(settings.TEMP_ASSET_TTL, MIN_TTL_S)
    async with received_file(request, await db(quotas.room_of, owner_id)) as draft:
        await db(services.delete_expired_key, key)
        try:
            await keep_asset(
                draft,
                owner_id,
                key=key,
                name=key,
                content_type=content_type_of(key),
                expires_at=timezone.now() + timedelta(seconds=ttl),
            )
        except IntegrityError as error:
            raise Conflict(f"The key '{key}' is taken") from error


async def _replace(request: Request, asset: Asset) -> None:
    room = await db(quotas.room_of, asset.owner_id, without=asset.size)
    async with received_file(request, room) as draft:
        await replace_content(draft, asset.owner_id, asset.pk)
