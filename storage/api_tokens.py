"""API tokens: issue (shown once), look up by hash, revoke."""

from __future__ import annotations

import hashlib
import secrets
import time
from datetime import datetime, timedelta
from threading import Lock
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from storage.models import ApiToken

TOKEN_PREFIX = "nt_"  # noqa: S105 - marks our tokens for secret scanners
TOKEN_BYTES = 32
SHOWN_CHARACTERS = 10
CACHE_TTL_S = 15.0
CACHE_SIZE = 2000
USE_STAMP_INTERVAL = timedelta(minutes=1)


class TokenOwner(NamedTuple):
    """Whom a valid token stands for."""

    user_id: str
    is_staff: bool


class _Entry(NamedTuple):
    owner: TokenOwner
    valid_until: float


class VerifiedTokens:
    """Hashes of tokens that were found valid moments ago, at most ``size``.

    ``clear`` starts a new generation: a look-up that began before it may not store
    what it read, so a revoked token cannot come back from a race.
    """

    def __init__(self, size: int = CACHE_SIZE) -> None:
        self._entries: dict[str, _Entry] = {}
        self._size = size
        self._lock = Lock()
        self.generation = 0

    def get(self, sha256: str) -> TokenOwner | None:
        """Return the owner while the entry is fresh."""
        entry = self._entries.get(sha256)
        if entry is None or entry.valid_until <= time.monotonic():
            return None
        return entry.owner

    def put(
        self, sha256: str, owner: TokenOwner, *, ttl_s: float, generation: int
    ) -> None:
        """Keep the owner for ``ttl_s`` seconds, unless a token changed meanwhile."""
        with self._lock:
            if generation != self.generation:
                return
            self._entries.pop(sha256, None)
            while len(self._entries) >= self._size:
                del self._entries[next(iter(self._entries))]
            self._entries[sha256] = _Entry(owner, time.monotonic() + ttl_s)

    def clear(self) -> None:
        """Forget everything: a token or a user changed."""
        with self._lock:
            self.generation += 1
            self._entries.clear()


verified_tokens = VerifiedTokens()


def hash_token(token: bytes) -> str:
    """Return the SHA-256 of a token, as it is stored."""
    return hashlib.sha256(token).hexdigest()


def issue_token(
    owner_id: str, *, name: str, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token for a user. The text is returned here and nowhere else."""
    row = ApiToken(owner_id=owner_id, name=name, expires_at=expires_at)
    text = generate_token(row)
    row.save()
    return row, text


def generate_token(row: ApiToken) -> str:
    """Give a row that is not saved yet its token, and return the text."""
    text = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    row.sha256 = hash_token(text.encode())
    row.prefix = text[:SHOWN_CHARACTERS]
    return text


def look_up(token: bytes) -> TokenOwner | None:
    """Return whom ``token`` stands for, or None. Uses the database.

    One look-up in a unique index, however many tokens there are; what an observer
    could learn from its time is about a SHA-256, not about a token.
    """
    sha256 = hash_token(token)
    generation = verified_tokens.generation
    row = (
        ApiToken.objects.usable()
        .filter(sha256=sha256)
        .values_list("id", "owner_id", "owner__is_staff", "expires_at", "last_used_at")
        .first()
    )
    if row is None:
        return None
    pk, owner_id, is_staff, expires_at, last_used_at = row
    now = timezone.now()
    if last_used_at is None or last_used_at <= now - USE_STAMP_INTERVAL:
        ApiToken.objects.filter(pk=pk).update(last_used_at=now)
    owner = TokenOwner(owner_id, is_staff)
    ttl_s = CACHE_TTL_S
    if expires_at is not None:
        ttl_s = min(ttl_s, (expires_at - now).total_seconds())
    verified_tokens.put(sha256, owner, ttl_s=ttl_s, generation=generation)
    return owner


def revoke_tokens(owner_id: str) -> int:
    """Delete every token of a user. Returns how many there were."""
    deleted, _ = ApiToken.objects.filter(owner_id=owner_id).delete()
    return deleted


def forget_verified(**_signal: object) -> None:
    """Drop the cache once the current transaction is committed.

    Connected to saves and deletes of tokens and users, so that a revocation counts
    in this process at once; other processes follow within ``CACHE_TTL_S``.
    """
    transaction.on_commit(verified_tokens.clear)
