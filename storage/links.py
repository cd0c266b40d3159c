"""Links to stored files that work as they stand: signed whenever reads are not open.

A signature covers the owner whom the sender believed in. So a value that names a
stranger's file gets a link that opens nothing, without a look-up when it is made.
"""

from __future__ import annotations

import math
import time
from base64 import urlsafe_b64encode
from functools import lru_cache

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from storage.identity import is_enforced
from storage.keys import PUBLIC_PREFIX, PUBLIC_TEMP_PREFIX

SALT = "storage.links"
STEP_S = 3600
MIN_TTL_S = 3600


def reads_are_open() -> bool:
    """Tell whether whoever knows a key may read its file."""
    return settings.STORAGE_PUBLIC_READ or not is_enforced()


def public_path(key: str, owner_id: str, *, is_temp: bool = False) -> str:
    """Return the path, with its query, under which ``key`` can be read."""
    path = (PUBLIC_TEMP_PREFIX if is_temp else PUBLIC_PREFIX) + key
    if reads_are_open():
        return path
    expires_at = _expiry(time.time())
    return f"{path}?sig={sign(key, owner_id, expires_at)}&exp={expires_at}"


def public_url(
    key: str, owner_id: str, base_url: str = "", *, is_temp: bool = False
) -> str:
    """Return the whole address; ``base_url`` is the one the caller reached us by."""
    domain = (is_temp and settings.ASSET_TEMP_DOMAIN) or settings.ASSET_DOMAIN
    if domain and "://" not in domain:
        domain = f"https://{domain}"
    base = domain or base_url or settings.NODETOOL_API_URL
    return base.rstrip("/") + public_path(key, owner_id, is_temp=is_temp)


@lru_cache(maxsize=1024)
def sign(key: str, owner_id: str, expires_at: int) -> str:
    """Return the signature that opens ``key`` until ``expires_at`` (Unix seconds)."""
    text = f"{expires_at}:{key}:{owner_id}"
    digest = salted_hmac(SALT, text, algorithm="sha256").digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_signed(key: str, owner_id: str, signature: str, expires_at: str) -> bool:
    """Check a link's own signature."""
    if not (expires_at.isascii() and expires_at.isdigit() and len(expires_at) <= 12):
        return False
    if int(expires_at) < time.time():
        return False
    return constant_time_compare(signature, sign(key, owner_id, int(expires_at)))


def _expiry(now: float) -> int:
    """Return the end of a link made now: a whole hour, so that links can be cached."""
    ttl = max(settings.STORAGE_LINK_TTL, MIN_TTL_S)
    return math.ceil((now + ttl) / STEP_S) * STEP_S
