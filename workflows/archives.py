"""Reading a ZIP file that a stranger made.

Nothing is unpacked to a path of the archive's choosing; every limit is checked before
or while bytes are read, never after. What is odd is refused, with the reason, rather
than guessed at.
"""

from __future__ import annotations

import io
import stat
import struct
import time
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from nodetool_site.lib.errors import BadRequest

MAX_ENTRIES = 10_000
MAX_TOTAL_BYTES = 1024**3
MAX_ENTRY_BYTES = 100 * 1024**2
MAX_RATIO = 200
SMALL_BYTES = 1024**2
SMALL_TOTAL_BYTES = 8 * SMALL_BYTES
"""Up to here any ratio is fine: small and blank files shrink further than bombs."""
MAX_NAME_BYTES = 512
# 10,000 usual entries take less than half; every byte costs memory many times.
MAX_DIRECTORY_BYTES = 4 * 1024**2
MAX_SECONDS = 30.0
PIECE = 128 * 1024

ENCRYPTED = 0x1 | 0x40 | 0x2000
UTF8 = 0x800
LOCAL_HEADER_BYTES = 30
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})

# What ``zipfile`` raises, by version and by accident, where bytes make no sense.
_NONSENSE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


class UnusableArchive(BadRequest):
    """The archive is broken, hostile or too large."""


class Archive:
    """The entries of a ZIP file, all of which are within the limits as they claim.

    Reading checks the claims: ``pieces`` never yields more than an entry announced. For
    one thread at a time; the file stays the caller's to close.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read the directory.

        Raises:
            UnusableArchive: the reason is its message.
        """
        with _telling_nonsense():
            self._zip = zipfile.ZipFile(cast("BinaryIO", _Guarded(file)))
            _check(self._zip)
        self._entries = {
            info.filename: info for info in self._zip.infolist() if not info.is_dir()
        }

    @property
    def names(self) -> list[str]:
        """The names of all files, in the order of the archive."""
        return list(self._entries)

    def size_of(self, name: str) -> int:
        """Return the size in bytes that a file claims to have."""
        return self._entries[name].file_size

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file; its checksum is checked at the end.

        Raises:
            UnusableArchive: the bytes are not what the directory promises.
        """
        info = self._entries[name]
        left = info.file_size
        with _telling_nonsense(), self._zip.open(info) as source:
            while piece := source.read(PIECE):
                left -= len(piece)
                yield piece
        if left:
            raise UnusableArchive(f"{_shown(name)} is shorter than it claims to be")

    def read(self, name: str, *, limit: int) -> bytes:
        """Return a whole file of at most ``limit`` bytes.

        Raises:
            UnusableArchive: it is larger, or broken.
        """
        if self.size_of(name) > limit:
            raise UnusableArchive(f"{_shown(name)} is larger than {limit} bytes")
        return b"".join(self.pieces(name))

    def verify(self) -> None:
        """Read everything once and keep nothing.

        Raises:
            UnusableArchive: a file is broken, or it takes too long.
        """
        deadline = time.monotonic() + MAX_SECONDS
        for name in self.names:
            for _ in self.pieces(name):
                if time.monotonic() > deadline:
                    raise UnusableArchive(
                        f"The archive takes more than {MAX_SECONDS:.0f} s to read"
                    )


class _Guarded:
    """The file below ``zipfile``, which believes what a file says of its sizes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell = file.tell

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size > MAX_DIRECTORY_BYTES:
            raise UnusableArchive(
                f"The archive's directory is larger than {MAX_DIRECTORY_BYTES} bytes"
            )
        return self._file.read(size if size >= 0 else MAX_DIRECTORY_BYTES)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset < 0:
            raise UnusableArchive("The archive is broken: it points before its start")
        return self._file.seek(offset, whence)


@contextmanager
def _telling_nonsense() -> Iterator[None]:
    try:
        yield
    except _NONSENSE as error:
        raise UnusableArchive(f"The archive is broken: {error}") from error


def _check(archive: zipfile.ZipFile) -> None:
    """Refuse what the directory alone gives away."""
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise UnusableArchive(
            f"The archive has {len(infos)} entries; {MAX_ENTRIES} are allowed"
        )
    seen: set[str] = set()
    for info in infos:
        _check_name(info)
        _check_kind(info)
        _check_size(info)
        name = unicodedata.normalize("NFC", info.filename.removesuffix("/"))
        if name in seen:
            raise UnusableArchive(f"The archive has {_shown(name)} twice")
        seen.add(name)
    _check_total(infos)
    _check_overlaps(infos, archive.start_dir)


def _check_name(info: zipfile.ZipInfo) -> None:
    """Refuse names that could mean a place outside a folder, or are no text."""
    name = info.orig_filename
    steps = name.removesuffix("/").split("/")
    is_odd = (
        len(_name_bytes(info)) > MAX_NAME_BYTES
        or any(unicodedata.category(each) in ("Cc", "Cs") for each in name)
        or "\\" in name
        or name[1:2] == ":"
        or any(step in ("", ".", "..") for step in steps)
    )
    if is_odd:
        raise UnusableArchive(f"The archive has an entry of unsafe name {_shown(name)}")


def _check_kind(info: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UnusableArchive(f"{_shown(info.filename)} is a link or a device")
    if info.flag_bits & ENCRYPTED:
        raise UnusableArchive(f"{_shown(info.filename)} is encrypted")
    if info.compress_type not in METHODS:
        raise UnusableArchive(
            f"{_shown(info.filename)} is packed by another method than deflate"
        )


def _check_size(info: zipfile.ZipInfo) -> None:
    name, size, packed = _shown(info.filename), info.file_size, info.compress_size
    if size > MAX_ENTRY_BYTES:
        raise UnusableArchive(
            f"{name} has {size} bytes; {MAX_ENTRY_BYTES} are allowed in one file"
        )
    if size > SMALL_BYTES and size > MAX_RATIO * packed:
        raise UnusableArchive(f"{name} unpacks to more than {MAX_RATIO} times its size")
    if info.compress_type == zipfile.ZIP_STORED and size != packed:
        raise UnusableArchive(f"{name} has two sizes, {size} and {packed} bytes")
    if info.is_dir() and size:
        raise UnusableArchive(f"{name} is a folder that has content")


def _check_total(infos: list[zipfile.ZipInfo]) -> None:
    total = sum(info.file_size for info in infos)
    packed = sum(info.compress_size for info in infos)
    if total > MAX_TOTAL_BYTES:
        raise UnusableArchive(
            f"The archive unpacks to {total} bytes; {MAX_TOTAL_BYTES} are allowed"
        )
    if total > SMALL_TOTAL_BYTES and total > MAX_RATIO * packed:
        raise UnusableArchive(
            f"The archive unpacks to more than {MAX_RATIO} times its size"
        )


def _check_overlaps(infos: list[zipfile.ZipInfo], end: int) -> None:
    """Refuse entries that share bytes: small bombs are made of them."""
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        taken = LOCAL_HEADER_BYTES + len(_name_bytes(info)) + info.compress_size
        if info.header_offset < 0 or info.header_offset + taken > end:
            raise UnusableArchive(
                f"{_shown(info.filename)} shares bytes with another part of the archive"
            )
        end = info.header_offset


def _name_bytes(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & UTF8 else "cp437")


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:80]}...")
