"""Pictures and files that a message refers to, read for whoever wrote it.

A reference leads into the network, where ``lib/egress.py`` decides what is fetched, or
to a file of the owner's. What is somebody else's does not exist.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

from django.conf import settings

from nodetool_site.lib import egress
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.hosts import is_loopback
from storage.identity import Identity
from storage.keys import InvalidKey, is_asset_id, is_key, parse_path
from storage.media_types import IMAGE_NAMES, image_type
from storage.models import Asset
from storage.services import open_asset
from workflows.providers.messages import FilePart, ImagePart

MAX_IMAGE_BYTES = 20 * 1024**2
MAX_FILE_BYTES = 32 * 1024**2
MAX_TOTAL_BYTES = 64 * 1024**2
"""Of all that one request refers to; what it brings along is bounded by its body."""
AT_ONCE = 4
TOTAL_S = 60.0
STORAGE = "/storage/"
ASSET_SCHEME = "asset://"
_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w-]+=[^;,]*)*;base64,", re.ASCII)

Detail: TypeAlias = Literal["auto", "low", "high"] | None


class UnusableAttachment(BadRequest):
    """What a reference leads to is not there, or not what it has to be."""


class ImageReference(NamedTuple):
    """A picture by its address.

    ``url`` is an http or https address, ``data:``, ``/storage/...`` (also with this
    server's host), or ``asset://`` and an id or a key.
    """

    url: str
    detail: Detail = None


class FileReference(NamedTuple):
    """A stored file of the owner's. ``filename`` replaces its own name."""

    asset_id: str
    filename: str = ""


Reference: TypeAlias = ImageReference | FileReference


class Attachments:
    """Reads what one request of ``owner_id`` refers to, within the bounds of one.

    ``host`` is the one by which the caller reached this server, port included.
    """

    def __init__(self, owner_id: str, host: str = "") -> None:
        self._owner_id = owner_id
        self._places = _own_places(host)
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._deadline = asyncio.get_running_loop().time() + TOTAL_S
        self._left = MAX_TOTAL_BYTES

    async def load(self, reference: Reference) -> ImagePart | FilePart:
        """Return the part that a reference stands for.

        Raises:
            BadRequest: it cannot be used; the text says why.
        """
        try:
            async with asyncio.timeout_at(self._deadline), self._turn:
                if isinstance(reference, FileReference):
                    return await self._file(reference)
                return await self._image(reference)
        except TimeoutError as error:
            raise UnusableAttachment(
                f"The attachments were not read within {TOTAL_S:g} s."
            ) from error

    async def _image(self, reference: ImageReference) -> ImagePart:
        if reference.url.startswith("data:"):
            return image_of_data(reference.url, reference.detail)
        wanted = _stored_as(reference.url, self._places)
        if wanted is None:
            content = await self._fetch(reference.url)
        else:
            content, _ = await self._read(wanted, MAX_IMAGE_BYTES)
        media_type = image_type(content)
        if media_type is None:
            raise UnusableAttachment(
                f"What is there is no picture that is taken: {IMAGE_NAMES}."
            )
        return ImagePart(content, media_type, reference.detail)

    async def _file(self, reference: FileReference) -> FilePart:
        if not is_asset_id(reference.asset_id):
            raise _unknown()
        content, asset = await self._read({"pk": reference.asset_id}, MAX_FILE_BYTES)
        return FilePart(content, asset.content_type, reference.filename or asset.name)

    async def _fetch(self, url: str) -> bytes:
        fetched = await egress.client.fetch(
            url,
            max_bytes=min(MAX_IMAGE_BYTES, self._left),
            headers={"Accept": "image/*"},
        )
        self._take(len(fetched.content))
        return fetched.content

    async def _read(self, wanted: dict[str, str], most: int) -> tuple[bytes, Asset]:
        asset = await db(_find, self._owner_id, wanted)
        if asset.size > most:
            raise UnusableAttachment(f"The file has more than {most} bytes.")
        self._take(asset.size)
        return await asyncio.to_thread(_content, asset), asset

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise UnusableAttachment(
                f"All attachments together have more than {MAX_TOTAL_BYTES} bytes."
            )


async def load_image(
    owner_id: str, url: str, *, detail: Detail = None, host: str = ""
) -> ImagePart:
    """Return one picture; ``url`` and ``host`` as in `ImageReference`, `Attachments`.

    Raises:
        BadRequest: it cannot be used; the text says why.
    """
    part = await Attachments(owner_id, host).load(ImageReference(url, detail))
    assert isinstance(part, ImagePart)
    return part


def image_of_data(url: str, detail: Detail = None) -> ImagePart:
    """Return the picture of a ``data:`` address.

    What its bytes say it is counts, and for others than usual what the address says.

    Raises:
        UnusableAttachment: it is none.
    """
    decoded = decode_data_uri(url)
    if decoded is None or not decoded[0].startswith("image/"):
        raise UnusableAttachment("The data: address holds no picture in base64.")
    media_type, content = decoded
    return ImagePart(content, image_type(content) or media_type, detail)


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of a base64 text; None if it is none, or empty."""
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def decode_data_uri(text: str) -> tuple[str, bytes] | None:
    """Return media type and bytes of a ``data:`` address; None if it is none."""
    match = _DATA_URI.match(text)
    if match is None:
        return None
    content = decode_base64(text[match.end() :])
    return None if content is None else (match[1].lower(), content)


def _stored_as(url: str, places: frozenset[str]) -> dict[str, str] | None:
    """Return what to look a stored file up by; None if the address is not ours."""
    if url.startswith(ASSET_SCHEME):
        name = url.removeprefix(ASSET_SCHEME)
        if is_key(name):
            return {"key": name}
        if is_asset_id(name):
            return {"pk": name}
        raise _unknown()
    path = url.partition("?")[0].partition("#")[0]
    if not path.startswith("/"):
        place, path = _place_and_path(path)
        if place not in places:
            return None
    if not path.startswith(STORAGE):
        return None
    try:
        _, key = parse_path(unquote(path).removeprefix(STORAGE))
    except InvalidKey:
        raise _unknown() from None
    if not is_key(key):
        raise _unknown()
    return {"key": key}


def _own_places(host: str) -> frozenset[str]:
    """Return the places at which this server, or its proxy, gives out files."""
    names = (
        host,
        settings.NODETOOL_API_URL,
        settings.ASSET_DOMAIN,
        settings.ASSET_TEMP_DOMAIN,
    )
    urls = (name if "://" in name else f"http://{name}" for name in names if name)
    places = (_place_and_path(url)[0] for url in urls)
    return frozenset(place for place in places if place is not None)


def _place_and_path(url: str) -> tuple[str | None, str]:
    """Return host and port of an address of the web, None for another, and its path.

    This machine's names are one host, and so are the two usual ports.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # no such port, or brackets around no address
        return None, ""
    if not host or parts.scheme not in ("http", "https"):
        return None, ""
    number = "" if port in (None, 80, 443) else port
    return f"{'localhost' if is_loopback(host) else host}:{number}", parts.path


def _find(owner_id: str, wanted: dict[str, str]) -> Asset:
    mine = Asset.objects.visible_to(Identity(owner_id)).live()
    asset = mine.filter(**wanted).first()
    if asset is None or asset.is_folder:
        raise _unknown()
    return asset


def _content(asset: Asset) -> bytes:
    try:
        with open_asset(asset) as file:
            return file.read(asset.size)
    except FileNotFoundError:
        raise _unknown() from None


def _unknown() -> UnusableAttachment:
    return UnusableAttachment("You have no such file.")
