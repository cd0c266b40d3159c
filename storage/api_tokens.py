"""API tokens: issue (shown once), look up by hash, revoke. Everything here blocks."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from nodetool_site.lib.auth_providers import TOKEN_PROVIDERS
from nodetool_site.lib.errors import BadRequest, Conflict, Forbidden, NotFound
from nodetool_site.lib.scopes import SCOPES, refusal
from storage.identity import (
    Credential,
    Identity,
    auth_provider,
    knows_api_tokens,
)
from storage.models import ApiToken

TOKEN_PREFIX = "nt_"  # noqa: S105 - marks our tokens for secret scanners
TOKEN_BYTES = 32
SHOWN_CHARACTERS = 10
CACHE_TTL_S = 15.0
MAX_TOKENS = 200
MAX_NAME = 100
MAX_DAYS = 3_650
NO_SCOPE = frozenset({"none"})
USE_STAMP_INTERVAL = timedelta(minutes=1)


class _Entry(NamedTuple):
    owner: Identity
    valid_until: float


class VerifiedTokens:
    """Hashes of tokens that were found valid moments ago, a bounded number.

    ``clear`` starts a new generation: a look-up that began before it may not store
    what it read, so a revoked token cannot come back from a race.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._lock = Lock()
        self.generation = 0

    def get(self, sha256: str) -> Identity | None:
        """Return the owner while the entry is fresh."""
        entry = self._entries.get(sha256)
        if entry is None or entry.valid_until <= time.monotonic():
            return None
        return entry.owner

    def put(
        self, sha256: str, owner: Identity, *, ttl_s: float, generation: int
    ) -> None:
        """Keep the owner for ``ttl_s`` seconds, unless a token changed meanwhile."""
        with self._lock:
            room: int = settings.AUTH_CACHE_MAX
            if generation != self.generation or not room:
                return
            self._entries.pop(sha256, None)
            while len(self._entries) >= room:
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
    owner_id: str,
    *,
    name: str,
    expires_at: datetime | None = None,
    scopes: Iterable[str] = (),
) -> tuple[ApiToken, str]:
    """Make a token for a user. The text is returned here and nowhere else.

    Raises:
        Conflict: the user has as many tokens as one may have.
    """
    if ApiToken.objects.filter(owner_id=owner_id).count() >= MAX_TOKENS:
        raise Conflict(f"A user has {MAX_TOKENS} tokens at most: revoke one first")
    row = ApiToken(
        owner_id=owner_id, name=name, expires_at=expires_at, scopes=in_order(scopes)
    )
    text = generate_token(row)
    row.save()
    return row, text


def grant_token(
    caller: Identity, *, name: str, scopes: Iterable[str], expires_at: datetime | None
) -> tuple[ApiToken, str]:
    """Make a token for who calls, with no more than the one they call by.

    Raises:
        Conflict: users' tokens do not count here, or there are too many.
        Forbidden: it would open more, or for longer, than the caller's own.
    """
    if not knows_api_tokens():
        raise Conflict(
            f"API tokens open nothing under AUTH_PROVIDER={auth_provider()}; "
            f"they do under {' and '.join(TOKEN_PROVIDERS)}"
        )
    wanted = set(scopes)
    if caller.scopes and not wanted:
        raise Forbidden("A token with scopes cannot issue one without: name them.")
    for scope in in_order(wanted - caller.scopes if caller.scopes else ()):
        raise Forbidden(f"{refusal(scope)[:-1]}, so it cannot give it.")
    credential = caller.credential
    # A sign-in of an hour may leave a longer token behind; a token may not.
    is_token = credential is not None and not credential.jwt
    end = credential.expires_at if credential is not None and is_token else None
    if end is not None:
        latest = datetime.fromtimestamp(end, UTC)
        if expires_at is not None and expires_at > latest:
            raise Forbidden("A token cannot issue one that outlives it.")
        expires_at = expires_at or latest
    return issue_token(caller.pk, name=name, scopes=wanted, expires_at=expires_at)


def in_order(scopes: Iterable[str]) -> list[str]:
    """Return the scopes as they are stored: each once, in the order of ``SCOPES``."""
    wanted = set(scopes)
    return [scope for scope in SCOPES if scope in wanted]


def generate_token(row: ApiToken) -> str:
    """Give a row that is not saved yet its token, and return the text."""
    text = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    row.sha256 = hash_token(text.encode())
    row.prefix = text[:SHOWN_CHARACTERS]
    return text


def look_up(token: bytes) -> Identity | None:
    """Return whom ``token`` stands for, or None. Uses the database.

    One look-up in a unique index, however many tokens there are; what an observer
    could learn from its time is about a SHA-256, not about a token.
    """
    sha256 = hash_token(token)
    generation = verified_tokens.generation
    row = (
        ApiToken.objects.usable()
        .filter(sha256=sha256)
        .values_list(
            *("id", "owner_id", "owner__is_staff"),
            *("scopes", "expires_at", "last_used_at"),
        )
        .first()
    )
    if row is None:
        return None
    pk, owner_id, is_staff, scopes, expires_at, last_used_at = row
    now = timezone.now()
    if last_used_at is None or last_used_at <= now - USE_STAMP_INTERVAL:
        ApiToken.objects.filter(pk=pk).update(last_used_at=now)
    end = None if expires_at is None else expires_at.timestamp()
    owner = Identity(owner_id, is_staff, _scopes(scopes), Credential(sha256, end))
    ttl_s = min(CACHE_TTL_S, settings.AUTH_CACHE_TTL)
    if end is not None:
        ttl_s = min(ttl_s, end - now.timestamp())
    verified_tokens.put(sha256, owner, ttl_s=ttl_s, generation=generation)
    return owner


def _scopes(stored: Any) -> frozenset[str]:
    """Return the scopes of a row; what is no list of ours opens nothing at all."""
    return frozenset(map(str, stored)) if isinstance(stored, list) else NO_SCOPE


def revoke_token(owner_id: str, token_id: int) -> bool:
    """Delete one token of a user. Tells whether there was one."""
    deleted, _ = ApiToken.objects.filter(owner_id=owner_id, pk=token_id).delete()
    return bool(deleted)


def find_by_prefix(text: str, owner_id: str | None = None) -> ApiToken:
    """Return the one token that begins like this, among all or those of a user.

    A whole token is found too: who holds it need not know how much of it is kept.

    Raises:
        NotFound: none does.
        BadRequest: the beginning is too short, or several tokens have it.
    """
    if len(text) <= len(TOKEN_PREFIX):
        raise BadRequest(f"'{text}' is too short to name a token")
    tokens = ApiToken.objects.all()
    if owner_id is not None:
        tokens = tokens.filter(owner_id=owner_id)
    whole = tokens.filter(sha256=hash_token(text.encode(errors="replace"))).first()
    if whole is not None:
        return whole
    # SQLite compares beginnings without regard to case.
    alike = tokens.filter(prefix__startswith=text)[:50]
    found = [token for token in alike if token.prefix.startswith(text)]
    if not found:
        raise NotFound(f"No token begins with '{text[:SHOWN_CHARACTERS]}'")
    if len(found) > 1:
        raise BadRequest(f"Several tokens begin with '{text}': give more of it")
    return found[0]


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
