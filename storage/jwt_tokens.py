"""Access tokens of Supabase: what they must say, and whose key signed them. No I/O.

The algorithm belongs to the key: a token is checked with the one algorithm of the key
it is checked with, and no address that a token names is ever asked.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import msgspec

HS256 = "HS256"
KEY_PAIRS = ("ES256", "RS256")
ALGORITHMS = (HS256, *KEY_PAIRS)
AUDIENCE = ROLE = "authenticated"
LEEWAY_S = 10.0
MAX_BYTES = 8_192
MAX_EMAIL = 254

_SHAPE = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class InvalidJwt(Exception):
    """The token proves nothing; the text says why, for logs of a test."""


@dataclass(frozen=True, slots=True)
class Header:
    """What names the key. Not trusted: it only chooses."""

    algorithm: str
    key_id: str | None


@dataclass(frozen=True, slots=True)
class Claims:
    """Whom a token stands for, and until when (Unix seconds, leeway included)."""

    user_id: str
    expires_at: float
    email: str


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None
    crit: Any = None
    b64: Any = None


class _Payload(msgspec.Struct):
    iss: str
    aud: str | list[str]
    exp: int | float
    iat: int | float
    sub: str
    role: str
    nbf: int | float | None = None
    email: Any = None


def read_header(token: bytes) -> Header:
    """Return the header of a token that has the shape of one.

    Raises:
        InvalidJwt: it has not, or its algorithm is none of ours.
    """
    if len(token) > MAX_BYTES or not _SHAPE.fullmatch(token):
        raise InvalidJwt("not a token in three parts")
    header = _decode(token.partition(b".")[0], _Header)
    if header.alg not in ALGORITHMS:
        raise InvalidJwt("no algorithm of ours")
    if header.crit is not None or header.b64 is not None:
        raise InvalidJwt("an extension that is not understood")
    return Header(header.alg, header.kid)


def verify(token: bytes, key: Any, *, algorithm: str, issuer: str) -> Claims:
    """Return what a token says, if ``key`` signed it by ``algorithm``.

    Raises:
        InvalidJwt: it did not, or the token says something else than it must.
    """
    # Here, because cryptography takes its time to import and few servers need it.
    from jwt import PyJWTError
    from jwt.api_jws import PyJWS

    try:
        PyJWS(algorithms=[algorithm]).decode(token, key, algorithms=[algorithm])
    except (PyJWTError, ValueError, TypeError) as error:
        raise InvalidJwt(str(error)) from error
    return read_claims(token, issuer=issuer)


def read_claims(token: bytes, *, issuer: str) -> Claims:
    """Return what a token says, whoever signed it.

    Raises:
        InvalidJwt: a claim is missing or wrong, or it is not its time.
    """
    payload = _decode(token.split(b".")[1], _Payload)
    if payload.iss != issuer:
        raise InvalidJwt("another issuer")
    if payload.aud not in (AUDIENCE, [AUDIENCE]):
        raise InvalidJwt("another audience")
    if payload.role != ROLE:
        raise InvalidJwt("another role")
    user_id = payload.sub.lower()
    if not _UUID.fullmatch(user_id):
        raise InvalidJwt("the subject is no UUID")
    now = time.time()
    if payload.exp + LEEWAY_S <= now:
        raise InvalidJwt("expired")
    if payload.iat > now + LEEWAY_S or (payload.nbf or 0) > now + LEEWAY_S:
        raise InvalidJwt("not valid yet")
    return Claims(user_id, _seconds(payload.exp) + LEEWAY_S, _address(payload.email))


def _decode(part: bytes, kind: type[Any]) -> Any:
    # As above.
    from jwt.utils import base64url_decode

    try:
        return msgspec.json.decode(base64url_decode(part), type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidJwt(str(error)) from error


def _seconds(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError as error:
        raise InvalidJwt("no time") from error


def _address(email: Any) -> str:
    is_usable = isinstance(email, str) and len(email) <= MAX_EMAIL
    return email if is_usable and email.isprintable() else ""
