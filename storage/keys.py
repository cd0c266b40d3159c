"""Keys of stored files, as they stand in paths and in ``asset://`` URIs."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

ASSETS, TEMP = "assets", "temp"
FOLDERS = (ASSETS, TEMP)
PUBLIC_PREFIX = "/storage/assets/"
PUBLIC_TEMP_PREFIX = "/storage/temp/"

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}\.[a-z0-9]{1,10}", re.ASCII)


class InvalidKey(ValueError):
    """The text can be no key, whatever is stored."""


def parse_path(path: str) -> tuple[str, str]:
    """Return ``(folder, key)`` of a path below ``/storage/``.

    A bare key is one of ``assets``; one trailing slash is ignored.

    Raises:
        InvalidKey: empty, absolute, or able to climb out of its folder; also when it
            becomes so by one more round of percent-decoding.
    """
    folder, slash, key = path.removesuffix("/").partition("/")
    if not slash and folder not in FOLDERS:
        folder, key = ASSETS, folder
    if folder not in FOLDERS:
        folder, key = ASSETS, path
    for text in (key, unquote(key)):
        _refuse_unsafe(text)
    return folder, key


def key_of_uri(uri: str) -> str | None:
    """Return the key that an ``asset://`` URI or a storage link names, or None."""
    if uri.startswith("asset://"):
        key = uri.removeprefix("asset://")
        return key if is_key(key) else None
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme not in ("", "http", "https"):
        return None
    for prefix in (PUBLIC_PREFIX, PUBLIC_TEMP_PREFIX):
        key = parts.path.removeprefix(prefix)
        if key != parts.path and is_key(key):
            return key
    return None


def is_key(text: str) -> bool:
    """Tell whether ``text`` has the form ``<id>.<extension>``."""
    return _KEY.fullmatch(text) is not None


def is_asset_id(text: object) -> bool:
    """Tell whether ``text`` can be the id of an asset."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def _refuse_unsafe(text: str) -> None:
    if not text:
        raise InvalidKey("empty")
    if text.startswith("/"):
        raise InvalidKey("leading slash")
    if "\\" in text:
        raise InvalidKey("backslash")
    if "\0" in text:
        raise InvalidKey("NUL character")
    if ".." in text.split("/"):
        raise InvalidKey("'..' segment")
