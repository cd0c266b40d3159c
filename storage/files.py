"""The file store: whole files under unguessable keys, written by way of drafts.

A draft is a temporary file inside ``ASSET_FOLDER``; keeping it is one rename (or one
upload to a bucket), so no reader ever finds half a file. Everything here blocks: call
it from a thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import BinaryIO, NamedTuple

from django.conf import settings

from storage.errors import StorageFull
from storage.keys import ASSETS, TEMP
from storage.stores import store, telling_full_disk

DRAFTS = ".drafts"
STALE_DRAFT_AGE_S = 24 * 3600.0
PIECE = 128 * 1024


class FileRef(NamedTuple):
    """Names a file in the store."""

    name: str
    is_temp: bool


class FileFacts(NamedTuple):
    """What is known of a finished file."""

    size: int
    sha256: str


class Draft:
    """A file that grows and is then kept or discarded. For one thread at a time.

    While it is open it is locked: so a sweep tells one that waits for long from what a
    killed process left. Every method may raise ``StorageFull``: then discard it.
    """

    def __init__(self) -> None:
        folder = _draft_folder()
        with telling_full_disk():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path = folder / secrets.token_hex(16)
            self._file = self.path.open("xb")
        _lock(self._file)
        self._digest = hashlib.sha256()
        self.size = 0

    def append(self, data: bytes | memoryview) -> None:
        """Write at the end."""
        with telling_full_disk():
            self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def copy_from(self, source: BinaryIO) -> None:
        """Append all that ``source`` holds."""
        while piece := source.read(PIECE):
            self.append(piece)

    def keep(self, name: str, *, is_temp: bool = False) -> FileFacts:
        """Make this the file of that name (a key)."""
        with telling_full_disk():
            self._file.flush()  # the last bytes may be the ones that find no room
        if os.fstat(self._file.fileno()).st_size != self.size:
            raise StorageFull
        store(is_temp=is_temp).keep(self.path, path_of(name, is_temp=is_temp))
        self._file.close()
        return FileFacts(self.size, self._digest.hexdigest())

    def discard(self) -> None:
        """Remove it. After ``keep`` this does nothing of note."""
        with contextlib.suppress(OSError):  # no room for what is thrown away
            self._file.close()
        self.path.unlink(missing_ok=True)


def path_of(name: str, *, is_temp: bool = False) -> str:
    """Return the path in the store: in one of 256 folders, to keep each short."""
    return f"{TEMP if is_temp else ASSETS}/{name[:2]}/{name}"


def ref_of(path: str) -> FileRef | None:
    """Return which file lies at a path in the store; None if ``path_of`` gives none."""
    folder, _, rest = path.partition("/")
    name = rest.partition("/")[2]
    ref = FileRef(name, folder == TEMP)
    return ref if path == path_of(name, is_temp=ref.is_temp) else None


def open_file(name: str, *, is_temp: bool = False, start: int = 0) -> BinaryIO:
    """Open a file for reading, from byte ``start`` on.

    Raises:
        FileNotFoundError: there is none.
        StorageUnavailable: the store does not answer.
    """
    return store(is_temp=is_temp).open(path_of(name, is_temp=is_temp), start)


def delete_file(name: str, *, is_temp: bool = False) -> None:
    """Delete a file; one that is missing is fine."""
    store(is_temp=is_temp).delete(path_of(name, is_temp=is_temp))


def remove_stale_drafts() -> int:
    """Remove drafts that a killed process left behind a day ago. Returns how many.

    One that is still open somewhere stays, however long nobody has written to it.
    """
    limit = time.time() - STALE_DRAFT_AGE_S
    return sum(_is_removed(path, limit) for path in _draft_folder().glob("*"))


def _is_removed(path: Path, limit: float) -> bool:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        if os.fstat(file.fileno()).st_mtime < limit and _lock(file):
            path.unlink()
            return True
    return False


def _lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed; tell whether nobody else has.

    Where a file system knows no locks, the age of a draft has to tell.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _draft_folder() -> Path:
    return Path(settings.ASSET_FOLDER) / DRAFTS
