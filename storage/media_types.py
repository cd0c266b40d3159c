"""File extensions and content types, the same on every machine.

The system's own tables are left out: they differ between machines, and what is
served as what is a matter of safety here.
"""

from __future__ import annotations

import mimetypes
import re

DEFAULT_TYPE = "application/octet-stream"
DEFAULT_EXTENSION = "bin"

_OURS = {
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".js": "text/javascript",
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/opus",
    ".parquet": "application/vnd.apache.parquet",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".xhtml": "application/xhtml+xml",
    ".xml": "application/xml",
}
_PREFERRED = {
    "application/json": "json",
    "application/octet-stream": "bin",
    "application/xml": "xml",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "image/jpeg": "jpg",
    "image/svg+xml": "svg",
    "image/tiff": "tiff",
    "text/html": "html",
    "text/javascript": "js",
    "text/markdown": "md",
    "text/plain": "txt",
    "video/mp4": "mp4",
}
_EXTENSION = re.compile(r"[a-z0-9]{1,10}", re.ASCII)
_ACTIVE = re.compile(r"html|xml|javascript|ecmascript|svg|xsl", re.IGNORECASE)
_KINDS = {
    "application/json": "json",
    "model/gltf+json": "model_3d",
    "model/gltf-binary": "model_3d",
    "text/csv": "dataframe",
}

IMAGE_NAMES = "PNG, JPEG, GIF or WebP"
_PICTURES = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}

_types = mimetypes.MimeTypes(filenames=())
for _suffix, _content_type in _OURS.items():
    _types.add_type(_content_type, _suffix)


def content_type_of(file_name: str) -> str:
    """Return the content type that the extension of ``file_name`` stands for."""
    _, dot, suffix = file_name.rpartition(".")
    return _types.types_map[True].get(dot + suffix.lower(), DEFAULT_TYPE)


def extension_for(content_type: str, file_name: str) -> str:
    """Return the extension, without its dot, that stands for ``content_type``.

    That of ``file_name`` is kept where it agrees, or where nothing else is known.
    """
    essence = content_type.partition(";")[0].strip().lower()
    own = file_name.rpartition(".")[2].lower() if "." in file_name else ""
    if not _EXTENSION.fullmatch(own):
        own = ""
    if own and content_type_of(file_name) == essence:
        return own
    known = _PREFERRED.get(essence) or _types.guess_extension(essence)
    return (known or own or DEFAULT_EXTENSION).lstrip(".")


def is_active(content_type: str) -> bool:
    """Tell whether a browser might run what such a file holds."""
    return _ACTIVE.search(content_type) is not None


def has_thumbnail(content_type: str) -> bool:
    """Tell whether a small picture can be made of such a file.

    Vector graphics are documents: nothing here draws them.
    """
    return content_type.startswith(("image/", "video/")) and not is_active(content_type)


def value_type_of(content_type: str) -> str:
    """Return the ``type`` of an asset value that holds such a file."""
    essence = content_type.partition(";")[0].strip().lower()
    if essence in _KINDS:
        return _KINDS[essence]
    family = essence.partition("/")[0]
    return family if family in ("image", "audio", "video", "text") else "document"


def image_type(content: bytes) -> str | None:
    """Return the type of a picture by its first bytes; None if it is none of four."""
    found = (kind for kind, begin in _PICTURES.items() if begin.match(content))
    return next(found, None)
