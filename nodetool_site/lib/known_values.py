"""Finds secret values in any text, whole or in part, also encoded.

A value is known by the hashes of its windows of twelve bytes: as it is, reversed, in
capitals, URL-encoded, JSON-escaped, in hex, and in base64 at each of its three
alignments. A text is first looked through in aligned steps of four bytes, which nearly
always says that there is nothing; only where a step could belong to a value are the
windows compared.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus

WINDOW = 12
STEP = 4
# Shorter ones cannot be told from ordinary text.
MIN_LENGTH = 8
MAX_WINDOWS = 100_000
MASK = b"***"
Span = tuple[int, int]


class _Traces(NamedTuple):
    """What is kept of one value: its steps, and the hashes of its windows by length."""

    steps: frozenset[int]
    windows: dict[int, frozenset[int]]


class KnownValues:
    """A set of secret values. Every method is thread-safe.

    Bounded: of more values than have ``MAX_WINDOWS`` windows, the oldest are forgotten.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[int, _Traces] = OrderedDict()
        self._steps: frozenset[int] = frozenset()
        self._windows: dict[int, frozenset[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._steps)

    def learn(self, value: str) -> None:
        """Know a value from now on, unless it is shorter than eight characters."""
        plain = value.encode(errors="replace")
        if len(plain) < MIN_LENGTH:
            return
        name = hash(plain)
        with self._lock:
            if name in self._values:
                self._values.move_to_end(name)
                return
            self._values[name] = _traces_of(plain)
            while len(self._values) > 1 and self._size() > MAX_WINDOWS:
                self._values.popitem(last=False)
            self._join()

    def is_in(self, data: bytes) -> bool:
        """Tell whether a text holds a value or a part of one."""
        return next(self._spans(data), None) is not None

    def mask(self, text: str) -> str:
        """Return the text with every value, and every part of one, masked."""
        if not self._steps:
            return text
        data = text.encode(errors="surrogatepass")
        masked = self.mask_bytes(data)
        return text if masked is data else masked.decode(errors="replace")

    def mask_bytes(self, data: bytes, *, shown: int = 0) -> bytes:
        """``mask`` for bytes; the same object if there is nothing to mask.

        ``shown``: so many bytes in front were told before; what follows is returned.
        """
        pieces, end = [], shown
        for start, stop in _joined(self._spans(data)):
            if stop > shown:
                pieces += [data[end : max(start, end)], MASK]
                end = stop
        if pieces:
            return b"".join([*pieces, data[end:]])
        return data[shown:] if shown else data

    def _spans(self, data: bytes) -> Iterator[Span]:
        """Yield the places of known windows, in order; they may overlap."""
        steps, windows = self._steps, self._windows
        aligned = memoryview(data)[: len(data) // STEP * STEP].cast("I")
        if steps.isdisjoint(aligned):
            return
        seen = -1
        for index, step in enumerate(aligned):
            if step not in steps:
                continue
            place = index * STEP
            for start in range(max(seen + 1, place + STEP - WINDOW), place + 1):
                for length, hashes in windows.items():
                    stop = start + length
                    if stop <= len(data) and hash(data[start:stop]) in hashes:
                        yield start, stop
            seen = place

    def _size(self) -> int:
        return sum(
            len(hashes)
            for traces in self._values.values()
            for hashes in traces.windows.values()
        )

    def _join(self) -> None:
        lengths = {length for each in self._values.values() for length in each.windows}
        windows = {
            length: frozenset().union(
                *(each.windows.get(length, ()) for each in self._values.values())
            )
            for length in lengths
        }
        self._windows = windows
        self._steps = frozenset().union(*(each.steps for each in self._values.values()))


def _joined(spans: Iterator[Span]) -> Iterator[Span]:
    """Yield spans that overlap or touch as one."""
    current: Span | None = None
    for start, stop in spans:
        if current is None:
            current = start, stop
        elif start <= current[1]:
            current = current[0], max(current[1], stop)
        else:
            yield current
            current = start, stop
    if current is not None:
        yield current


def _traces_of(plain: bytes) -> _Traces:
    steps, windows = set[int](), dict[int, set[int]]()
    for form in _forms(plain):
        length = min(WINDOW, len(form))
        found = windows.setdefault(length, set())
        for start in range(len(form) - length + 1):
            found.add(hash(form[start : start + length]))
        for start in range(len(form) - STEP + 1):
            steps.add(int.from_bytes(form[start : start + STEP], sys.byteorder))
    frozen = {length: frozenset(found) for length, found in windows.items()}
    return _Traces(frozenset(steps), frozen)


def _forms(plain: bytes) -> set[bytes]:
    """Return how a value may be written."""
    text = plain.decode()
    return {
        plain,
        text.upper().encode(),
        text.lower().encode(),
        plain[::-1],
        text[::-1].encode(),
        quote(text, safe="").encode(),
        quote_plus(text).encode(),
        json.dumps(text)[1:-1].encode(),
        json.dumps(text, ensure_ascii=False)[1:-1].encode(),
        plain.hex().encode(),
        plain.hex().upper().encode(),
        *_base64_forms(plain),
    }


def _base64_forms(plain: bytes) -> Iterator[bytes]:
    """Yield the characters of base64 that the value alone decides, by its place."""
    for before, unsure in ((0, 0), (1, 2), (2, 3)):
        padded = b"\0" * before + plain
        sure = len(padded) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(padded)[unsure:sure]
