"""JSON for REST, by msgspec.

Imports no ``rest_framework.views``: REST framework loads these classes while that
module is being imported.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.utils.functional import Promise
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

JSON_TYPE = "application/json"
MAX_CONTAINERS = 100_000
MAX_VALUES = 500_000
COMMA = ord(",")
_STRING_OR_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{,]', re.DOTALL)
_ESCAPED_COLON = re.compile(rb"(?<!\\)(?:\\\\)*\\u003[aA]")


def format_time(moment: datetime) -> str:
    """Return an aware time as the API writes it: ISO 8601 in UTC with its offset."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def encode_json(value: Any) -> bytes:
    """Return ``value`` as compact JSON.

    Times must have passed ``format_time``: msgspec writes ``Z`` for UTC.
    """
    return _encoder.encode(value)


def etag_of(document: Mapping[str, Any]) -> str:
    """Return the MD5 of an object's JSON with sorted keys; it names a version only."""
    encoded = msgspec.json.encode(document, order="sorted")
    return hashlib.md5(encoded, usedforsecurity=False).hexdigest()


def decode_json(body: bytes) -> Any:
    """Return the value of a JSON text from outside.

    Raises:
        ParseError: it is none, it is nested too deeply or holds too much, or an object
            has one key twice: whoever checked it before may have read the other value.
    """
    _check_size(body)
    try:
        value = _decoder.decode(body)
        has_twice = _encoder.encode(value).count(b":") != _count_colons(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ParseError(f"Invalid JSON: {error}") from error
    except RecursionError as error:
        raise ParseError("Invalid JSON: nested too deeply") from error
    if has_twice:
        raise ParseError("Invalid JSON: an object has the same key twice")
    return value


def _check_size(body: bytes) -> None:
    """Refuse a text whose value would take many times its size in memory.

    Strings may hold anything, so they are left out; but only where the count with them
    is over a limit, or each request would pay for it.
    """
    if (
        body.count(b"[") + body.count(b"{") <= MAX_CONTAINERS
        and body.count(b",") <= MAX_VALUES
    ):
        return
    containers = values = 0
    for match in _STRING_OR_MARK.finditer(body):
        mark = body[match.start()]
        containers += mark in b"[{"
        values += mark == COMMA
        if containers > MAX_CONTAINERS or values > MAX_VALUES:
            raise ParseError(
                f"Invalid JSON: over {MAX_CONTAINERS} objects and lists,"
                f" or {MAX_VALUES} values"
            )


def _count_colons(body: bytes) -> int:
    """Count the colons; escaped ones, which the encoder writes plainly, count too."""
    count = body.count(b":")
    if b"\\u003" in body:
        count += len(_ESCAPED_COLON.findall(body))
    return count


def _plain(value: Any) -> Any:
    """Return what msgspec does not know in its own words: text and mapping kinds."""
    if isinstance(value, (str, Promise)):
        return "".join(str(value))
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_decoder = msgspec.json.Decoder()


class JSONRenderer(BaseRenderer):
    """Renders REST framework's responses."""

    media_type = JSON_TYPE
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body; no data, no body."""
        return b"" if data is None else encode_json(data)


class JSONParser(BaseParser):
    """Parses a JSON object; ``null`` and no body are an empty one."""

    media_type = JSON_TYPE

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the object of the body.

        Raises:
            ParseError: the body is no JSON, or no object.
        """
        body = _read(stream)
        value = decode_json(body) if body.strip() else None
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise ParseError("The body must be a JSON object.")
        return value


def _read(stream: Any) -> bytes:
    """Read a body; on the paths of uploads a larger one came this far.

    Raises:
        RequestDataTooBig: it is over the limit of what is kept in memory.
    """
    limit: int = settings.MAX_BODY_BYTES
    body: bytes = stream.read(limit + 1) if limit else stream.read()
    if limit and len(body) > limit:
        raise RequestDataTooBig
    return body


class IgnoreAcceptNegotiation(BaseContentNegotiation):
    """Answers JSON whatever ``Accept`` says: readers of a stream ask for another."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        """Return the parser of the body's content type; None leads to a 415."""
        content_type = (request.content_type or "").partition(";")[0].strip().lower()
        for parser in parsers:
            if parser.media_type == content_type:
                return parser  # type: ignore[no-any-return]
        return None

    def select_renderer(
        self, request: Any, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type
