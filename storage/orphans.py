"""Files in the store that no row names: what a crash, or a lost commit, leaves behind.

A file is written before its row and deleted after it, so a process that dies between
the two leaves one. The sweep looks through the store, a part at a time, and removes a
file only if

- it has been in the store for a day: whoever was about to write its row is done;
- no row of this database names it, as the file of an asset or as its thumbnail;
- no other database keeps files in the store, which this one cannot know.

What has a name that is none of ours is left alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from itertools import islice

from django.utils import timezone

from storage.files import FileRef, ref_of
from storage.models import Asset
from storage.services import delete_files
from storage.store_marks import foreign_marks
from storage.stores import FileStore, StoredFile, store

logger = logging.getLogger(__name__)

MIN_AGE = timedelta(days=1)
LOOKED_AT_ONCE = 50_000
BATCH = 500

_THUMBNAIL = re.compile(r"([A-Za-z0-9_-]{1,64})_[0-9a-f]{12}_thumb\.jpg", re.ASCII)


def remove_orphans() -> int:
    """Look through the next part of each store. Returns how many files were removed."""
    stores = {store(is_temp=is_temp) for is_temp in (False, True)}
    removed = sum([_round(each).go_on() for each in stores])
    if removed:
        logger.warning("%d files that no row names were removed", removed)
    return removed


class Round:
    """Goes through a store again and again, a part at each call."""

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self._after = ""
        self._is_told = False

    def go_on(self) -> int:
        """Remove the orphans of the next part. Returns how many."""
        if foreign := foreign_marks(self._store):
            self._tell_once(foreign)
            return 0
        part = islice(self._store.files(self._after), LOOKED_AT_ONCE)
        looked_at = removed = 0
        while batch := list(islice(part, BATCH)):
            orphans = _orphans_in(batch)
            delete_files(orphans)
            removed += len(orphans)
            looked_at += len(batch)
            self._after = batch[-1].name
        if looked_at < LOOKED_AT_ONCE:
            self._after = ""
        return removed

    def _tell_once(self, foreign: list[str]) -> None:
        if not self._is_told:
            self._is_told = True
            logger.warning(
                "another database has kept files in the same store, so those that no "
                "row names stay; if it is gone, remove its mark from .databases: %s",
                ", ".join(foreign),
            )


@lru_cache(maxsize=4)
def _round(store: FileStore) -> Round:
    return Round(store)


def _orphans_in(files: Iterable[StoredFile]) -> list[FileRef]:
    oldest = timezone.now() - MIN_AGE
    refs = [ref_of(file.name) for file in files if file.kept_at < oldest]
    settled = [ref for ref in refs if ref is not None]
    named = _named_of(settled)
    return [ref for ref in settled if ref not in named]


def _named_of(refs: list[FileRef]) -> set[FileRef]:
    """Return those of some files that a row names."""
    names = [ref.name for ref in refs]
    thumbnails = [match[1] for name in names if (match := _THUMBNAIL.fullmatch(name))]
    columns = ("id", "key", "file_name", "sha256", "expires_at")
    rows = Asset.objects.only(*columns)
    renamed = rows.exclude(file_name="").filter(file_name__in=names)
    named = set()
    for asset in (*rows.filter(key__in=names), *renamed):
        named.add(FileRef(asset.stored_as, asset.is_temp))
    for asset in rows.filter(pk__in=thumbnails):
        named.add(FileRef(asset.thumbnail_file, asset.is_temp))
    return named
