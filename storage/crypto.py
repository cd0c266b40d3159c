"""Encryption with a ring of master keys: bytes in, bytes out, no ORM.

The first key of the ring encrypts, all decrypt. What is encrypted is bound to a place
(an owner and a name): each place has a key of its own, derived from the master key, so
a ciphertext that is moved elsewhere does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

KEY_BYTES = 32
HOW_TO_MAKE_ONE = (
    'python -c "from cryptography.fernet import Fernet; '
    'print(Fernet.generate_key().decode())"'
)
# 32 random bytes have some 30 different values; a key that was typed has few.
_FEWEST_VALUES = 12
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_PURPOSE = b"nodetool secret v1"


class InvalidKey(ValueError):
    """A text is no master key; the message never holds it."""


class UnknownKey(Exception):
    """No key of the ring has this id."""


class Unopenable(Exception):
    """The ciphertext is damaged, or belongs to another place."""


class Sealed(NamedTuple):
    """A ciphertext and the id of the master key that made it."""

    key_id: str
    ciphertext: bytes


class KeyRing:
    """Master keys, the one that encrypts first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {key_id(key): key for key in keys}
        self.primary_id = key_id(keys[0])

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of all keys."""
        return frozenset(self._keys)

    def seal(self, plain: bytes, *place: str) -> Sealed:
        """Encrypt with the first key, for one place only."""
        token = _fernet(self._keys[self.primary_id], place).encrypt(plain)
        return Sealed(self.primary_id, token)

    def open(self, sealed: Sealed, *place: str) -> bytes:
        """Return what was sealed for this place.

        Raises:
            UnknownKey: the key that made it is not in the ring.
            Unopenable: it is damaged or was sealed for another place.
        """
        # Costs a start-up what a server that keeps no secret never needs.
        from cryptography.fernet import InvalidToken

        master = self._keys.get(sealed.key_id)
        if master is None:
            raise UnknownKey(sealed.key_id)
        try:
            plain: bytes = _fernet(master, place).decrypt(sealed.ciphertext)
        except InvalidToken as error:
            raise Unopenable from error
        return plain


def new_key() -> str:
    """Return a new master key as text: a Fernet key."""
    # As above.
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def parse_keys(text: str) -> list[bytes]:
    """Return the master keys of a comma-separated list.

    Raises:
        InvalidKey: there is none, or one of them is no Fernet key.
    """
    words = [word for word in (part.strip() for part in text.split(",")) if word]
    if not words:
        raise InvalidKey("there is no key")
    return [_parse_key(word, place) for place, word in enumerate(words, 1)]


def key_problem(text: str) -> str:
    """Return what is wrong with a list of master keys as it is written; "" if nothing.

    No list is fine: a key is then generated when it is needed.
    """
    try:
        if text:
            parse_keys(text)
    except InvalidKey as error:
        return str(error)
    return ""


def key_id(key: bytes) -> str:
    """Return the name of a master key, which tells nothing about it."""
    return hashlib.sha256(b"nodetool master key\0" + key).hexdigest()[:16]


def _parse_key(word: str, place: int) -> bytes:
    if not _KEY.fullmatch(word):
        raise InvalidKey(f"key {place} is not 32 bytes in URL-safe base64")
    try:
        key = base64.urlsafe_b64decode(word)
    except binascii.Error as error:
        raise InvalidKey(f"key {place} is not base64") from error
    if len(set(key)) < _FEWEST_VALUES:
        raise InvalidKey(f"key {place} is not random")
    return key


def _fernet(master: bytes, place: Sequence[str]) -> Any:
    # As above.
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    parts = [part.encode() for part in place]
    info = b"".join([_PURPOSE, *(len(p).to_bytes(4, "big") + p for p in parts)])
    derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(master)
    return Fernet(base64.urlsafe_b64encode(derived))
