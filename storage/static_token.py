"""The one token of the ``static`` provider: configured, or generated and saved."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from nodetool_site.lib.environment import saved_secret

FILE_NAME = "server_auth_token"
MIN_LENGTH = 16


class StaticTokens(NamedTuple):
    """The accepted tokens, the newest first, and where they came from."""

    tokens: tuple[str, ...]
    source: str
    is_new: bool

    @property
    def is_weak(self) -> bool:
        """Whether one of them is too short to face a network."""
        return any(len(token) < MIN_LENGTH for token in self.tokens)


def static_tokens() -> StaticTokens:
    """Return the accepted tokens; generate and save one if there is none.

    ``SERVER_AUTH_TOKEN`` may list several, separated by commas: during a rotation
    the old and the new one both work.

    Raises:
        ImproperlyConfigured: the file of the saved token holds nothing.
    """
    return _load(settings.SERVER_AUTH_TOKEN, settings.DATA_FOLDER / FILE_NAME)


def is_static_token(candidate: bytes) -> bool:
    """Tell whether ``candidate`` is an accepted token, in constant time over bytes.

    Hashes are compared, so not even the length of a token shows.
    """
    presented = hashlib.sha256(candidate).digest()
    matches = [
        hmac.compare_digest(presented, digest)
        for digest in _digests(static_tokens().tokens)
    ]
    return any(matches)


@lru_cache(maxsize=8)
def _digests(tokens: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(token.encode()).digest() for token in tokens)


@lru_cache(maxsize=8)
def _load(configured: str, path: Path) -> StaticTokens:
    tokens = tuple(filter(None, (part.strip() for part in configured.split(","))))
    if tokens:
        return StaticTokens(tokens, "SERVER_AUTH_TOKEN", is_new=False)
    is_new = not path.exists()
    saved = saved_secret(path)
    if not saved:
        raise ImproperlyConfigured(f"{path} is empty: write a token into it.")
    return StaticTokens((saved,), str(path), is_new)
