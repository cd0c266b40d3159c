"""Small pictures of images, made when somebody first looks and kept beside the file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response

from nodetool_site.lib.errors import BadRequest, NotFound, ValidationFailed, problem
from storage.api.headers import SANDBOX
from storage.files import Draft, open_file
from storage.media_types import has_thumbnail
from storage.models import Asset
from storage.services import open_asset

SIDE = 512
MIN_SIDE, MAX_SIDE = 64, 1024
VIDEO_PICTURE = Path(__file__).parent.parent / "static" / "storage" / "video.jpg"


async def answer_thumbnail(
    request: HttpRequest,
    asset: Asset,
    *,
    width: int = SIDE,
    height: int = SIDE,
    is_fresh: bool = False,
) -> HttpResponse:
    """Answer with a JPEG that fits into ``width`` and ``height``.

    ``is_fresh`` draws it again. A video has the same sign for all: no decoder of videos
    is part of this.

    Raises:
        BadRequest: the asset is no picture, or none that can be read.
        NotFound: its file is gone.
    """
    if not has_thumbnail(asset.content_type):
        raise BadRequest("Only images and videos have thumbnails")
    response = HttpResponse(
        content_type="image/jpeg",
        headers={
            "ETag": f'"{asset.sha256}-{width}x{height}"',
            "Cache-Control": "private, no-cache",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": SANDBOX,
        },
    )
    if not is_fresh:
        conditional: HttpResponse | None = get_conditional_response(
            request, etag=response["ETag"], response=response
        )
        if conditional is not None and conditional is not response:
            return conditional
    response.content = await _picture(asset, width, height, is_fresh=is_fresh)
    return response


def read_side(query: Mapping[str, str], name: str) -> int:
    """Return the asked width or height, brought into 64..1024.

    Raises:
        ValidationFailed: it is not a whole number.
    """
    text = query.get(name, "")
    try:
        side = int(text or SIDE)
    except ValueError:
        raise ValidationFailed(
            [problem("int_parsing", ("query", name), "Not a whole number", text)]
        ) from None
    return max(MIN_SIDE, min(side, MAX_SIDE))


async def _picture(asset: Asset, width: int, height: int, *, is_fresh: bool) -> bytes:
    if asset.content_type.startswith("video/"):
        return await asyncio.to_thread(_video_picture)
    is_usual = (width, height) == (SIDE, SIDE)
    if is_usual and not is_fresh:
        with contextlib.suppress(FileNotFoundError):
            return await asyncio.to_thread(_read_kept, asset)
    picture = await _draw(asset, width, height)
    if is_usual:
        await asyncio.to_thread(_keep, asset, picture)
    return picture


async def _draw(asset: Asset, width: int, height: int) -> bytes:
    # Pictures are drawn in processes of their own, which the first one starts.
    from storage import images
    from storage.image_work import UnreadableImage

    try:
        source = await asyncio.to_thread(open_asset, asset)
    except FileNotFoundError as error:
        raise NotFound("File not found") from error
    try:
        picture = await images.thumbnail(source, width=width, height=height)
    except UnreadableImage as error:
        raise BadRequest(f"No thumbnail can be made: {error}") from error
    finally:
        await asyncio.to_thread(source.close)
    return picture


@lru_cache(maxsize=1)
def _video_picture() -> bytes:
    return VIDEO_PICTURE.read_bytes()


def _read_kept(asset: Asset) -> bytes:
    with open_file(asset.thumbnail_file, is_temp=asset.is_temp) as file:
        return file.read()


def _keep(asset: Asset, picture: bytes) -> None:
    draft = Draft()
    try:
        draft.append(picture)
        draft.keep(asset.thumbnail_file, is_temp=asset.is_temp)
    finally:
        draft.discard()
