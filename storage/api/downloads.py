"""``/storage/...``: stored files, whole or in ranges, for those who may read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import http_date, parse_http_date_safe
from rest_framework.request import Request

from nodetool_site.lib.api import AsyncAPIView
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import (
    ApplicationError,
    BadRequest,
    NotFound,
    Unauthorized,
    error_response,
)
from storage.api.ranges import Span, Unsatisfiable, parse_range
from storage.files import PIECE
from storage.keys import InvalidKey, is_key, parse_path
from storage.links import is_signed, reads_are_open
from storage.media_types import content_type_of, is_active
from storage.models import Asset
from storage.page_sessions import session_user_id
from storage.services import open_asset

SANDBOX = "sandbox; default-src 'none'"
NO_FILE = "File not found"


class RangeNotSatisfiable(ApplicationError):
    """The range holds no byte of the file."""

    status = 416
    default_message = "Range not satisfiable"


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
        asset = await _find(django_request, _key(path))
        response = HttpResponse(headers=_headers(asset))
        conditional: HttpResponse | None = get_conditional_response(
            django_request, response["ETag"], _modified(asset), response
        )
        if conditional is not None and conditional is not response:
            return conditional
        try:
            span = _span(django_request, asset, response["ETag"])
        except Unsatisfiable:
            return _unsatisfiable(asset)
        if span is not None:
            response.status_code = 206
            response["Content-Range"] = span.content_range(asset.size)
        span = span or Span(0, asset.size)
        response["Content-Length"] = str(span.length)
        if request.method == "HEAD":
            await asyncio.to_thread(_open, asset, Span(0, 0))
            return response
        return await _answer(asset, span, response)

    head = get


def _key(path: str) -> str:
    try:
        folder, key = parse_path(path)
    except InvalidKey as error:
        raise BadRequest(f"Invalid key: {error}") from error
    if folder == "temp":
        raise NotFound(NO_FILE)
    return key


async def _find(request: HttpRequest, key: str) -> Asset:
    """Return the asset that the caller may read.

    Raises:
        Exception: 401 without a good credential, else 404.
    """
    asset = await db(Asset.objects.filter(key=key).first) if is_key(key) else None
    if reads_are_open() or (asset is not None and _is_link(request, asset)):
        reader = asset and asset.owner_id
    else:
        reader = await _reader(request)
    if asset is None or asset.owner_id != reader:
        raise NotFound(NO_FILE)
    return asset


def _is_link(request: HttpRequest, asset: Asset) -> bool:
    query = request.GET
    return is_signed(
        asset.key, asset.owner_id, query.get("sig", ""), query.get("exp", "")
    )


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


def _headers(asset: Asset) -> dict[str, str]:
    content_type = content_type_of(asset.key)
    is_text = content_type.startswith("text/")
    headers = {
        "Content-Type": f"{content_type}; charset=utf-8" if is_text else content_type,
        "Last-Modified": http_date(asset.created_at.timestamp()),
        "ETag": f'"{asset.sha256}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    if is_active(content_type):
        headers["Content-Disposition"] = "attachment"
        headers["Content-Security-Policy"] = SANDBOX
    return headers


def _span(request: HttpRequest, asset: Asset, etag: str) -> Span | None:
    """Return the wanted part, None for the whole; ``If-Range`` may overrule it.

    Raises:
        Unsatisfiable: the wanted part lies outside the file.
    """
    wanted = request.META.get("HTTP_RANGE")
    if wanted is None or request.method != "GET":
        return None
    condition = request.META.get("HTTP_IF_RANGE", etag)
    is_same = condition == etag or parse_http_date_safe(condition) == _modified(asset)
    return parse_range(wanted, asset.size) if is_same else None


def _modified(asset: Asset) -> int:
    return int(asset.created_at.timestamp())


def _unsatisfiable(asset: Asset) -> HttpResponse:
    response = error_response(RangeNotSatisfiable())
    response["Content-Range"] = f"bytes */{asset.size}"
    response["Accept-Ranges"] = "bytes"
    return response


async def _answer(asset: Asset, span: Span, response: HttpResponse) -> HttpResponseBase:
    """Send a span; ``response`` has the headers."""
    file, head = await asyncio.to_thread(_open, asset, span)
    if file is None:
        response.content = head
        return response
    return StreamingHttpResponse(
        _pieces(file, head, span.length),
        status=response.status_code,
        headers=response.headers,
    )


def _open(asset: Asset, span: Span) -> tuple[BinaryIO | None, bytes]:
    """Return the first piece, and the open file if there are more.

    Raises:
        NotFound: somebody removed the file.
    """
    try:
        file = open_asset(asset)
    except FileNotFoundError as error:
        raise NotFound(NO_FILE) from error
    file.seek(span.start)
    head = file.read(min(PIECE, span.length))
    if len(head) < span.length:
        return file, head
    file.close()
    return None, head


async def _pieces(file: BinaryIO, head: bytes, length: int) -> AsyncIterator[bytes]:
    try:
        yield head
        left = length - len(head)
        while left and (piece := await asyncio.to_thread(file.read, min(PIECE, left))):
            yield piece
            left -= len(piece)
    finally:
        file.close()
