"""What a model thinks before it says something."""

from __future__ import annotations

MAX_KEPT = 64 * 1024


class Thoughts:
    """Thoughts, put together from pieces; of long ones the beginning is kept."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0

    def add(self, piece: str) -> None:
        """Add the next piece."""
        room = MAX_KEPT - self._length
        if room > 0:
            self._pieces.append(piece[:room])
        self._length += len(piece)

    def take(self) -> str | None:
        """Return all since the last time, None if there is nothing."""
        kept, length = "".join(self._pieces), self._length
        self._pieces, self._length = [], 0
        if length > MAX_KEPT:
            return f"{kept}… ({length} characters)"
        return kept or None
