"""How fast one socket may send frames."""

import asyncio

from django.conf import settings

BURST = 200


class FrameRate:
    """How many frames a socket may send: bursts, and so many each second after them."""

    __slots__ = ("_loop", "_per_s", "_room", "_seen_at")

    def __init__(self) -> None:
        is_desktop = settings.SERVER_MODE == "desktop"
        self._per_s: int = 0 if is_desktop else settings.WS_MAX_MESSAGES_PER_SECOND
        self._loop = asyncio.get_running_loop()
        self._room: float = max(BURST, self._per_s)
        self._seen_at = self._loop.time()

    def allows(self) -> bool:
        """Count a frame; tell whether there was room for it."""
        if not self._per_s:
            return True
        now = self._loop.time()
        gained = (now - self._seen_at) * self._per_s
        self._room = min(self._room + gained, max(BURST, self._per_s)) - 1
        self._seen_at = now
        return self._room >= 0
