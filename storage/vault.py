"""Secrets of users: the only code that encrypts and decrypts them.

A row opens only with a key of the ring, and only as this owner's secret of this name.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import NamedTuple

from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from nodetool_site.lib import redaction
from nodetool_site.lib.errors import Conflict, NotFound
from storage.crypto import KeyRing, Sealed, UnknownKey, Unopenable
from storage.errors import MasterKeyError, SecretNotFound, UnusableSecret
from storage.master_key import missing_keys, reading_ring, writing_ring
from storage.models import MasterKeyCheck, Secret, User

logger = logging.getLogger(__name__)

NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_]*"
MAX_NAME = 255
MAX_VALUE_BYTES = 64 * 1024
MAX_DESCRIPTION = 1_000
MAX_SECRETS = 1_000
USE_INTERVAL = timedelta(minutes=1)
PAGE = 100
MAX_PASSES = 20
# In front of each call of a provider, where the ORM's own way costs half a millisecond.
_SEALED = (
    'SELECT id, "key", owner_id, key_id, ciphertext, last_used_at FROM storage_secret'
    ' WHERE owner_id = %s AND "key" IN ({})'
)
_NAME = re.compile(NAME_PATTERN, re.ASCII)


class Rotation(NamedTuple):
    """What a rotation has done; ``damaged`` are secrets that do not open any more."""

    key_id: str
    changed: int
    retired: list[str]
    damaged: list[str]


def is_secret_name(name: str) -> bool:
    """Tell whether a secret can have this name."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


@transaction.atomic
def set_secret(
    owner_id: str, key: str, value: str, *, description: str | None = None
) -> Secret:
    """Store a secret, new or over an older one; no description leaves it as it was.

    Raises:
        UnusableSecret: the name, the value or the description cannot be stored.
        NotFound: there is no such user.
        Conflict: the user has as many secrets as one may have.
        MasterKeyError: the ring does not open what is stored already.
    """
    plain = check_secret(key, value, description)
    redaction.learn(value)
    if not User.objects.filter(pk=owner_id).exists():
        raise NotFound(f"User '{owner_id}' not found")
    sealed = writing_ring().seal(plain, owner_id, key)
    fields = {"key_id": sealed.key_id, "ciphertext": sealed.ciphertext}
    if description is not None:
        fields["description"] = description
    others = Secret.objects.filter(owner_id=owner_id).exclude(key=key)
    if others.count() >= MAX_SECRETS:
        raise Conflict(f"A user may have {MAX_SECRETS:,} secrets; delete one first")
    secret, _ = Secret.objects.update_or_create(
        owner_id=owner_id, key=key, defaults=fields
    )
    return secret


def reveal_secret(owner_id: str, key: str, *, is_use: bool = True) -> str | None:
    """Return the value of a secret, None if the user has none of that name.

    The log hides it from now on. ``is_use`` notes the time, once a minute at most.

    Raises:
        MasterKeyError: it is there and does not open. It never counts as absent.
    """
    row = Secret.objects.filter(owner_id=owner_id, key=key).first()
    if row is None:
        return None
    value = _open(reading_ring(), row).decode()
    redaction.learn(value)
    if is_use:
        _note_use(row)
    return value


def reveal_secrets(owner_id: str, keys: Collection[str]) -> dict[str, str]:
    """Return the values of those of these secrets that a user has, by name.

    As ``reveal_secret``, with one query for all of them.

    Raises:
        MasterKeyError: one is there and does not open.
    """
    if not keys:
        return {}
    places = ", ".join(["%s"] * len(keys))
    rows = list(Secret.objects.raw(_SEALED.format(places), [owner_id, *keys]))
    if not rows:
        return {}
    ring = reading_ring()
    found = {row.key: _open(ring, row).decode() for row in rows}
    for row in rows:
        redaction.learn(found[row.key])
        _note_use(row)
    return found


def delete_secret(owner_id: str, key: str) -> None:
    """Delete a secret; the master key is not needed.

    Raises:
        SecretNotFound: the user has none of that name.
    """
    deleted, _ = Secret.objects.filter(owner_id=owner_id, key=key).delete()
    if not deleted:
        raise SecretNotFound


def rotate() -> Rotation:
    """Encrypt every secret with the first key of the ring.

    Row by row, each with a conditional update: it may be cut off at any moment and be
    repeated, and a value that is stored meanwhile is never overwritten. A key that no
    secret needs any more is then retired: it may be removed from the ring.

    Raises:
        MasterKeyError: a key is missing, or another process goes on writing with an
            older one.
    """
    with transaction.atomic():
        ring = writing_ring()
    changed, damaged = 0, set[int]()
    for _ in range(MAX_PASSES):
        left = [pk for pk in _stale(ring) if pk not in damaged]
        if not left:
            return Rotation(ring.primary_id, changed, _retire(ring), _names(damaged))
        for pk in left:
            try:
                changed += _reseal(ring, pk)
            except Unopenable:
                damaged.add(pk)
    raise MasterKeyError(
        "Another process goes on storing secrets with an older key: restart it with "
        "the new key first in the ring, then rotate again"
    )


def _stale(ring: KeyRing) -> Iterator[int]:
    """Yield the rows that another key has written, a page at a time."""
    last = 0
    rows = Secret.objects.exclude(key_id=ring.primary_id).order_by("pk")
    while page := list(rows.filter(pk__gt=last).values_list("pk", flat=True)[:PAGE]):
        yield from page
        last = page[-1]


def _reseal(ring: KeyRing, pk: int) -> bool:
    """Encrypt one row anew, unless somebody else has changed it meanwhile.

    Raises:
        Unopenable: the row is damaged.
        MasterKeyError: its key is not in the ring.
    """
    row = Secret.objects.filter(pk=pk).exclude(key_id=ring.primary_id).first()
    if row is None:
        return False
    old = Sealed(row.key_id, bytes(row.ciphertext))
    try:
        new = ring.seal(ring.open(old, row.owner_id, row.key), row.owner_id, row.key)
    except UnknownKey as error:
        raise missing_keys([row.key_id]) from error
    unchanged = Secret.objects.filter(pk=pk, key_id=old.key_id, ciphertext=old[1])
    return bool(unchanged.update(key_id=new.key_id, ciphertext=new.ciphertext))


def _retire(ring: KeyRing) -> list[str]:
    """Remove the check values of the keys that nothing needs; return their ids."""
    needing = Secret.objects.filter(key_id=OuterRef("key_id"))
    unneeded = MasterKeyCheck.objects.exclude(key_id=ring.primary_id).filter(
        ~Exists(needing)
    )
    retired = sorted(unneeded.values_list("key_id", flat=True))
    unneeded.delete()
    return retired


def _open(ring: KeyRing, row: Secret) -> bytes:
    try:
        sealed = Sealed(row.key_id, bytes(row.ciphertext))
        return ring.open(sealed, row.owner_id, row.key)
    except UnknownKey as error:
        raise missing_keys([row.key_id]) from error
    except Unopenable as error:
        raise MasterKeyError(
            f"Secret '{row.key}' is damaged and does not open: store it again"
        ) from error


def _note_use(row: Secret) -> None:
    now = timezone.now()
    is_recent = row.last_used_at is not None and row.last_used_at > now - USE_INTERVAL
    if is_recent:
        return
    before = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_INTERVAL)
    try:
        Secret.objects.filter(before, pk=row.pk).update(last_used_at=now)
    except DatabaseError as error:  # a secret that can be read is not lost for a date
        logger.warning("the use of a secret could not be noted: %s", error)


def _names(pks: set[int]) -> list[str]:
    rows = Secret.objects.filter(pk__in=pks).order_by("owner_id", "key")
    return [f"{key} of user {owner}" for owner, key in rows.values_list("owner", "key")]


def check_secret(key: str, value: str, description: str | None) -> bytes:
    """Return the bytes of a value that can be stored.

    Raises:
        UnusableSecret: the name, the value or the description cannot.
    """
    if not is_secret_name(key):
        raise UnusableSecret(
            "The name of a secret has letters, digits and _ only, begins with no digit "
            f"and has at most {MAX_NAME} characters"
        )
    if not value:
        raise UnusableSecret(f"The value of secret '{key}' is empty")
    try:
        plain = value.encode()
    except UnicodeEncodeError as error:
        raise UnusableSecret(f"The value of secret '{key}' is no text") from error
    if len(plain) > MAX_VALUE_BYTES:
        raise UnusableSecret(
            f"The value of secret '{key}' is larger than {MAX_VALUE_BYTES:,} bytes"
        )
    about = description or ""
    if len(about) > MAX_DESCRIPTION or not about.isprintable():
        raise UnusableSecret(
            f"A description is one line of at most {MAX_DESCRIPTION:,} characters"
        )
    return plain
