"""The file store: whole files under unguessable keys, written by way of drafts.

A draft is a temporary file inside the store's folder; keeping it is one rename, so
no reader ever finds half a file. Everything here blocks: call it from a thread.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage

DRAFTS = ".drafts"
STALE_DRAFT_AGE_S = 24 * 3600.0
PIECE = 128 * 1024


class FileFacts(NamedTuple):
    """What is known of a finished file."""

    size: int
    sha256: str


class Draft:
    """A file that grows and is then kept or discarded. For one thread at a time."""

    def __init__(self) -> None:
        folder = _draft_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / secrets.token_hex(16)
        self._file = self.path.open("xb")
        self._digest = hashlib.sha256()
        self._size = 0

    def append(self, data: bytes) -> None:
        """Write at the end."""
        self._file.write(data)
        self._digest.update(data)
        self._size += len(data)

    def copy_from(self, source: BinaryIO) -> None:
        """Append all that ``source`` holds."""
        while piece := source.read(PIECE):
            self.append(piece)

    def keep(self, key: str) -> FileFacts:
        """Make this the file of ``key``."""
        self._file.close()
        with self.path.open("rb") as file:
            _storage().save(path_of(key), _Movable(file, self.path))
        return FileFacts(self._size, self._digest.hexdigest())

    def discard(self) -> None:
        """Remove it. After ``keep`` this does nothing."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class _Movable(File):  # type: ignore[type-arg]
    """Tells Django's file storage that it may move the file instead of copying it."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file, name=path.name)
        self._path = path

    def temporary_file_path(self) -> str:
        """Return what to move; Django's uploads have a method of this name."""
        return str(self._path)


def path_of(key: str) -> str:
    """Return the name in the storage: in one of 256 folders, to keep each short."""
    return f"assets/{key[:2]}/{key}"


def open_file(key: str) -> BinaryIO:
    """Open a file for reading.

    Raises:
        FileNotFoundError: there is none.
    """
    return cast("BinaryIO", _storage().open(path_of(key), "rb"))


def delete_file(key: str) -> None:
    """Delete a file; one that is missing is fine."""
    _storage().delete(path_of(key))


def remove_stale_drafts() -> int:
    """Remove drafts that nobody has written to for a day. Returns how many.

    They are what a killed process leaves behind.
    """
    limit = time.time() - STALE_DRAFT_AGE_S
    stale = [path for path in _draft_folder().glob("*") if _changed_at(path) < limit]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


def _storage() -> FileSystemStorage:
    return _storage_in(settings.ASSET_FOLDER)


@lru_cache(maxsize=4)
def _storage_in(folder: Path) -> FileSystemStorage:
    return FileSystemStorage(
        location=folder,
        file_permissions_mode=0o600,
        directory_permissions_mode=0o700,
    )


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _draft_folder() -> Path:
    return Path(settings.ASSET_FOLDER) / DRAFTS
