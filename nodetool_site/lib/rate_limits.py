"""How often one caller may ask within a minute.

A window of a minute begins with a caller's first request and lets ``limit`` of them
pass, not one more, however many come at once. In scale-out the count is kept in Redis,
for all web processes together. A process takes a share of what is left from there, a
twentieth, and counts that down in memory: most requests cost no journey, and near the
end, where shares are one, callers that spread over processes lose nothing. While Redis
is away each process counts for itself.

Off where everybody is one user.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, Any

from django.conf import settings

from nodetool_site.lib import lifecycle
from nodetool_site.lib.auth_providers import TOKEN_PROVIDERS
from nodetool_site.lib.errors import TooManyRequests

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

WINDOW_S = 60.0
TABLE_SIZE = 10_000
REDIS_TIMEOUT_S = 0.5
REDIS_CONNECTIONS = 8
REDIS_PAUSE_S = 5.0
# What is left in the window, down to a share of it; and for how long, in ms.
TAKE_SHARE = """
local left = tonumber(ARGV[1]) - tonumber(redis.call('GET', KEYS[1]) or 0)
local share = math.min(left, math.max(tonumber(ARGV[2]), math.floor(left / 20)))
if share <= 0 then return {0, redis.call('PTTL', KEYS[1])} end
if redis.call('INCRBY', KEYS[1], share) == share then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {share, redis.call('PTTL', KEYS[1])}
"""


def users_differ() -> bool:
    """Tell whether callers are told apart, so that limits of one user make sense."""
    return settings.AUTH_PROVIDER in TOKEN_PROVIDERS


async def check_request(caller: str) -> None:
    """Count a request. ``caller`` is a user or, without one, an address.

    Raises:
        TooManyRequests: over ``RATE_LIMIT_PER_MINUTE``.
    """
    await _check(_requests, caller, settings.RATE_LIMIT_PER_MINUTE, "requests")


async def check_run(user_id: str) -> None:
    """Count a run, whatever surface asks for it.

    Raises:
        TooManyRequests: over ``RUN_LIMIT_PER_MINUTE``.
    """
    await _check(_runs, user_id, settings.RUN_LIMIT_PER_MINUTE, "runs")


@lifecycle.on_stop
async def close() -> None:
    """Forget what this process has counted, and hang up on Redis."""
    await _requests.close()
    await _runs.close()


async def _check(limiter: RateLimiter, caller: str, limit: int, what: str) -> None:
    if not limit or not users_differ():
        return
    wait_s = await limiter.take(caller, limit)
    if wait_s:
        raise TooManyRequests(
            f"Too many {what}: at most {limit} a minute. Try again in {wait_s} s.",
            retry_after_s=wait_s,
        )


class _Window:
    """What a caller may still take here. ``is_last``: there is no more elsewhere."""

    __slots__ = ("ends_at", "is_last", "left")

    def __init__(self, left: int, ends_at: float, *, is_last: bool) -> None:
        self.left = left
        self.ends_at = ends_at
        self.is_last = is_last


class RateLimiter:
    """Counts one kind of thing for each caller; the oldest windows leave first."""

    def __init__(self, name: str, *, size: int = TABLE_SIZE) -> None:
        self._name = name
        self._size = size
        self._windows: dict[str, _Window] = {}
        self._lock = Lock()
        self._shares: SharedCounts | None = None

    async def take(self, caller: str, limit: int) -> int:
        """Count one; return 0, or the seconds to wait if there is none left."""
        while (wait_s := self._take_here(caller, limit)) is None:
            await self._shared_counts().fetch(caller, limit)
        return wait_s

    async def close(self) -> None:
        """Forget everything."""
        shares, self._shares = self._shares, None
        with self._lock:
            self._windows.clear()
        if shares is not None:
            await shares.close()

    def _take_here(self, caller: str, limit: int) -> int | None:
        """``take`` from memory; None where Redis has to be asked first."""
        now = time.monotonic()
        with self._lock:
            window = self._windows.get(caller)
            if window is not None and now < window.ends_at:
                if window.left > 0:
                    window.left -= 1
                    return 0
                if window.is_last:
                    return math.ceil(window.ends_at - now)
            if _is_shared() and not self._shared_counts().is_away(now):
                return None
            self._open(caller, limit - 1, now + WINDOW_S, is_last=True)
            return 0

    def add(self, caller: str, share: int, ends_at: float, *, is_last: bool) -> None:
        """Let ``caller`` take ``share`` more until ``ends_at``."""
        with self._lock:
            window = self._windows.get(caller)
            left = window.left if window and window.ends_at > time.monotonic() else 0
            self._open(caller, left + share, ends_at, is_last=is_last)

    def _open(self, caller: str, left: int, ends_at: float, *, is_last: bool) -> None:
        self._windows.pop(caller, None)
        while len(self._windows) >= self._size:
            del self._windows[next(iter(self._windows))]
        self._windows[caller] = _Window(left, ends_at, is_last=is_last)

    def _shared_counts(self) -> SharedCounts:
        """Those of the running loop: connections belong to one."""
        loop = asyncio.get_running_loop()
        if self._shares is None or self._shares.loop is not loop:
            self._shares = SharedCounts(self._name, self, loop)
        return self._shares


class SharedCounts:
    """The counts in Redis, seen from one loop; one journey at a time for a caller."""

    def __init__(
        self, name: str, limiter: RateLimiter, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.loop = loop
        self._limiter = limiter
        config = settings.CHANNEL_LAYERS["default"]["CONFIG"]
        self._prefix = f"{config['prefix']}.limit.{name}."
        self._client: Redis | None = None
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self._waiting: Counter[str] = Counter()
        self._away_until = 0.0

    def is_away(self, now: float) -> bool:
        """Tell whether Redis has not answered a moment ago."""
        return now < self._away_until

    async def fetch(self, caller: str, limit: int) -> None:
        """Get a share for ``caller``, with everybody else who waits for one."""
        task = self._fetches.get(caller)
        if task is None:
            task = self.loop.create_task(self._fetch(caller, limit))
            self._fetches[caller] = task
        self._waiting[caller] += 1
        # One who hangs up does not end what the others wait for.
        await asyncio.shield(task)

    async def close(self) -> None:
        """Hang up."""
        client, self._client = self._client, None
        if client is not None and self.loop is asyncio.get_running_loop():
            await client.aclose()
            await client.connection_pool.disconnect()

    async def _fetch(self, caller: str, limit: int) -> None:
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                share, rest_ms = await self._ask(caller, limit)
        except Exception as error:  # noqa: BLE001 - whatever the client raises
            self._go_without(error)
            return
        finally:
            del self._fetches[caller]
            self._waiting.pop(caller, None)
        if self._away_until:
            logger.info("rate limits are shared by the web processes again")
            self._away_until = 0.0
        ends_at = asked_at + rest_ms / 1000
        self._limiter.add(caller, share, ends_at, is_last=not share)

    async def _ask(self, caller: str, limit: int) -> tuple[int, int]:
        if self._client is None:
            self._client = _connect()
        digest = hashlib.sha256(caller.encode("utf-8", "replace")).hexdigest()[:32]
        wanted = self._waiting[caller]
        answer: Any = self._client.eval(
            TAKE_SHARE, 1, self._prefix + digest, limit, wanted, int(WINDOW_S * 1000)
        )
        share, rest_ms = await answer
        return int(share), int(rest_ms)

    def _go_without(self, error: Exception) -> None:
        if not self._away_until:
            logger.warning("each web process counts rate limits alone: %r", error)
        self._away_until = time.monotonic() + REDIS_PAUSE_S


def _is_shared() -> bool:
    return bool(settings.CHANNEL_LAYER_URL)


def _connect() -> Redis:
    # Only needed in scale-out, and slow to import.
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    pool = BlockingConnectionPool.from_url(
        settings.CHANNEL_LAYER_URL,
        max_connections=REDIS_CONNECTIONS,
        timeout=REDIS_TIMEOUT_S,
        # Once more, for a connection that broke while it lay idle.
        retry=Retry(NoBackoff(), 1),
    )
    return Redis.from_pool(pool)


_requests = RateLimiter("requests")
_runs = RateLimiter("runs")
