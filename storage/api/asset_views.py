"""``/api/assets``: the caller's files and folders."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request

from nodetool_site.lib.api import AsyncAPIView, SyncAPIView, json_response
from nodetool_site.lib.bodies import body_stream_of
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.rendering import JSON_TYPE
from storage import quotas, reads, services
from storage.api.archives import answer_archive
from storage.api.base import base_url_of, caller_of, essence_of
from storage.api.headers import download_name
from storage.api.serializers import (
    ArchiveRequest,
    AssetChanges,
    AssetRequest,
    NamedAssetRequest,
    checked,
    parse_object,
)
from storage.api.serving import answer_file
from storage.api.thumbnails import answer_thumbnail, read_side
from storage.api.uploads import received_form
from storage.documents import asset_document
from storage.files import Draft
from storage.keeping import keep_asset
from storage.models import Asset
from storage.models.asset import FOLDER_TYPE

FORM_TYPE = "multipart/form-data"
FILE_MEMBERS = frozenset({"file", "files", "filepath", "path"})


class AssetCollection(AsyncAPIView):
    """All of the caller's."""

    async def get(self, request: Request) -> HttpResponse:
        """List a folder, or what a filter finds."""
        return json_response(
            await db(
                reads.list_assets,
                caller_of(request),
                request.query_params,
                base_url=base_url_of(request),
            )
        )

    async def post(self, request: Request) -> HttpResponse:
        """Upload a file as a form, or make a folder (or an empty file) of JSON."""
        kind = essence_of(request)
        if kind == FORM_TYPE:
            asset = await _create_of_form(request)
        elif kind == JSON_TYPE:
            body = await body_stream_of(request._request).whole(settings.MAX_BODY_BYTES)
            asset = await db(_create_of_json, caller_of(request), parse_object(body))
        else:
            raise UnsupportedMediaType(kind or "none")
        return json_response(asset_document(asset, base_url=base_url_of(request)))


class AssetDetail(SyncAPIView):
    """One of the caller's; the caller's own id is the root folder."""

    def get(self, request: Request, asset_id: str) -> HttpResponse:
        """Return it."""
        return json_response(
            reads.find_document(
                caller_of(request), asset_id, base_url=base_url_of(request)
            )
        )

    def put(self, request: Request, asset_id: str) -> HttpResponse:
        """Change what the body names."""
        owner_id = caller_of(request)
        _refuse_root(owner_id, asset_id)
        wanted = checked(AssetChanges, request.data)
        changes, content = wanted.changes(), wanted.content()
        reads.find_asset(owner_id, asset_id)
        if content is None:
            asset = services.change_asset(owner_id, asset_id, **changes)
        else:
            asset = _replace(owner_id, asset_id, content, changes)
        return json_response(asset_document(asset, base_url=base_url_of(request)))

    def delete(self, request: Request, asset_id: str) -> HttpResponse:
        """Delete it, with what lies in it."""
        owner_id = caller_of(request)
        _refuse_root(owner_id, asset_id)
        asset = reads.find_asset(owner_id, asset_id)
        return json_response({"deleted_asset_ids": services.delete_asset(asset)})


class AssetSearch(SyncAPIView):
    """The caller's assets by a part of their name."""

    def get(self, request: Request) -> HttpResponse:
        """Search in all folders."""
        return json_response(
            reads.search_assets(
                caller_of(request),
                request.query_params,
                base_url=base_url_of(request),
            )
        )


class AssetByName(SyncAPIView):
    """The newest of the caller's assets that has a name."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """Return it."""
        return json_response(
            reads.find_by_name(caller_of(request), name, base_url=base_url_of(request))
        )


class AssetTree(SyncAPIView):
    """A folder with everything below it."""

    def get(self, request: Request, asset_id: str) -> HttpResponse:
        """Return it, each folder with its ``children``."""
        return json_response(
            reads.read_tree(caller_of(request), asset_id, base_url=base_url_of(request))
        )


class AssetDownload(AsyncAPIView):
    """The bytes of one asset, to be saved."""

    async def get(self, request: Request, asset_id: str) -> HttpResponseBase:
        """Answer GET and HEAD, whole or in a range."""
        asset = await _find_file(request, asset_id)
        return await answer_file(
            request._request, asset, download_as=download_name(asset)
        )

    head = get


class AssetThumbnail(AsyncAPIView):
    """A small picture of an image."""

    async def get(self, request: Request, asset_id: str) -> HttpResponse:
        """Return a JPEG."""
        return await self._draw(request, asset_id, is_fresh=False)

    async def post(self, request: Request, asset_id: str) -> HttpResponse:
        """Draw it again and return it."""
        return await self._draw(request, asset_id, is_fresh=True)

    head = get

    async def _draw(
        self, request: Request, asset_id: str, *, is_fresh: bool
    ) -> HttpResponse:
        query = request.query_params
        return await answer_thumbnail(
            request._request,
            await _find_file(request, asset_id),
            width=read_side(query, "width"),
            height=read_side(query, "height"),
            is_fresh=is_fresh,
        )


class AssetArchive(AsyncAPIView):
    """Several assets, folders with their contents, as one archive."""

    async def post(self, request: Request) -> HttpResponseBase:
        """Send a .zip as it is made."""
        wanted = checked(ArchiveRequest, request.data).validated_data["asset_ids"]
        return await answer_archive(caller_of(request), wanted)


async def _create_of_form(request: Request) -> Asset:
    owner_id = caller_of(request)
    room = await db(quotas.room_of, owner_id)
    async with received_form(request, room) as form:
        text = form.fields.get("json", form.fields.get("asset", ""))
        described = parse_object(text)
        if form.file is None:
            return await db(_create_of_json, owner_id, described)
        fields = dict(checked(AssetRequest, described).validated_data)
        name = fields.pop("name", "") or form.file_name
        content_type = fields.pop("content_type", "") or form.file_type
        if content_type == FOLDER_TYPE:
            raise BadRequest("A folder has no file")
        return await keep_asset(
            form.file, owner_id, name=name, content_type=content_type, **fields
        )


def _create_of_json(owner_id: str, body: dict[str, Any]) -> Asset:
    if FILE_MEMBERS & body.keys():
        raise BadRequest(f"Files are sent as {FORM_TYPE}, in the part 'file'")
    fields = dict(checked(NamedAssetRequest, body).validated_data)
    content_type = fields.pop("content_type")
    name = fields.pop("name")
    if content_type == FOLDER_TYPE:
        return services.create_folder(owner_id, name, **fields)
    return services.store_asset(
        owner_id, b"", name=name, content_type=content_type, **fields
    )


def _replace(
    owner_id: str, asset_id: str, content: bytes, changes: dict[str, Any]
) -> Asset:
    draft = Draft()
    try:
        draft.append(content)
        return services.replace_content(draft, owner_id, asset_id, **changes)
    finally:
        draft.discard()


async def _find_file(request: Request, asset_id: str) -> Asset:
    """Return an asset that is no folder.

    Raises:
        UnknownAsset: the caller has none of that id.
        BadRequest: it is a folder.
    """
    owner_id = caller_of(request)
    if asset_id != owner_id:
        asset = await db(reads.find_asset, owner_id, asset_id)
        if not asset.is_folder:
            return asset
    raise BadRequest("This is a folder: POST /api/assets/download makes an archive")


def _refuse_root(owner_id: str, asset_id: str) -> None:
    if asset_id == owner_id:
        raise BadRequest("The root folder can be neither changed nor deleted")
