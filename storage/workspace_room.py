"""How much room the files of a workspace take, and how much they may.

The folder is counted, at most every few seconds, and what this process writes is added
meanwhile. So several processes can pass the limit by what they write in that time.
Counting also removes drafts that killed processes left: no path leads to them.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from storage.errors import QuotaExceeded
from storage.workspace_paths import HIDDEN_PREFIX

MAX_ENTRIES = 20_000
RECOUNT_S = 5.0
STALE_DRAFT_AGE_S = 3600.0  # to write one takes seconds
_REMEMBERED = 1_000


class TooManyFiles(ValueError):
    """The workspace holds as many files and folders as it may."""


class Room:
    """The bytes and entries of one workspace, as this process knows them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._bytes = 0
        self._entries = 0
        self._counted_at = float("-inf")

    @contextlib.contextmanager
    def taken(self, size: int, *, entries: int) -> Iterator[None]:
        """Count ``size`` bytes and ``entries`` more, unless the block fails.

        Raises:
            QuotaExceeded: they do not fit.
            TooManyFiles: there are too many files and folders.
        """
        with self._lock:
            self._count()
            quota = settings.STORAGE_QUOTA_BYTES
            if quota and size > 0 and self._bytes + size > quota:
                raise QuotaExceeded(self._bytes, size, quota)
            if entries and self._entries + entries > MAX_ENTRIES:
                raise TooManyFiles(
                    f"The workspace has {self._entries:,} files and folders, at most "
                    f"{MAX_ENTRIES:,} are allowed: delete some"
                )
            self._bytes += size
            self._entries += entries
        try:
            yield
        except BaseException:
            self.forget()
            raise

    def forget(self) -> None:
        """Count anew before the next write."""
        with self._lock:
            self._counted_at = float("-inf")

    def _count(self) -> None:
        if time.monotonic() - self._counted_at < RECOUNT_S:
            return
        self._bytes = self._entries = 0
        oldest = time.time() - STALE_DRAFT_AGE_S
        for _folder, folders, names, descriptor in os.fwalk(self._folder):
            self._entries += len(folders) + len(names)
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    there = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    if name.startswith(HIDDEN_PREFIX) and there.st_mtime < oldest:
                        os.unlink(name, dir_fd=descriptor)
                        self._entries -= 1
                        continue
                    self._bytes += there.st_size
        self._counted_at = time.monotonic()


_rooms: OrderedDict[Path, Room] = OrderedDict()
_lock = threading.Lock()


def room_of(folder: Path) -> Room:
    """Return what this process knows of a workspace."""
    with _lock:
        room = _rooms.pop(folder, None) or Room(folder)
        _rooms[folder] = room
        if len(_rooms) > _REMEMBERED:
            _rooms.popitem(last=False)
        return room
