"""``/storage/...``: stored files for those who may read them, links included."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from nodetool_site.lib.api import AsyncAPIView
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import BadRequest, NotFound, Unauthorized
from storage.api.serving import NO_FILE, answer_file
from storage.api.thumbnails import answer_thumbnail
from storage.keys import TEMP, InvalidKey, is_key, parse_path
from storage.links import is_signed, reads_are_open
from storage.media_types import has_thumbnail
from storage.models import Asset
from storage.models.asset import THUMBNAIL_SUFFIX
from storage.page_sessions import session_user_id


class StorageView(AsyncAPIView):
    """Serves the file of a key.

    Readers are the owner (by token or page session), who holds a signed link, and
    anybody while reads are open. To all others the file does not exist.
    """

    authentication_classes = ()
    permission_classes = ()
    http_method_names = ("get", "head", "options")

    async def get(self, request: Request, path: str) -> HttpResponseBase:
        """Answer GET and HEAD."""
        django_request = request._request
        folder, key = parse_key(path)
        asset = await _find(django_request, folder, key)
        if key == asset.key:
            return await answer_file(django_request, asset)
        return await answer_thumbnail(django_request, asset)

    head = get


def parse_key(path: str) -> tuple[str, str]:
    """Return ``(folder, key)`` of a path.

    Raises:
        BadRequest: it is no key, whatever is stored.
    """
    try:
        return parse_path(path)
    except InvalidKey as error:
        raise BadRequest(f"Invalid key: {error}") from error


def find_by_key(folder: str, key: str) -> Asset | None:
    """Return the asset of a key, or of a thumbnail's key, whoever owns it."""
    if not is_key(key):
        return None
    rows = Asset.objects.live().filter(expires_at__isnull=folder != TEMP)
    asset = rows.filter(key=key).first()
    if asset is None and key.endswith(THUMBNAIL_SUFFIX):
        asset = rows.filter(pk=key.removesuffix(THUMBNAIL_SUFFIX)).first()
        if asset is not None and not has_thumbnail(asset.content_type):
            return None
    return asset


async def _find(request: HttpRequest, folder: str, key: str) -> Asset:
    """Return the asset that the caller may read.

    Raises:
        Exception: 401 without a good credential, else 404.
    """
    asset = await db(find_by_key, folder, key) if is_key(key) else None
    if reads_are_open() or (asset is not None and _is_link(request, asset, key)):
        reader = asset and asset.owner_id
    else:
        reader = await _reader(request)
    if asset is None or asset.owner_id != reader:
        raise NotFound(NO_FILE)
    return asset


def _is_link(request: HttpRequest, asset: Asset, key: str) -> bool:
    query = request.GET
    return is_signed(key, asset.owner_id, query.get("sig", ""), query.get("exp", ""))


async def _reader(request: HttpRequest) -> str:
    """Return the id of the caller, by token or by page session."""
    identity = getattr(request, "identity", None)
    if identity is not None:
        return str(identity.user_id)
    user_id = await db(session_user_id, request)
    if user_id is None:
        error: Exception | None = getattr(request, "authentication_error", None)
        raise error or Unauthorized()
    return user_id
