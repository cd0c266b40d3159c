"""The ``Range`` header (RFC 9110, section 14), one range of bytes only."""

from __future__ import annotations

import re
from typing import NamedTuple

_RANGE = re.compile(r"bytes=([0-9]{0,4000})-([0-9]{0,4000})", re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range lies outside the file."""


class Span(NamedTuple):
    """Part of a file: ``length`` bytes from ``start`` on."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """Return the header of a 206."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def parse_range(header: str, size: int) -> Span | None:
    """Return the wanted part of a file of ``size`` bytes.

    None means that the header is to be ignored: malformed, another unit, or several
    ranges. An end beyond the file is clamped.

    Raises:
        Unsatisfiable: the range holds no byte of the file.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        return _checked(size - length, size, size)
    start = int(match[1])
    end = int(match[2]) if match[2] else size
    if match[2] and end < start:
        return None
    return _checked(start, end + 1, size)


def _checked(start: int, stop: int, size: int) -> Span:
    if start >= size:
        raise Unsatisfiable
    return Span(start, min(stop, size) - start)
