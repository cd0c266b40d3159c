"""What connections stay open by: they end with the credential that opened them.

A request is judged once; a socket or a stream lasts. So each holds a lease. The end
that a token names is kept by a timer; whether it was revoked is asked for all leases of
the process at once, every 5 s, and as soon as a token or a user changes here. What
that costs depends on the number of credentials, never on that of messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from itertools import islice

from django.db import DatabaseError, transaction

from nodetool_site.lib.db import db
from nodetool_site.lib.errors import Unavailable
from storage import supabase
from storage.identity import Credential, Identity
from storage.models import ApiToken, User

logger = logging.getLogger(__name__)

RECHECK_S = 5.0
GATHER_S = 0.1  # changes that come together are looked at together
ASK_AGAIN_S = 30.0  # with RECHECK_S and an answer: within a minute
BATCH = 500
ASKED_AT_ONCE = 10


class Lease:
    """One connection's right to stay open. ``is_over`` once it has ended."""

    __slots__ = ("credential", "is_over", "on_end", "timer", "user_id")

    def __init__(
        self, user_id: str, credential: Credential, on_end: Callable[[], None]
    ) -> None:
        self.user_id = user_id
        self.credential = credential
        self.on_end = on_end
        self.is_over = False
        self.timer: asyncio.TimerHandle | None = None


class Leases:
    """The leases of this process. Used on the serving loop, but for ``look_again``."""

    def __init__(self) -> None:
        self._open: dict[str, set[Lease]] = {}  # by the token's hash
        self._asked_at: dict[str, float] = {}
        self._watch: asyncio.Task[None] | None = None
        self._wake: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, identity: Identity, on_end: Callable[[], None]) -> Lease | None:
        """Watch over a connection; None where its credential holds for ever.

        ``on_end`` is called once when the credential ends or is revoked.
        """
        credential = identity.credential
        if credential is None:
            return None
        lease = Lease(identity.user_id, credential, on_end)
        loop = asyncio.get_running_loop()
        self._open.setdefault(credential.sha256, set()).add(lease)
        self._asked_at.setdefault(credential.sha256, loop.time())
        if credential.expires_at is not None:
            left = max(0.0, credential.expires_at - time.time())
            lease.timer = loop.call_later(left, self._end, lease)
        if self._watch is None or self._watch.done() or self._loop is not loop:
            self._loop, self._wake = loop, asyncio.Event()
            self._watch = loop.create_task(self._watch_over(self._wake))
        return lease

    def close(self, lease: Lease | None) -> None:
        """Forget a connection that has closed."""
        if lease is None:
            return
        lease.is_over = True
        if lease.timer is not None:
            lease.timer.cancel()
        sha256 = lease.credential.sha256
        group = self._open.get(sha256, set())
        group.discard(lease)
        if not group:
            self._open.pop(sha256, None)
            self._asked_at.pop(sha256, None)

    def look_again(self) -> None:
        """Ask at once whether all credentials still hold; any thread."""
        loop, wake = self._loop, self._wake
        if self._open and loop is not None and wake is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(wake.set)

    def _end(self, lease: Lease) -> None:
        if not lease.is_over:
            self.close(lease)
            lease.on_end()

    async def _watch_over(self, wake: asyncio.Event) -> None:
        while self._open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECHECK_S):
                    await wake.wait()
                    await asyncio.sleep(GATHER_S)
            wake.clear()
            try:
                await self._recheck()
            except DatabaseError as error:
                logger.warning("open connections could not be checked: %s", error)
            except Exception:  # whatever it is, the next look must come
                logger.exception("open connections could not be checked")

    async def _recheck(self) -> None:
        leases = [next(iter(group)) for group in self._open.values()]
        ours = [one for one in leases if not one.credential.jwt]
        theirs = [one for one in leases if one.credential.jwt]
        tokens = await _usable_tokens(one.credential.sha256 for one in ours)
        for one in ours:
            if one.credential.sha256 not in tokens:
                self._end_all(one.credential.sha256)
        users = await _active_users(one.user_id for one in theirs)
        now = time.time()
        for one in theirs:
            if one.user_id not in users or (one.credential.expires_at or now) < now:
                self._end_all(one.credential.sha256)
        await self._ask_again(theirs)

    async def _ask_again(self, leases: list[Lease]) -> None:
        """Ask those who vouch for the tokens they have not been asked about lately."""
        now = asyncio.get_running_loop().time()
        due = [
            one.credential
            for one in leases
            if self._asked_at.get(one.credential.sha256, now) <= now - ASK_AGAIN_S
        ]
        for start in range(0, len(due), ASKED_AT_ONCE):
            part = due[start : start + ASKED_AT_ONCE]
            held = await asyncio.gather(*(_still_holds(one.jwt) for one in part))
            for credential, holds in zip(part, held, strict=True):
                if not holds:
                    self._end_all(credential.sha256)
                elif credential.sha256 in self._asked_at:
                    self._asked_at[credential.sha256] = now

    def _end_all(self, sha256: str) -> None:
        for lease in list(self._open.get(sha256, ())):
            self._end(lease)


leases = Leases()


def look_again(**_signal: object) -> None:
    """Check the open connections once the current transaction is committed.

    Connected to saves and deletes of tokens and users.
    """
    transaction.on_commit(leases.look_again)


async def _still_holds(jwt: bytes) -> bool:
    try:
        return await supabase.current().recheck(jwt)
    except Unavailable:
        return True  # it is judged when they answer; its end is kept meanwhile


async def _usable_tokens(hashes: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for part in _batches(hashes):
        usable = ApiToken.objects.usable().filter(sha256__in=part)
        found.update(await db(list, usable.values_list("sha256", flat=True)))
    return found


async def _active_users(ids: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for part in _batches(set(ids)):
        active = User.objects.filter(pk__in=part, is_active=True)
        found.update(await db(list, active.values_list("pk", flat=True)))
    return found


def _batches(values: Iterable[str]) -> Iterable[list[str]]:
    rest = iter(values)
    while part := list(islice(rest, BATCH)):
        yield part
