"""Which databases keep files in a store: each leaves a mark there.

Whoever clears away files that no row names must know that no other database has rows
which do. By default all databases of a machine share one folder.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from storage.stores import FileStore


@lru_cache(maxsize=8)
def mark(store: FileStore) -> None:
    """Leave the mark of this database, once in the life of a process.

    Raises:
        StorageFull, StorageUnavailable: it cannot be left.
    """
    store.mark(_own())


def foreign_marks(store: FileStore) -> list[str]:
    """Return the marks of other databases."""
    return sorted(store.marks() - {_own()})


@lru_cache(maxsize=1)
def _own() -> str:
    """Name this database by the moment of its first migration, and by where it is.

    So a copy has another name: it does not know the files that came after it was made.
    """
    moments = MigrationRecorder.Migration.objects.order_by("pk")
    first = moments.values_list("applied", flat=True)[0]
    where = [str(connection.settings_dict[part]) for part in ("HOST", "PORT", "NAME")]
    text = " ".join((*where, first.isoformat()))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
