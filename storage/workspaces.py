"""A user's folder of files, for workflows: the one resolver of their paths.

Paths are relative and never leave the folder: each part is opened by itself, from the
descriptor of the part before, and no link is followed. Only regular files are read and
written. Everything here blocks: call it from a thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from storage.errors import StorageFull
from storage.stores import NO_ROOM
from storage.workspace_paths import (
    HIDDEN_PREFIX,
    MAX_DEPTH,
    Parts,
    WorkspaceError,
    fits,
    folder_name,
    is_name,
    parse,
    patterns_of,
)
from storage.workspace_room import Room, room_of

MAX_FILE_BYTES = 64 * 1024**2
PIECE = 256 * 1024

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without blocking: whatever the name stands for by now, opening it must not hang.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class FileInfo(NamedTuple):
    """What is known of a file or a folder. Times are seconds since 1970."""

    path: str
    name: str
    size: int
    is_file: bool
    created: float
    modified: float
    accessed: float


class Workspace:
    """The files of one user. Methods raise `WorkspaceError` for a path that is no good.

    Writing also raises `StorageFull` when the disk has no room.
    """

    def __init__(self, owner_id: str) -> None:
        self.folder = Path(settings.WORKSPACE_FOLDER) / folder_name(owner_id)

    def read(self, path: str, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        """Return what a file holds, up to ``max_bytes``."""
        parts = parse(path)
        with self._parent(parts, path) as parent, _opened(parent, parts, path) as file:
            size = os.fstat(file).st_size
            if size > max_bytes:
                raise WorkspaceError(
                    f"'{path}' has {size:,} bytes: at most {max_bytes:,} can be read"
                )
            return _read_all(file, max_bytes)

    def write(
        self, path: str, data: bytes, *, append: bool = False, replace: bool = True
    ) -> None:
        """Write a file, whole or not at all; its folders are made.

        With ``append`` the data goes to its end. Without ``replace`` a file that is
        there is an error.
        """
        parts = parse(path)
        room = self._room()
        with self._parent(parts, path, make=True) as parent:
            there = _stat(parent, parts[-1])
            if there is not None and not stat.S_ISREG(there.st_mode):
                raise WorkspaceError(f"'{path}' is no file")
            if there is not None and not (append or replace):
                raise WorkspaceError(f"'{path}' is there already")
            if len(data) > MAX_FILE_BYTES:
                raise WorkspaceError(
                    f"'{path}' would get {len(data):,} bytes at once: at most "
                    f"{MAX_FILE_BYTES:,} can be written"
                )
            old = 0 if there is None or append else there.st_size
            with room.taken(len(data) - old, entries=there is None):
                if append:
                    _append(parent, parts, path, data)
                else:
                    _put(parent, parts[-1], path, [data])

    def delete(self, path: str, *, recursive: bool = False) -> None:
        """Delete a file, or with ``recursive`` a folder with all it holds."""
        parts = parse(path)
        with self._parent(parts, path) as parent:
            there = _found(parent, parts, path)
            with _told(path):
                if not stat.S_ISDIR(there.st_mode):
                    os.unlink(parts[-1], dir_fd=parent)
                elif recursive:
                    shutil.rmtree(parts[-1], dir_fd=parent)
                else:
                    raise WorkspaceError(
                        f"'{path}' is a folder: set recursive to delete it with all "
                        "it holds"
                    )
        self._room().forget()

    def make_folder(self, path: str) -> None:
        """Make a folder, and those it lies in; one that is there is fine."""
        parts = parse(path, may_be_root=True)
        with self._open(parts, path, make=True):
            pass

    def info(self, path: str) -> FileInfo | None:
        """Return what is known of a file or folder; None if there is none.

        Links and devices are no files, so there is nothing to know of them.
        """
        parts = parse(path, may_be_root=True)
        try:
            with self._parent(parts, path) as parent:
                there = _stat(parent, parts[-1] if parts else ".")
        except (_Missing, _Blocked):
            return None
        if there is None or not _is_plain(there):
            return None
        return FileInfo(
            path=path,
            name=parts[-1] if parts else ".",
            size=there.st_size,
            is_file=stat.S_ISREG(there.st_mode),
            created=there.st_ctime,
            modified=there.st_mtime,
            accessed=there.st_atime,
        )

    def copy(self, source: str, destination: str) -> None:
        """Copy a file, or a folder with all it holds, to a path."""
        parts, target = parse(source), parse(destination)
        if target[: len(parts)] == parts:
            raise WorkspaceError(f"'{source}' cannot be copied into itself")
        with (
            self._parent(parts, source) as parent,
            self._parent(target, destination, make=True) as into,
        ):
            there = _found(parent, parts, source)
            if stat.S_ISDIR(there.st_mode):
                self._copy_folder(parts, target, source)
                return
            with _opened(parent, parts, source) as file:
                self._copy_file(file, into, target[-1], destination)

    def move(self, source: str, destination: str) -> None:
        """Give a file or a folder another path; a file that is there is replaced."""
        parts, target = parse(source), parse(destination)
        with (
            self._parent(parts, source) as parent,
            self._parent(target, destination, make=True) as into,
        ):
            if not _is_plain(_found(parent, parts, source)):
                raise WorkspaceError(f"'{source}' is no file")
            with _told(destination):
                os.rename(parts[-1], target[-1], src_dir_fd=parent, dst_dir_fd=into)

    def list(self, path: str, pattern: str, *, recursive: bool = False) -> list[str]:
        """Return the paths below ``path`` whose rest matches a pattern, sorted.

        The pattern is one of the shell, ``**`` for any folders included; names that
        begin with a dot are matched by such patterns only.
        """
        patterns = patterns_of(pattern, recursive=recursive)
        above = len(parse(path, may_be_root=True))
        found = self.walk(path, deep=patterns != patterns[:1] or "**" in patterns)
        return ["/".join(parts) for parts, _ in found if fits(parts[above:], patterns)]

    def walk(
        self, path: str = ".", *, deep: bool = False
    ) -> Iterator[tuple[Parts, bool]]:
        """Yield the files and folders of a folder, sorted: parts, and whether a file.

        The parts lead there from the workspace. ``deep``: also what folders hold.
        """
        parts = parse(path, may_be_root=True)
        try:
            with self._open(parts, path) as folder:
                entries = sorted(_entries(folder))
        except _Missing:
            if parts:
                raise
            return  # nobody has written anything yet
        for name, is_file in entries:
            yield (*parts, name), is_file
            if deep and not is_file and len(parts) < MAX_DEPTH:
                yield from self.walk("/".join((*parts, name)), deep=True)

    def _copy_folder(self, parts: Parts, target: Parts, path: str) -> None:
        found = list(self.walk("/".join(parts), deep=True))
        self.make_folder("/".join(target))
        for entry, is_file in found:
            to = "/".join((*target, *entry[len(parts) :]))
            if is_file:
                self.copy("/".join(entry), to)
            else:
                self.make_folder(to)

    def _copy_file(self, file: int, into: int, name: str, path: str) -> None:
        size = os.fstat(file).st_size
        there = _stat(into, name)
        if there is not None and not stat.S_ISREG(there.st_mode):
            raise WorkspaceError(f"'{path}' is no file")
        old = 0 if there is None else there.st_size
        with self._room().taken(size - old, entries=there is None):
            _put(into, name, path, _pieces(file, size))

    @contextlib.contextmanager
    def _parent(self, parts: Parts, path: str, *, make: bool = False) -> Iterator[int]:
        with self._open(parts[:-1], path, make=make) as folder:
            yield folder

    @contextlib.contextmanager
    def _open(self, parts: Parts, path: str, *, make: bool = False) -> Iterator[int]:
        """Yield the descriptor of a folder, opened part by part."""
        if make:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            folder = self._enter(stack, str(self.folder), None, path)
            for part in parts:
                if make:
                    self._make(part, folder, path)
                folder = self._enter(stack, part, folder, path)
            yield folder

    @staticmethod
    def _enter(
        stack: contextlib.ExitStack, name: str, parent: int | None, path: str
    ) -> int:
        with _told(path):
            folder = os.open(name, _FOLDER, dir_fd=parent)
        stack.callback(os.close, folder)
        return folder

    def _make(self, name: str, parent: int, path: str) -> None:
        if _stat(parent, name) is None:
            with (
                self._room().taken(0, entries=True),
                _told(path),
                contextlib.suppress(FileExistsError),
            ):
                os.mkdir(name, mode=0o700, dir_fd=parent)

    def _room(self) -> Room:
        return room_of(self.folder)


def delete_workspace(owner_id: str) -> None:
    """Delete a user's folder with all it holds; the user is gone."""
    shutil.rmtree(Workspace(owner_id).folder, ignore_errors=True)


class _Missing(WorkspaceError):
    """There is nothing at a path."""


class _Blocked(WorkspaceError):
    """What should be a folder on the way is none."""


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Say in the user's words what the system refuses."""
    try:
        yield
    except FileNotFoundError:
        raise _Missing(f"'{path}' is not in the workspace") from None
    except OSError as error:
        if error.errno in NO_ROOM:
            raise StorageFull from error
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise _Blocked(
                f"'{path}' is a link or leads through one, or through a file"
            ) from None
        if error.errno in (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST):
            raise WorkspaceError(f"'{path}' is a folder that is there") from None
        reason = os.strerror(error.errno or errno.EIO)
        raise WorkspaceError(f"'{path}' cannot be used: {reason}") from None


def _stat(parent: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _found(parent: int, parts: Parts, path: str) -> os.stat_result:
    there = _stat(parent, parts[-1])
    if there is None:
        raise _Missing(f"'{path}' is not in the workspace")
    return there


def _is_plain(there: os.stat_result) -> bool:
    return stat.S_ISREG(there.st_mode) or stat.S_ISDIR(there.st_mode)


def _entries(folder: int) -> Iterator[tuple[str, bool]]:
    """Yield name, and whether it is a file, of what is no link and no device."""
    with os.scandir(folder) as entries:
        for entry in entries:
            is_file = entry.is_file(follow_symlinks=False)
            is_plain = is_file or entry.is_dir(follow_symlinks=False)
            is_ours = entry.name.startswith(HIDDEN_PREFIX)
            if is_plain and not is_ours and is_name(entry.name):
                yield entry.name, is_file


@contextlib.contextmanager
def _opened(parent: int, parts: Parts, path: str) -> Iterator[int]:
    """Yield the descriptor of a regular file, to be read."""
    with _told(path):
        file = os.open(parts[-1], _READ, dir_fd=parent)
    try:
        _check_regular(file, path)
        yield file
    finally:
        os.close(file)


def _check_regular(file: int, path: str) -> None:
    if not stat.S_ISREG(os.fstat(file).st_mode):
        raise WorkspaceError(f"'{path}' is no file")


def _read_all(file: int, max_bytes: int) -> bytes:
    # It may grow meanwhile.
    return b"".join(_pieces(file, max_bytes))


def _pieces(file: int, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := os.read(file, min(PIECE, size))):
        size -= len(piece)
        yield piece


def _append(parent: int, parts: Sequence[str], path: str, data: bytes) -> None:
    with _told(path):
        flags = _WRITE | os.O_APPEND | os.O_CREAT
        file = os.open(parts[-1], flags, 0o600, dir_fd=parent)
    try:
        _check_regular(file, path)
        with _told(path):
            fcntl.flock(file, fcntl.LOCK_EX)  # else it might cut what another adds
            before = os.fstat(file).st_size
            try:
                _write_all(file, data)
            except BaseException:
                os.ftruncate(file, before)
                raise
    finally:
        os.close(file)


def _put(
    parent: int, name: str, path: str, pieces: Sequence[bytes] | Iterator[bytes]
) -> None:
    """Write a file beside its place and then move it there."""
    draft = HIDDEN_PREFIX + secrets.token_hex(8)
    with _told(path):
        flags = _WRITE | os.O_CREAT | os.O_EXCL
        file = os.open(draft, flags, 0o600, dir_fd=parent)
        try:
            try:
                for piece in pieces:
                    _write_all(file, piece)
            finally:
                os.close(file)
            os.replace(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            os.unlink(draft, dir_fd=parent)
            raise


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
