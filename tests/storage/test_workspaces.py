"""A workspace is its user's, and nothing leads out of it (H-07)."""

import contextlib
import errno
import os
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from storage import workspace_room, workspaces
from storage.errors import QuotaExceeded, StorageFull
from storage.job_workspace import JobWorkspace
from storage.workspace_paths import WorkspaceError, folder_name, join
from storage.workspace_room import TooManyFiles
from storage.workspaces import Workspace
from tests.corpora import paths

CANARY = b"canary of somebody else"


@pytest.fixture(autouse=True)
def root(settings, tmp_path) -> Path:
    """The folder of all workspaces, with canaries around and beside alice's."""
    settings.WORKSPACE_FOLDER = tmp_path / "root"
    for folder in (tmp_path, tmp_path / "root", tmp_path / "root" / "bob"):
        folder.mkdir(exist_ok=True)
        (folder / "secret.txt").write_bytes(CANARY)
    return settings.WORKSPACE_FOLDER


@pytest.fixture
def mine() -> Workspace:
    workspace = Workspace("alice")
    workspace.write("a/b.txt", b"mine")
    return workspace


def outside(root: Path) -> dict[str, bytes | None]:
    """Return all that is not alice's."""
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in root.parent.rglob("*")
        if "alice" not in path.parts
    }


CALLS = {
    "read": lambda mine, path: mine.read(path),
    "write": lambda mine, path: mine.write(path, b"x"),
    "append": lambda mine, path: mine.write(path, b"x", append=True),
    "delete": lambda mine, path: mine.delete(path, recursive=True),
    "make_folder": lambda mine, path: mine.make_folder(path),
    "info": lambda mine, path: mine.info(path),
    "list": lambda mine, path: mine.list(path, "*", recursive=True),
    "pattern": lambda mine, path: mine.list(".", path),
    "copy from": lambda mine, path: mine.copy(path, "copy"),
    "copy to": lambda mine, path: mine.copy("a/b.txt", path),
    "move from": lambda mine, path: mine.move(path, "moved"),
    "move to": lambda mine, path: mine.move("a/b.txt", path),
    "join": lambda mine, path: join(["a", path]),
}


@pytest.mark.parametrize("call", CALLS)
def test_h07_hostile_paths_reach_nothing_outside(mine, root, call):
    before = outside(root)
    hostile = paths.hostile()
    answers: list[object] = []
    for path in hostile:
        mine.write("a/b.txt", b"mine")
        try:
            answers.append(CALLS[call](mine, path))
        except (WorkspaceError, TooManyFiles) as refused:
            answers.append(str(refused))

    assert len(hostile) >= 300
    assert outside(root) == before
    assert CANARY.decode() not in repr(answers)
    assert "root:" not in repr(answers)
    assert str(root) not in repr(answers)


@pytest.mark.parametrize("path", paths.controls())
def test_h07_odd_names_work(path):
    mine = Workspace("alice")
    mine.write(path, b"data")
    mine.write(path, b"+", append=True)

    assert mine.read(path) == b"data+"
    assert mine.info(path).size == 5
    normal = join([path])
    assert normal in mine.list(".", "**/.*") + mine.list(".", "**/*")
    mine.copy(path, "folder/copy of it")
    mine.move(path, "folder/moved")
    assert mine.info(path) is None
    assert mine.read("folder/moved") == mine.read("folder/copy of it")
    mine.delete("folder", recursive=True)
    assert mine.info("folder") is None


def links(root: Path) -> dict[str, str]:
    """Put links into alice's folder; return where each leads."""
    folder = root / "alice"
    found = {
        "to a file": str(root / "secret.txt"),
        "to a folder": str(root / "bob"),
        "relative": "../bob/secret.txt",
        "to the root": "/",
        "to itself": "to itself",
        "to nothing": "/nothing/here",
        "inside": "a/b.txt",
        "to the system": "/proc/self",
    }
    for name, target in found.items():
        (folder / name).symlink_to(target)
    return found


@pytest.mark.parametrize("call", CALLS)
def test_h07_links_are_not_followed(mine, root, call):
    if call in ("join", "pattern"):
        return
    names = links(root)
    before = outside(root)
    through = [f"{name}/{rest}" for name in names for rest in ("secret.txt", "new/x")]
    for path in (*names, *through):
        mine.write("a/b.txt", b"mine")
        try:
            answer = CALLS[call](mine, path)
        except WorkspaceError:
            continue
        assert answer in (None, []), path

    assert outside(root) == before
    if call != "delete":
        assert mine.read("a/b.txt") == b"mine"


def test_h07_a_link_is_replaced_and_not_written_through(mine, root):
    links(root)
    before = outside(root)

    with pytest.raises(WorkspaceError, match="is no file"):
        mine.write("to a file", b"x")
    mine.delete("to a folder", recursive=True)
    with pytest.raises(WorkspaceError):
        mine.copy(".", "copy")

    assert outside(root) == before
    assert not (root / "alice" / "to a folder").is_symlink()
    assert mine.list(".", "**/*") == ["a", "a/b.txt"]


def test_h07_a_folder_that_becomes_a_link_meanwhile_leads_nowhere(mine, root):
    """A racing writer swaps a folder for a link; what is read is never the canary."""
    folder, other = root / "alice" / "a", root / "alice" / "other"
    (root / "bob" / "b.txt").write_bytes(CANARY)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                folder.rename(other)
            with contextlib.suppress(OSError):
                folder.symlink_to(root / "bob")
            with contextlib.suppress(OSError):
                folder.unlink()
            shutil.rmtree(folder, ignore_errors=True)  # a write has made it anew
            with contextlib.suppress(OSError):
                other.rename(folder)

    racer = threading.Thread(target=swap)
    racer.start()
    seen = set()
    try:
        for number in range(3_000):
            try:
                seen.add(mine.read("a/b.txt"))
                mine.write(f"a/new{number % 7}", b"x")
            except WorkspaceError:
                pass
    finally:
        stop.set()
        racer.join()

    assert seen <= {b"mine"}
    assert sorted(path.name for path in (root / "bob").iterdir()) == [
        "b.txt",
        "secret.txt",
    ]


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_devices_are_neither_read_nor_written(mine, root, kind, monkeypatch):
    monkeypatch.chdir(root / "alice")
    if kind == "fifo":
        os.mkfifo("odd")
    else:
        holder = socket.socket(socket.AF_UNIX)
        holder.bind("odd")
        holder.close()

    for call in ("read", "write", "append", "copy from", "copy to", "move from"):
        with pytest.raises(WorkspaceError):
            CALLS[call](mine, "odd")
    assert mine.info("odd") is None
    assert "odd" not in mine.list(".", "*")


def test_another_users_files_are_not_there(mine):
    other = Workspace("bob2")

    assert other.list(".", "**/*") == []
    assert other.info("a/b.txt") is None
    with pytest.raises(WorkspaceError, match="is not in the workspace"):
        other.read("a/b.txt")


@pytest.mark.parametrize(
    "owner", ["..", "/etc", "Alice", "a/b", "", "h-1", "ü", "a\0b", ".", "x" * 65]
)
def test_an_odd_user_id_names_a_folder_of_its_own(owner):
    name = folder_name(owner)

    assert name.startswith("h-")
    assert name.removeprefix("h-").isalnum()
    assert folder_name("alice") == "alice"


def test_a_file_is_written_whole_or_not_at_all(mine, root, monkeypatch):
    def full(file: int, data: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(workspaces.os, "write", full)
    with pytest.raises(StorageFull):
        mine.write("a/b.txt", b"other")
    with pytest.raises(StorageFull):
        mine.copy("a/b.txt", "a/c.txt")
    monkeypatch.undo()

    assert mine.read("a/b.txt") == b"mine"
    assert [each.name for each in (root / "alice" / "a").iterdir()] == ["b.txt"]


def test_f10_what_is_added_is_added_whole_or_not_at_all(mine, monkeypatch):
    write = os.write

    def full_on_the_way(file: int, data: bytes) -> int:
        if len(data) == 3:
            raise OSError(errno.ENOSPC, "full")
        return write(file, data[:-3])

    monkeypatch.setattr(workspaces.os, "write", full_on_the_way)
    with pytest.raises(StorageFull):
        mine.write("a/b.txt", b" and more", append=True)
    monkeypatch.undo()

    assert mine.read("a/b.txt") == b"mine"


def test_what_a_killed_process_left_takes_no_room(mine, root, monkeypatch):
    """Nobody else can delete it: no path leads there."""
    monkeypatch.setattr(workspace_room, "RECOUNT_S", 0)
    stale, fresh = (root / "alice/a" / f".nodetool-{name}" for name in ("old", "new"))
    for path in (stale, fresh):
        path.write_bytes(b"x" * 80)
    two_hours_ago = time.time() - 7200
    os.utime(stale, (two_hours_ago, two_hours_ago))

    mine.write("b.txt", b"")

    assert not stale.exists()
    assert fresh.exists()


def test_the_quota_bounds_what_a_workspace_holds(mine, settings):
    settings.STORAGE_QUOTA_BYTES = 100
    mine.write("x", b"x" * 90)

    with pytest.raises(QuotaExceeded):
        mine.write("y", b"y" * 10)
    with pytest.raises(QuotaExceeded):
        mine.copy("x", "z")
    with pytest.raises(QuotaExceeded):
        mine.write("x", b"x" * 10, append=True)
    mine.write("x", b"x" * 96)
    mine.delete("x")
    mine.write("y", b"y" * 96)
    assert mine.info("z") is None


def test_the_number_of_files_is_bounded(mine, monkeypatch):
    monkeypatch.setattr(workspace_room, "MAX_ENTRIES", 5)  # two are there
    mine.write("1", b"")
    mine.write("2", b"")
    mine.make_folder("folder")

    for refused in (
        lambda: mine.write("3", b""),
        lambda: mine.make_folder("x/y"),
        lambda: mine.copy("a", "b"),
    ):
        with pytest.raises(TooManyFiles, match="5 files and folders"):
            refused()
    mine.write("1", b"again")


def test_a_large_file_is_not_read(mine, monkeypatch):
    monkeypatch.setattr(workspaces, "MAX_FILE_BYTES", 3)

    with pytest.raises(WorkspaceError, match="at once"):
        mine.write("x", b"four")
    with pytest.raises(WorkspaceError, match="has 4 bytes: at most 3"):
        mine.read("a/b.txt", max_bytes=3)


def test_folders_are_copied_moved_and_deleted_whole(mine):
    mine.write("a/c/d.txt", b"deep")
    mine.copy("a", "copy")
    mine.move("a", "moved")

    assert mine.list(".", "**/*.txt") == [
        "copy/b.txt",
        "copy/c/d.txt",
        "moved/b.txt",
        "moved/c/d.txt",
    ]
    with pytest.raises(WorkspaceError, match="set recursive"):
        mine.delete("copy")
    mine.delete("copy", recursive=True)
    assert mine.list(".", "*") == ["moved"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda mine: mine.copy("a", "a/b"), "cannot be copied into itself"),
        (lambda mine: mine.move("a", "a/x/y"), "cannot be used"),
        (lambda mine: mine.move("a/b.txt", "folder"), "is a folder"),
        (lambda mine: mine.write("folder", b""), "is no file"),
        (lambda mine: mine.write("a/b.txt", b"", replace=False), "is there already"),
        (lambda mine: mine.write("a/b.txt/c", b""), "through a file"),
        (lambda mine: mine.read("folder"), "is no file"),
        (lambda mine: mine.read("none"), "is not in the workspace"),
        (lambda mine: mine.list("none", "*"), "is not in the workspace"),
        (lambda mine: mine.list(".", "../*"), "leads out"),
        (lambda mine: mine.list(".", "/".join(["**", "a"] * 9)), "too long"),
        (lambda mine: mine.delete(".", recursive=True), "the workspace itself"),
        (lambda mine: mine.read("x/" * 40 + "y"), "folders deep"),
        (lambda mine: join(["a", "/b"]), "absolute"),
    ],
)
def test_what_cannot_be_is_explained(mine, call, message):
    mine.make_folder("folder")

    with pytest.raises(WorkspaceError, match=message):
        call(mine)
    assert mine.read("a/b.txt") == b"mine"


@pytest.mark.parametrize(
    ("pattern", "recursive", "expected"),
    [
        ("*", False, ["a", "x.md", "x.txt"]),
        ("*.txt", False, ["x.txt"]),
        ("*.txt", True, ["a/b.txt", "x.txt"]),
        ("a/*.txt", False, ["a/b.txt"]),
        ("**/*.txt", False, ["a/b.txt", "x.txt"]),
        ("x.[tm]*", False, ["x.md", "x.txt"]),
        (".*", False, [".hidden"]),
        ("", False, []),
    ],
)
def test_files_are_listed_by_pattern(mine, pattern, recursive, expected):
    for name in ("x.txt", "x.md", ".hidden"):
        mine.write(name, b"")

    assert mine.list(".", pattern, recursive=recursive) == expected


def test_the_place_of_the_folder_is_told_to_the_operator_alone(settings, root):
    settings.SERVER_MODE = "desktop"
    assert JobWorkspace("alice").location == str(root / "alice")

    settings.SERVER_MODE = "private"
    assert JobWorkspace("alice").location == "."
