"""Headers that keep a stored file from being more than a file to a browser."""

from __future__ import annotations

from urllib.parse import quote

from storage.keys import is_key
from storage.media_types import content_type_of, is_active
from storage.models import Asset

SANDBOX = "sandbox; default-src 'none'"
_UNRESERVED = "!#$&+-.^_`|~"


def file_headers(asset: Asset, *, download_as: str | None = None) -> dict[str, str]:
    """Return what describes a file. The type goes by the extension of the key.

    So it is one of ours, whatever an upload claims. Types that a browser might run
    are downloaded, and run nowhere.
    """
    content_type = content_type_of(asset.key)
    is_text = content_type.startswith("text/")
    headers = {
        "Content-Type": f"{content_type}; charset=utf-8" if is_text else content_type,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": SANDBOX,
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
    }
    if download_as is not None:
        headers["Content-Disposition"] = attachment(download_as)
    elif is_active(content_type):
        headers["Content-Disposition"] = "attachment"
    return headers


def attachment(name: str) -> str:
    """Return the ``Content-Disposition`` that saves under ``name`` (RFC 6266).

    Whatever the name holds, the header is one line of ASCII.
    """
    plain = "".join(c if c.isascii() and c.isprintable() else "_" for c in name)
    plain = plain.replace("\\", "_").replace('"', "_").replace("%", "_")
    encoded = quote(name, safe=_UNRESERVED, errors="replace")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def download_name(asset: Asset) -> str:
    """Return the name to save a file under: its own, with an extension."""
    suffix = asset.key.rpartition(".")[2] if is_key(asset.key) else ""
    has_suffix = content_type_of(asset.name) == content_type_of(asset.key)
    if not suffix or (has_suffix and "." in asset.name.strip(".")):
        return asset.name
    return f"{asset.name}.{suffix}"
