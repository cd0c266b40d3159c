"""Which master keys there are, and whether they open what is stored.

A wrong or missing key never counts as an empty store: whoever needs the keys gets an
error that names the cure, and nothing is written. A key is generated once, into a file
that only its owner reads, and only while no secret is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from nodetool_site.lib.environment import saved_secret
from storage.crypto import (
    HOW_TO_MAKE_ONE,
    InvalidKey,
    KeyRing,
    Sealed,
    Unopenable,
    new_key,
    parse_keys,
)
from storage.errors import MasterKeyError
from storage.models import MasterKeyCheck, Secret

FILE_NAME = "secrets_master_key"
VARIABLE = "SECRETS_MASTER_KEY"
CHECK_TEXT = b"nodetool master key check"
CHECK_PLACE = ("", "master key check")


class Source(NamedTuple):
    """Where the keys come from, and what is there."""

    name: str
    text: str


def check_master_key() -> None:
    """See that every key in use is there and right; for the start of a process.

    Two small reads, and no cryptography while no secret was ever stored.

    Raises:
        MasterKeyError: the process must not start like this.
    """
    checks, key_ids = list(MasterKeyCheck.objects.all()), _key_ids_in_use()
    if checks or key_ids:
        _verify(_ring_of(_source(may_make=not key_ids)), checks, key_ids)


def reading_ring() -> KeyRing:
    """Return the ring for opening what is stored.

    Raises:
        MasterKeyError: there is no key.
    """
    return _ring_of(_source())


def writing_ring() -> KeyRing:
    """Return the ring for writing. Call it inside the writing transaction.

    It opens everything that is stored, and its first key has left its check value. A
    key is generated if none is configured and no secret is stored.

    Raises:
        MasterKeyError: a key that a secret needs is missing, or one is not what it was.
    """
    checks, key_ids = list(MasterKeyCheck.objects.all()), _key_ids_in_use()
    ring = _ring_of(_source(may_make=not key_ids))
    _verify(ring, checks, key_ids)
    if ring.primary_id not in {check.key_id for check in checks}:
        sealed = ring.seal(CHECK_TEXT, *CHECK_PLACE)
        MasterKeyCheck.objects.get_or_create(
            key_id=sealed.key_id, defaults={"ciphertext": sealed.ciphertext}
        )
    return ring


def _key_ids_in_use() -> set[str]:
    return set(Secret.objects.order_by().values_list("key_id", flat=True).distinct())


def _source(*, may_make: bool = False) -> Source:
    if settings.SECRETS_MASTER_KEY:
        return Source(VARIABLE, settings.SECRETS_MASTER_KEY)
    path = _file()
    try:
        if may_make:
            saved_secret(path, new_key)
        return Source(str(path), path.read_text().replace("\n", ","))
    except FileNotFoundError:
        raise MasterKeyError(
            "The master key of the stored secrets is missing: set "
            f"{VARIABLE}, or put {path} back from a backup"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise MasterKeyError(f"{path} cannot be read: {error}") from error
    except ImproperlyConfigured as error:
        raise MasterKeyError(str(error)) from error


def _file() -> Path:
    folder: Path = settings.DATA_FOLDER
    return folder / FILE_NAME


def _ring_of(source: Source) -> KeyRing:
    return _parsed(source.name, source.text)


@lru_cache(maxsize=4)
def _parsed(name: str, text: str) -> KeyRing:
    try:
        return KeyRing(parse_keys(text))
    except InvalidKey as error:
        raise MasterKeyError(
            f"{name} holds no usable master key: {error}; `{HOW_TO_MAKE_ONE}` makes one"
        ) from error


def _verify(ring: KeyRing, checks: Iterable[MasterKeyCheck], key_ids: set[str]) -> None:
    missing = key_ids - ring.key_ids
    if missing:
        raise missing_keys(missing)
    for check in checks:
        if check.key_id not in ring.key_ids:
            continue  # no secret needs it; the next rotation removes it
        sealed = Sealed(check.key_id, bytes(check.ciphertext))
        try:
            is_right = ring.open(sealed, *CHECK_PLACE) == CHECK_TEXT
        except Unopenable:
            is_right = False
        if not is_right:
            raise MasterKeyError(
                f"The master key {check.key_id} does not open its check value: "
                "the database is damaged, or from another install"
            )


def missing_keys(key_ids: Iterable[str]) -> MasterKeyError:
    """Return the error that tells which keys the ring lacks, and the cure."""
    names = ", ".join(sorted(key_ids))
    text = f"Stored secrets need the master key {names}, which is not in {VARIABLE}"
    if not settings.SECRETS_MASTER_KEY:
        text = f"Stored secrets need the master key {names}, not the one in {_file()}"
    elif _file().exists():
        text += f" (see {_file()})"
    return MasterKeyError(
        f"{text}: add it behind the others, then `nodetool secrets rotate` makes it "
        "unnecessary"
    )
