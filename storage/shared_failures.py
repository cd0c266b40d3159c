"""Failures of an address at all web processes together, in scale-out.

A failure is rare, so each is counted in Redis, by a thread that nobody waits for.
Whether an address may try is asked in memory alone: what comes back is the count of
all processes, so one learns what the others know by the first failure that it sees
itself. While Redis is away each process counts for itself.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from queue import Full, Queue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

MAX_WAITING = 1_000
TIMEOUT_S = 0.5
PAUSE_S = 5.0
# The count, and in how many ms it ends.
COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}
"""


class SharedFailures:
    """Tells of failures, and hands on how many there were: network, number, seconds."""

    def __init__(
        self, window_s: float, on_count: Callable[[str, int, float], None]
    ) -> None:
        self._window_ms = int(window_s * 1_000)
        self._on_count = on_count
        self._waiting: Queue[str] = Queue(MAX_WAITING)
        self._thread: Thread | None = None
        self._lock = Lock()
        self._away_until = 0.0

    def tell(self, network: str) -> None:
        """Count one failure; any thread, at once. Of too many some are left out."""
        if not settings.CHANNEL_LAYER_URL or time.monotonic() < self._away_until:
            return
        try:
            self._waiting.put_nowait(network)
        except Full:
            return
        with self._lock:
            if self._thread is None:
                self._thread = Thread(
                    target=self._count_all, name="failed attempts", daemon=True
                )
                self._thread.start()

    def _count_all(self) -> None:
        client = _connect()
        while True:
            network = self._waiting.get()
            try:
                count, rest_ms = self._count(client, network)
            except Exception as error:  # noqa: BLE001 - whatever the client raises
                logger.warning("each web process counts failures alone: %r", error)
                self._away_until = time.monotonic() + PAUSE_S
                continue
            self._on_count(network, count, rest_ms / 1_000)

    def _count(self, client: Redis, network: str) -> tuple[int, int]:
        prefix = settings.CHANNEL_LAYERS["default"]["CONFIG"]["prefix"]
        digest = hashlib.sha256(network.encode("utf-8", "replace")).hexdigest()[:32]
        key = f"{prefix}.failures.{digest}"
        answer: Any = client.eval(COUNT, 1, key, self._window_ms)
        count, rest_ms = answer
        return int(count), int(rest_ms)


def _connect() -> Redis:
    # Only needed in scale-out, and slow to import.
    from redis import Redis

    return Redis.from_url(
        settings.CHANNEL_LAYER_URL,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
    )
