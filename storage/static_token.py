"""The one token of the ``static`` provider: configured, or generated and saved."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

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
        ImproperlyConfigured: the saved token cannot be read or kept.
    """
    return _load(settings.SERVER_AUTH_TOKEN, settings.DATA_FOLDER / FILE_NAME)


def weak_source() -> str:
    """Return where a token comes from that is too short, "" if none is.

    Makes no token: a check leaves no traces.
    """
    is_there = settings.SERVER_AUTH_TOKEN or (settings.DATA_FOLDER / FILE_NAME).exists()
    found = static_tokens() if is_there else None
    return found.source if found is not None and found.is_weak else ""


def own_commands_token() -> str:
    """Return the token that this install's commands send: the newest that is set."""
    tokens = _configured(settings.SERVER_AUTH_TOKEN)
    return tokens[0] if tokens else ""


def is_static_token(candidate: bytes) -> bool:
    """Tell whether ``candidate`` is an accepted token, in constant time over bytes.

    Hashes are compared, so not even the length of a token shows.
    """
    return is_static_hash(hashlib.sha256(candidate).digest())


def is_static_hash(presented: bytes) -> bool:
    """``is_static_token`` for the SHA-256 of a token."""
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
    tokens = _configured(configured)
    if tokens:
        return StaticTokens(tokens, "SERVER_AUTH_TOKEN", is_new=False)
    is_new = not path.exists()
    return StaticTokens((saved_secret(path),), str(path), is_new)


def _configured(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))
