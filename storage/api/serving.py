"""A stored file as an answer: whole, in ranges, not at all, or by the proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import http_date, parse_http_date_safe

from nodetool_site.lib.errors import ApplicationError, NotFound, error_response
from storage.api.headers import file_headers
from storage.api.ranges import Span, Unsatisfiable, parse_range
from storage.files import PIECE, path_of
from storage.models import Asset
from storage.services import open_asset
from storage.stores import folder_store, uses_buckets

NO_FILE = "File not found"


class RangeNotSatisfiable(ApplicationError):
    """The range holds no byte of the file."""

    status = 416
    default_message = "Range not satisfiable"


class TruncatedFile(Exception):
    """The file is shorter than its row says; the answer is cut, and shows it."""


async def answer_file(
    request: HttpRequest, asset: Asset, *, download_as: str | None = None
) -> HttpResponseBase:
    """Answer GET and HEAD; ``download_as`` is a name to save the file under.

    Raises:
        NotFound: somebody removed the file.
    """
    response = HttpResponse(headers=file_headers(asset, download_as=download_as))
    response["Last-Modified"] = http_date(_modified(asset))
    response["ETag"] = f'"{asset.sha256}"'
    conditional: HttpResponse | None = get_conditional_response(
        request, response["ETag"], _modified(asset), response
    )
    if conditional is not None and conditional is not response:
        return conditional
    try:
        span = _span(request, asset, response["ETag"])
    except Unsatisfiable:
        return _unsatisfiable(asset)
    if _is_handed_off(request, span):
        return _handed_off(asset, response)
    if span is not None:
        response.status_code = 206
        response["Content-Range"] = span.content_range(asset.size)
    span = span or Span(0, asset.size)
    response["Content-Length"] = str(span.length)
    if request.method == "HEAD":
        await asyncio.to_thread(_open, asset, Span(0, 0))
        return response
    return await _answer(asset, span, response)


def _is_handed_off(request: HttpRequest, span: Span | None) -> bool:
    """Tell whether the proxy sends the bytes.

    It looks at the range itself. So one that is to be ignored is not shown to it:
    several ranges, or an end before the start, mean something else to it.
    """
    if settings.SENDFILE_HEADER == "none" or uses_buckets():
        return False
    return request.method == "GET" and (
        span is not None or "HTTP_RANGE" not in request.META
    )


def _handed_off(asset: Asset, response: HttpResponse) -> HttpResponse:
    """Let the proxy in front send the bytes, or the part that the request asks for."""
    del response["Accept-Ranges"]  # it says so itself
    path = path_of(asset.stored_as, is_temp=asset.is_temp)
    if settings.SENDFILE_HEADER == "x-sendfile":
        response["X-Sendfile"] = str(folder_store().path_of(path))
    else:
        prefix = settings.SENDFILE_PREFIX.rstrip("/")
        response["X-Accel-Redirect"] = f"{prefix}/{path}"
    return response


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
    # Other content has a file of its own; a new name is no change of the file.
    changed = asset.updated_at if asset.file_name else asset.created_at
    return int(changed.timestamp())


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
        file = open_asset(asset, span.start)
    except FileNotFoundError as error:
        raise NotFound(NO_FILE) from error
    head = file.read(min(PIECE, span.length))
    if len(head) < span.length:
        return file, head
    file.close()
    return None, head


async def _pieces(file: BinaryIO, head: bytes, length: int) -> AsyncIterator[bytes]:
    try:
        yield head
        left = length - len(head)
        while left:
            piece = await asyncio.to_thread(file.read, min(PIECE, left))
            if not piece:
                raise TruncatedFile
            yield piece
            left -= len(piece)
    finally:
        await asyncio.to_thread(file.close)
