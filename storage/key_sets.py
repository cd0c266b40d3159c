"""The public keys of a project (JWKS): cached, and asked for rarely whatever comes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from nodetool_site.lib.errors import Unavailable
from storage.jwt_tokens import KEY_PAIRS

logger = logging.getLogger(__name__)

FRESH_S = 600.0
RETRY_S = 10.0
KEPT_S = 86_400.0
MAX_KEYS = 100
MIN_RSA_BITS = 2_048
_KINDS = {"EC": "ES256", "RSA": "RS256"}

Keys = dict[tuple[str, str], Any]


class Unreachable(Unavailable):
    """Who vouches for users does not answer, so nobody can be judged."""

    default_message = "Authentication service unavailable"


class KeySet:
    """The keys behind one address, by key id and algorithm.

    A copy counts for 10 minutes; an unknown key id or an old copy asks again, once in
    10 s at most. While the address does not answer, the last copy counts for a day.
    Used on one loop.
    """

    def __init__(self, fetch: Callable[[], Awaitable[bytes]]) -> None:
        self._fetch = fetch
        self._keys: Keys = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._has_failed = False
        self._refresh: asyncio.Task[None] | None = None

    async def find(self, key_id: str, algorithm: str) -> Any | None:
        """Return the public key, None if the project has no such key.

        Raises:
            Unreachable: the keys are not known, or too old to say.
        """
        wanted = (key_id, algorithm)
        if wanted in self._keys and self._age() < FRESH_S:
            return self._keys[wanted]
        await self._refresh_unless_tried()
        if wanted in self._keys and self._age() < KEPT_S:
            return self._keys[wanted]
        if self._has_failed:
            raise Unreachable
        return None

    def _age(self) -> float:
        return time.monotonic() - self._fetched_at

    async def _refresh_unless_tried(self) -> None:
        if self._refresh is None:
            if time.monotonic() - self._tried_at < RETRY_S:
                return
            self._tried_at = time.monotonic()
            self._refresh = asyncio.get_running_loop().create_task(self._load())
        # Shielded: it is everybody's, and one caller may hang up.
        await asyncio.shield(self._refresh)

    async def _load(self) -> None:
        try:
            body = await self._fetch()
            # In a thread: the first call imports cryptography.
            self._keys = await asyncio.to_thread(read_keys, body)
            self._fetched_at = time.monotonic()
            self._has_failed = False
        except (Unavailable, ValueError) as error:
            logger.warning("the public keys could not be read: %s", error)
            self._has_failed = True
        finally:
            self._refresh = None


def read_keys(body: bytes) -> Keys:
    """Return the usable keys of a JWKS document; what it may not sign is left out.

    Raises:
        ValueError: it is no such document.
    """
    try:
        document = msgspec.json.decode(body)
        listed = document["keys"]
        candidates = [key for key in listed if isinstance(key, dict)][:MAX_KEYS]
    except (msgspec.MsgspecError, RecursionError, KeyError, TypeError) as error:
        raise ValueError("no key set") from error
    keys: Keys = {}
    for candidate in candidates:
        algorithm = _algorithm(candidate)
        key = _public_key(candidate, algorithm) if algorithm else None
        if key is not None:
            keys[candidate["kid"], str(algorithm)] = key
    return keys


def _algorithm(key: dict[str, Any]) -> str | None:
    """Return the one algorithm that a key is for; None if it is none of ours."""
    algorithm = _KINDS.get(str(key.get("kty")))
    operations = key.get("key_ops", ["verify"])
    is_ours = (
        isinstance(key.get("kid"), str)
        and key["kid"]
        and "d" not in key
        and key.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and key.get("alg", algorithm) == algorithm
        and algorithm in KEY_PAIRS
    )
    return algorithm if is_ours else None


def _public_key(key: dict[str, Any], algorithm: str) -> Any | None:
    # Here, because cryptography takes its time to import and few servers need it.
    from jwt import PyJWK, PyJWTError

    try:
        made: Any = PyJWK(key, algorithm).key
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    if algorithm == "RS256":
        return made if made.key_size >= MIN_RSA_BITS else None
    return made if made.curve.name == "secp256r1" else None
