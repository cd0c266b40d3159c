"""Ending a text at the first of some strings, whatever pieces it comes in."""

from __future__ import annotations

from collections.abc import Sequence


class StopCutter:
    """Lets text through up to the stop string that is complete first, without it.

    What may be the beginning of one is held back until that is decided.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.is_cut = False

    def feed(self, text: str) -> str:
        """Return what may be said, now that ``text`` has come."""
        if self.is_cut:
            return ""
        text = self._held + text
        found = [
            (at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0
        ]
        if found:
            self.is_cut, self._held = True, ""
            return text[: min(found)[1]]
        kept = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def rest(self) -> str:
        """Return what was held back when the text ended without a stop string."""
        rest, self._held = self._held, ""
        return rest


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of ``text`` that ``stop`` begins with."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
