"""The ``supabase`` provider: whom a project's access token stands for.

HS256 tokens are checked here if the project's secret is set, ES256 and RS256 tokens if
its public keys are to be used; any other is shown to the project itself. Claims are
checked in each case. Used on the serving loop.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from functools import lru_cache
from importlib import import_module
from typing import Any

import msgspec
from django.conf import settings
from django.db import IntegrityError, transaction

from nodetool_site.lib.db import db
from storage.api_tokens import hash_token, verified_tokens
from storage.http_session import HttpSession
from storage.identity import Credential, Identity
from storage.jwt_tokens import (
    HS256,
    Claims,
    Header,
    InvalidJwt,
    read_claims,
    read_header,
    verify,
)
from storage.key_sets import KeySet, Unreachable
from storage.models import User

logger = logging.getLogger(__name__)

REFUSED_TTL_S = 5.0
REFUSALS = frozenset({400, 401, 403, 404, 422})


class Supabase:
    """One project."""

    def __init__(self, url: str, key: str, secret: str, *, has_key_set: bool) -> None:
        self.issuer = f"{url}/auth/v1"
        self.http = HttpSession()
        self._api_key = key
        self._secret = secret.encode()
        self._keys = KeySet(self._fetch_keys) if has_key_set else None
        self._refused: dict[str, float] = {}  # hash: until
        self._running: dict[str, asyncio.Task[Identity | None]] = {}

    async def identify(self, token: bytes) -> Identity | None:
        """Return whom a token stands for, None if it opens nothing.

        What is found is kept in ``verified_tokens``. Equal tokens are checked once,
        however many requests wait for it.

        Raises:
            Unreachable: the project is needed and does not answer.
        """
        sha256 = hash_token(token)
        if self._refused.get(sha256, 0.0) > time.monotonic():
            return None
        running = self._running.get(sha256)
        if running is None:
            checking = self._identify(token, sha256)
            running = asyncio.get_running_loop().create_task(checking)
            self._running[sha256] = running
            running.add_done_callback(lambda _: self._running.pop(sha256, None))
        # Shielded: it is everybody's, and one caller may hang up.
        return await asyncio.shield(running)

    async def recheck(self, token: bytes) -> bool:
        """Tell whether a token still opens something, past what is remembered.

        Raises:
            Unreachable: as ``identify`` does.
        """
        return await self._identify(token, hash_token(token)) is not None

    async def _identify(self, token: bytes, sha256: str) -> Identity | None:
        try:
            claims = await self._check(token)
        except InvalidJwt:
            self._remember_refused(sha256)
            return None
        generation, is_active, is_staff = await db(_account, claims)
        if not is_active:
            self._remember_refused(sha256)
            return None
        credential = Credential(sha256, claims.expires_at, jwt=token)
        identity = Identity(claims.user_id, is_staff, credential=credential)
        left = claims.expires_at - time.time()
        ttl_s = min(left, settings.AUTH_CACHE_TTL)
        verified_tokens.put(sha256, identity, ttl_s=ttl_s, generation=generation)
        return identity

    async def _check(self, token: bytes) -> Claims:
        """Return what a token says, once somebody has vouched for it.

        Raises:
            InvalidJwt: nobody does.
            Unreachable: who might does not answer.
        """
        if "jwt" not in sys.modules:
            # In a thread: it imports cryptography, which would hold up the loop.
            await asyncio.to_thread(import_module, "jwt")
        header = read_header(token)
        if header.algorithm == HS256 and self._secret:
            return verify(token, self._secret, algorithm=HS256, issuer=self.issuer)
        if self._keys is not None:
            return await self._check_by_key_set(token, header, self._keys)
        claims = read_claims(token, issuer=self.issuer)
        await self._ask_project(token, claims)
        return claims

    async def _check_by_key_set(
        self, token: bytes, header: Header, keys: KeySet
    ) -> Claims:
        if header.algorithm == HS256:
            raise InvalidJwt("no secret for it")
        # Before the key is looked for: that may cost a request.
        read_claims(token, issuer=self.issuer)
        if not header.key_id:
            raise InvalidJwt("it names no key")
        key = await keys.find(header.key_id, header.algorithm)
        if key is None:
            raise InvalidJwt("unknown key")
        return verify(token, key, algorithm=header.algorithm, issuer=self.issuer)

    async def _ask_project(self, token: bytes, claims: Claims) -> None:
        status, body = await self.http.get(
            f"{self.issuer}/user",
            {"apikey": self._api_key, "Authorization": f"Bearer {token.decode()}"},
        )
        if status in REFUSALS:
            raise InvalidJwt(f"the project answered {status}")
        if status != 200:
            logger.warning("Supabase answered %d", status)
            raise Unreachable
        try:
            user: Any = msgspec.json.decode(body)
            user_id = str(user["id"]).lower()
        except (msgspec.MsgspecError, RecursionError, KeyError, TypeError):
            logger.warning("Supabase answered with no user")
            raise Unreachable from None
        if user_id != claims.user_id:
            raise InvalidJwt("another user")

    async def _fetch_keys(self) -> bytes:
        status, body = await self.http.get(f"{self.issuer}/.well-known/jwks.json")
        if status != 200:
            logger.warning("Supabase answered %d when asked for its keys", status)
            raise Unreachable
        return body

    def _remember_refused(self, sha256: str) -> None:
        self._refused.pop(sha256, None)
        while len(self._refused) >= max(1, settings.AUTH_CACHE_MAX):
            del self._refused[next(iter(self._refused))]
        self._refused[sha256] = time.monotonic() + REFUSED_TTL_S


def current() -> Supabase:
    """Return the project of the settings."""
    return _project(
        settings.SUPABASE_URL,
        settings.SUPABASE_KEY,
        settings.SUPABASE_JWT_SECRET,
        settings.SUPABASE_JWKS,
    )


async def close() -> None:
    """Close the connections to the project, if there was ever one."""
    if _project.cache_info().currsize:
        await current().http.close()


@lru_cache(maxsize=4)
def _project(url: str, key: str, secret: str, has_key_set: bool) -> Supabase:  # noqa: FBT001 - of a cache
    return Supabase(url, key, secret, has_key_set=has_key_set)


def _account(claims: Claims) -> tuple[int, bool, bool]:
    """Return the user of a subject: generation of the cache, active, staff.

    The row is made at first sight; of several requests that see it first, one makes it.
    """
    flags = User.objects.filter(pk=claims.user_id).values_list("is_active", "is_staff")
    generation = verified_tokens.generation
    found = flags.first()
    if found is None:
        _make_account(claims)
        generation = verified_tokens.generation
        found = flags.get()
    return generation, *found


def _make_account(claims: Claims) -> None:
    user = User(pk=claims.user_id, username=claims.user_id, email=claims.email)
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        if User.objects.filter(pk=claims.user_id).exists():
            return  # another request was first
        # Somebody has made an account of that name by hand.
        user.username = f"supabase-{claims.user_id}"
        with transaction.atomic():
            user.save(force_insert=True)
