"""How much room a user's files take: ``User.stored_bytes``, and its limit.

The count changes in the transaction that writes or deletes the rows, by one
conditional update, so it can neither pass the limit nor drift. That update also
locks the user's row: whoever changes a user's folders takes ``lock_owner`` first.
"""

from __future__ import annotations

import threading

from django.conf import settings
from django.db import transaction
from django.db.models import BigIntegerField, F, Sum, Value
from django.db.models.functions import Coalesce

from nodetool_site.lib.errors import PayloadTooLarge
from storage.errors import QuotaExceeded
from storage.models import Asset, User


def take_room(owner_id: str, size: int) -> None:
    """Count ``size`` bytes more.

    Raises:
        QuotaExceeded: they do not fit.
    """
    if not size:
        return
    quota = settings.STORAGE_QUOTA_BYTES
    users = User.objects.filter(pk=owner_id)
    fitting = users.filter(stored_bytes__lte=quota - size) if quota else users
    if not fitting.update(stored_bytes=F("stored_bytes") + size):
        stored = users.values_list("stored_bytes", flat=True).first()
        if stored is not None:  # no such user: their asset will be refused
            raise QuotaExceeded(stored, size, quota)


def give_room(owner_id: str, size: int) -> None:
    """Count ``size`` bytes less."""
    if size:
        User.objects.filter(pk=owner_id).update(stored_bytes=F("stored_bytes") - size)


class Room:
    """How large a file that is coming may become; ``take_room`` decides in the end.

    What comes for the same owner at the same time counts too, in this process: else
    many uploads that fit alone could fill the disk before each of them is refused.
    """

    def __init__(self, owner_id: str, stored_bytes: int) -> None:
        self._owner_id = owner_id
        self._stored = stored_bytes
        self._size = 0

    def check(self, size: int) -> None:
        """Refuse what cannot fit, as early as its size is known.

        Raises:
            PayloadTooLarge: over what one upload may be.
            QuotaExceeded: over what the user may store.
        """
        limit, quota = settings.MAX_UPLOAD_BYTES, settings.STORAGE_QUOTA_BYTES
        if limit and size > limit:
            raise PayloadTooLarge(
                f"The file is larger than the {limit} bytes that one upload may have "
                "(MAX_UPLOAD_BYTES)"
            )
        if quota and size > self._size:
            self._grow(size, quota)

    def leave(self) -> None:
        """Count no more: the file is whole, or it will never be."""
        with _lock:
            left = _coming.pop(self._owner_id, 0) - self._size
            if left:
                _coming[self._owner_id] = left
        self._size = 0

    def _grow(self, size: int, quota: int) -> None:
        with _lock:
            others = _coming.get(self._owner_id, 0) - self._size
            if self._stored + others + size > quota:
                raise QuotaExceeded(self._stored + others, size, quota)
            _coming[self._owner_id] = others + size
        self._size = size


_lock = threading.Lock()
_coming: dict[str, int] = {}
"""The bytes of the uploads under way, by owner."""


def room_of(owner_id: str, *, without: int = 0) -> Room:
    """Return the room of a user; ``without`` bytes are about to be replaced."""
    users = User.objects.filter(pk=owner_id)
    stored = users.values_list("stored_bytes", flat=True).first() or 0
    return Room(owner_id, stored - without)


def lock_owner(owner_id: str) -> None:
    """Let nobody else change the owner's folders until the transaction ends."""
    User.objects.select_for_update(no_key=True).filter(pk=owner_id).first()


def recount_stored_bytes() -> int:
    """Set every count that is wrong right; returns how many were.

    Rows that somebody wrote past the services are the only way to a wrong one.
    """
    total = Coalesce(Sum("assets__size"), Value(0), output_field=BigIntegerField())
    wrong = User.objects.annotate(total=total).exclude(stored_bytes=F("total"))
    return sum(_recount(pk) for pk in wrong.values_list("pk", flat=True))


@transaction.atomic
def _recount(owner_id: str) -> bool:
    # With the row locked every commit is counted whole: asset and bytes.
    lock_owner(owner_id)
    rows = Asset.objects.filter(owner_id=owner_id)
    total = rows.aggregate(total=Sum("size"))["total"] or 0
    users = User.objects.filter(pk=owner_id).exclude(stored_bytes=total)
    return bool(users.update(stored_bytes=total))
