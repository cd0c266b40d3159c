"""Identifiers of stored objects."""

import secrets


def new_id() -> str:
    """Return 32 lower-case hex characters that nobody can guess (128 random bits)."""
    return secrets.token_hex(16)
