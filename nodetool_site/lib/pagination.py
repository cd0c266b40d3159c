"""Cursors: opaque to clients, stable when rows are added in front."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import NamedTuple, TypeVar

import msgspec

from nodetool_site.lib.errors import BadRequest, ValidationFailed, problem
from nodetool_site.lib.rendering import format_time

DEFAULT_LIMIT = 100
MAX_LIMIT = 500
MAX_CURSOR_LENGTH = 2_048  # a name of 255 characters, of four bytes each, fits
MAX_PAGE_BYTES = 16 * 1024 * 1024

T = TypeVar("T")


class TimePosition(NamedTuple):
    """Where a page ends in a list by time, then by id: its last row. Aware."""

    moment: datetime
    row_id: str


def read_text(query: Mapping[str, str], name: str) -> str | None:
    """Return a text to compare with stored ones, None if it is absent or empty.

    Raises:
        BadRequest: no stored text can be equal to it.
    """
    text = query.get(name, "")
    if "\x00" in text:  # no stored text holds one, and PostgreSQL refuses to look
        raise BadRequest(f"Invalid {name}")
    return text or None


def page_limit(
    query: Mapping[str, str],
    *,
    name: str = "limit",
    default: int = DEFAULT_LIMIT,
    most: int = MAX_LIMIT,
) -> int:
    """Return the asked page size, brought into 1..``most``.

    Raises:
        ValidationFailed: it is not a whole number.
    """
    text = query.get(name, "")
    if not text:
        return default
    try:
        limit = int(text)
    except ValueError:
        raise ValidationFailed(
            [problem("int_parsing", ("query", name), "Not a whole number", text)]
        ) from None
    return max(1, min(limit, most))


def fitting(sizes: Iterable[tuple[int, int]], limit: int) -> list[int]:
    """Return the numbers of as many rows as one page holds, the first in any case.

    ``sizes``: number and size of each row, in the order of the page. A page has at most
    ``limit`` rows and, unless its first is larger, 16 MiB.
    """
    numbers: list[int] = []
    total = 0
    for number, size in islice(sizes, limit):
        total += size
        if numbers and total > MAX_PAGE_BYTES:
            break
        numbers.append(number)
    return numbers


def encode_cursor(*position: str | int) -> str:
    """Return the cursor that names a row by its place in the order."""
    text = msgspec.json.encode(position)
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decode_cursor(text: str | None, kind: type[T]) -> T | None:
    """Return the position that a cursor holds, None for the first page.

    ``kind`` is a tuple type such as ``tuple[str, int]``.

    Raises:
        BadRequest: this server has not made the cursor.
    """
    if not text:
        return None
    try:
        if len(text) > MAX_CURSOR_LENGTH or not text.isascii():
            raise BadRequest("Unreadable cursor")
        padded = text + "=" * (-len(text) % 4)
        body = base64.b64decode(padded, altchars=b"-_", validate=True)
        if b"\\u0000" in body:  # no database takes it
            raise BadRequest("Unreadable cursor")
        return msgspec.json.decode(body, type=kind)
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRequest("Unreadable cursor") from error


def encode_position(position: TimePosition | None) -> str | None:
    """Return the cursor of the next page; None where nothing is left."""
    if position is None:
        return None
    return encode_cursor(format_time(position.moment), position.row_id)


def decode_position(text: str | None) -> TimePosition | None:
    """Return the position of a cursor of ``encode_position``, None for the first page.

    Raises:
        BadRequest: this server has not made the cursor.
    """
    found = decode_cursor(text, tuple[str, str])
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found[0])
        format_time(moment)  # in the range that can be compared with stored ones
    except (ValueError, OverflowError) as error:
        raise BadRequest("Unreadable cursor") from error
    if moment.tzinfo is None:
        raise BadRequest("Unreadable cursor")
    return TimePosition(moment, found[1])
