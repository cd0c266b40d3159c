"""Make any Python value fit for JSON, for storage, and for the eyes of a client."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

MAX_DEPTH = 100
MAX_INLINE_BYTES = 4 * 1024 * 1024
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# What needs cleaning takes at least so many bytes: ``"file:"``.
_SHORTEST = 7
# An integer beyond 64 bit has at least 20 digits, or a minus and 19: it is encoded as
# it is, but MessagePack cannot hold it. Zeros find it faster than a pattern.
_TO_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG, _LONGER, _LONG_NEGATIVE = "0" * 19, "0" * 20, "-" + "0" * 19
_PRIVATE_SCHEMES = ("memory:", "file:")


def stand_in(value: Any) -> str:
    """Return what stands for an object that JSON cannot express."""
    return f"<{type(value).__name__}>"


def needs_cleaning(body: bytes) -> bool:
    """Tell whether encoded JSON may hold something that must not be kept as it is.

    Asked of every event and value: a text is searched in a third of the time of bytes.
    """
    if len(body) < _SHORTEST:
        return False
    zeroed = body.translate(_TO_ZEROS).decode("latin-1")
    return (
        ("\\u0000" in zeroed and b"\\u0000" in body)
        or (_LONG in zeroed and (_LONGER in zeroed or _LONG_NEGATIVE in zeroed))
        or '"memory:' in zeroed
        or '"file:' in zeroed
        or (len(body) > MAX_INLINE_BYTES and b'"data":"' in body)
    )


def sanitize(value: Any) -> Any:
    """Return a copy of plain JSON values only.

    NUL and lone surrogates become U+FFFD, NaN and infinities null, integers beyond
    64 bit text, sets lists, bytes base64 text; cycles, nesting past `MAX_DEPTH` and
    foreign objects become ``<TypeName>``. In-process and file addresses are emptied,
    and bytes of an asset past 4 MiB are left out.
    """
    return _clean(value, set())


def _clean(value: Any, path: set[int]) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else _big_text(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, msgspec.Raw):  # was encoded, and so cleaned, before
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if len(path) >= MAX_DEPTH or id(value) in path:
        return stand_in(value)
    path.add(id(value))
    try:
        return _clean_container(value, path)
    except Exception:  # noqa: BLE001 - a foreign class may fail in any of its methods
        return stand_in(value)
    finally:
        path.discard(id(value))


def _clean_container(value: Any, path: set[int]) -> Any:
    if isinstance(value, msgspec.Struct):
        return _clean_mapping(_fields(value), path)
    if isinstance(value, Mapping):
        return _clean_mapping(value, path)
    if isinstance(value, list | tuple | AbstractSet):
        return [_clean(each, path) for each in value]
    return msgspec.to_builtins(value, enc_hook=stand_in)


def _big_text(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # past the interpreter's limit on decimal digits
        return hex(value)


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    config = value.__struct_config__
    fields = {
        encoded: getattr(value, name)
        for name, encoded in zip(
            value.__struct_fields__, value.__struct_encode_fields__, strict=True
        )
    }
    tag = {config.tag_field: config.tag} if config.tag_field else {}
    return tag | {
        name: each for name, each in fields.items() if each is not msgspec.UNSET
    }


def _clean_mapping(value: Mapping[Any, Any], path: set[int]) -> dict[str, Any]:
    cleaned = {
        _UNSTORABLE.sub("\ufffd", key if isinstance(key, str) else str(key)): (
            _clean(each, path)
        )
        for key, each in value.items()
    }
    uri = cleaned.get("uri")
    if isinstance(uri, str) and uri.startswith(_PRIVATE_SCHEMES):
        cleaned["uri"] = ""
    data = value.get("data")
    if isinstance(data, bytes | bytearray) and len(data) > MAX_INLINE_BYTES:
        metadata = cleaned.get("metadata") or {}
        cleaned["data"] = None
        cleaned["metadata"] = {**metadata, "inlined_data": False}
    return cleaned
