"""The one token of the ``static`` provider: configured, or generated and saved."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

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
    """
    return _load(settings.SERVER_AUTH_TOKEN, token_path())


def token_path() -> Path:
    """Return the file that keeps a generated token, readable by its owner only."""
    return Path(settings.DB_PATH).parent / FILE_NAME


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
    is_new = not _read(path)
    if is_new:
        _save(secrets.token_urlsafe(32), path)
    return StaticTokens((_read(path),), str(path), is_new)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _save(token: str, path: Path) -> None:
    """Write the file whole or not at all; the first of several processes wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(token + "\n")
    if path.exists() and not _read(path):
        path.unlink()
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
