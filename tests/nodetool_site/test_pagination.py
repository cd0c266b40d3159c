"""Cursors are opaque, stable and refused when they are not ours."""

import base64
from datetime import UTC, datetime

import pytest

from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.pagination import (
    TimePosition,
    decode_cursor,
    decode_position,
    encode_cursor,
    encode_position,
)

POSITION = tuple[str, int]


def test_cursor_holds_its_position():
    cursor = encode_cursor("2025-01-31T12:00:00.123456+00:00", 7)

    assert decode_cursor(cursor, POSITION) == ("2025-01-31T12:00:00.123456+00:00", 7)


def test_cursor_needs_no_escaping_in_a_url():
    cursor = encode_cursor("a?&=/ü", 1)

    assert cursor.isascii()
    assert all(letter.isalnum() or letter in "-_" for letter in cursor)


@pytest.mark.parametrize("text", [None, ""])
def test_no_cursor_is_the_first_page(text):
    assert decode_cursor(text, POSITION) is None


def _encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode()


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "%%%",
        "ü",
        "a",
        "=",
        _encoded(b"[1]"),
        _encoded(b'["a"]'),
        _encoded(b'["a", "b"]'),
        _encoded(b'["a", 1, 2]'),
        _encoded(b'{"a": 1}'),
        _encoded(b'["\\u0000", 1]'),
        _encoded(b'["\xff", 1]'),
        "A" * 10_000,
    ],
)
def test_unreadable_cursor_is_refused(text):
    with pytest.raises(BadRequest):
        decode_cursor(text, POSITION)


def test_position_keeps_its_microseconds():
    position = TimePosition(datetime(2025, 1, 31, 12, 0, 0, 123_456, UTC), "row")

    assert decode_position(encode_position(position)) == position
    assert encode_position(None) is None
    assert decode_position("") is None


@pytest.mark.parametrize(
    "moment", ["", "now", "2025-01-31T12:00:00", "0001-01-01T00:00:00+01:00"]
)
def test_position_at_no_certain_time_is_refused(moment):
    with pytest.raises(BadRequest):
        decode_position(encode_cursor(moment, "row"))
