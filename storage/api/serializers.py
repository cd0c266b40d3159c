"""Input of the asset endpoints."""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Any

from rest_framework import serializers

from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.rendering import decode_json, encode_json
from storage.models.asset import FOLDER_TYPE
from storage.services import MAX_CONTENT_TYPE, MAX_LABEL, MAX_NAME

MAX_METADATA_BYTES = 64 * 1024
_WORD = r"[\w!#$&^.+-]+"
CONTENT_TYPE = re.compile(rf"{_WORD}/{_WORD}( *; *{_WORD}=\"?{_WORD}\"?)*", re.ASCII)


class Text(serializers.CharField):
    """Text as it is: no number becomes text, no blank is cut off."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("required", False)
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A finite number of seconds; no text becomes one."""

    default_error_messages = {"invalid": "Not a finite number from 0 on."}

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        if not math.isfinite(data) or data < 0:
            self.fail("invalid")
        return float(data)


class Metadata(serializers.DictField):
    """A JSON object that every database can keep."""

    default_error_messages = {
        "unstorable": "Holds a NUL character or half a character.",
        "too_large": f"Larger than {MAX_METADATA_BYTES} bytes as JSON.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        value: dict[str, Any] = super().to_internal_value(data)
        try:
            text = encode_json(value)
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
            self.fail("unstorable")
        if b"\\u0000" in text:
            self.fail("unstorable")
        if len(text) > MAX_METADATA_BYTES:
            self.fail("too_large")
        return value


class ContentType(Text):
    """``type/subtype``, or ``folder``."""

    default_error_messages = {"shape": "Not a content type."}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data).strip()
        if text != FOLDER_TYPE and not CONTENT_TYPE.fullmatch(text):
            self.fail("shape")
        return text


class AssetRequest(serializers.Serializer[Any]):
    """A new asset. What the server decides (id, owner, size, times) is not read."""

    name = Text(max_length=MAX_NAME * 4)
    content_type = ContentType(max_length=MAX_CONTENT_TYPE)
    parent_id = Text(allow_null=True, allow_blank=True, max_length=MAX_LABEL)
    workflow_id = Text(allow_null=True, max_length=MAX_LABEL)
    node_id = Text(allow_null=True, max_length=255)
    job_id = Text(allow_null=True, max_length=MAX_LABEL)
    metadata = Metadata(allow_null=True, required=False)
    duration = Number(allow_null=True, required=False)


class NamedAssetRequest(AssetRequest):
    """A new asset without a file that would tell its name and type."""

    name = Text(max_length=MAX_NAME * 4, required=True)
    content_type = ContentType(max_length=MAX_CONTENT_TYPE, required=True)


class AssetChanges(serializers.Serializer[Any]):
    """What may be changed of an asset."""

    name = Text(max_length=MAX_NAME * 4, allow_null=True)
    parent_id = Text(allow_null=True, allow_blank=True, max_length=MAX_LABEL)
    content_type = ContentType(max_length=MAX_CONTENT_TYPE, allow_null=True)
    data = Text(  # type: ignore[assignment] # the contract's name, also the base's
        allow_null=True, allow_blank=True
    )
    data_encoding = serializers.ChoiceField(
        choices=["base64", "utf-8"], allow_null=True, required=False
    )
    metadata = Metadata(allow_null=True, required=False)
    duration = Number(allow_null=True, required=False)

    def content(self) -> bytes | None:
        """Return the new bytes, None if there are none.

        Raises:
            BadRequest: they are not what ``data_encoding`` says.
        """
        text = self.validated_data.get("data")
        if text is None:
            return None
        if self.validated_data.get("data_encoding") != "base64":
            encoded: bytes = text.encode()
            return encoded
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise BadRequest("data is not valid base64") from error

    def changes(self) -> dict[str, Any]:
        """Return the columns to change; null leaves name and type as they are."""
        changed = dict(self.validated_data)
        for name in ("data", "data_encoding"):
            changed.pop(name, None)
        for name in ("name", "content_type"):
            if changed.get(name, "") is None:
                del changed[name]
        return changed


class ArchiveRequest(serializers.Serializer[Any]):
    """Which assets an archive is to hold."""

    asset_ids = serializers.ListField(
        child=Text(max_length=MAX_LABEL), allow_empty=False, max_length=1000
    )


def checked(kind: type[serializers.Serializer[Any]], data: Any) -> Any:
    """Return a serializer with valid data.

    Raises:
        ValidationError: a field has the wrong type.
    """
    serializer = kind(data=data)
    serializer.is_valid(raise_exception=True)
    return serializer


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object of a text; empty text and null are an empty one.

    Raises:
        BadRequest: it is none.
    """
    body = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    value = decode_json(body) if body.strip() else None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest("The description of an asset must be a JSON object")
    return value
