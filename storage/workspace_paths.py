"""Paths of a workspace: what may be one, and which fit a pattern."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import unicodedata
from collections.abc import Sequence

MAX_DEPTH = 32
MAX_PATH = 4_096
MAX_NAME_BYTES = 255
MAX_PATTERN = 1_000
MAX_ANY_FOLDERS = 4
HIDDEN_PREFIX = ".nodetool-"

_PLAIN_ID = re.compile(r"(?!h-)[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
_NO_NAME = frozenset({"Cc", "Cs", "Zl", "Zp"})  # categories of Unicode

Parts = tuple[str, ...]


class WorkspaceError(ValueError):
    """A path of the workspace cannot be used so; the text names it and says why."""


def folder_name(owner_id: str) -> str:
    """Return the name of a user's folder: the id, or what stands for an odd one."""
    if _PLAIN_ID.fullmatch(owner_id):
        return owner_id
    digest = hashlib.sha256(owner_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"h-{digest[:40]}"


def join(paths: Sequence[str]) -> str:
    """Return the path of parts that follow each other.

    Raises:
        WorkspaceError: one of them cannot be used.
    """
    for path in paths:
        if path.startswith("/"):
            raise WorkspaceError(f"'{path}' is absolute: paths begin in the workspace")
    return "/".join(parse("/".join(paths))) if paths else ""


def parse(path: str, *, may_be_root: bool = False) -> Parts:
    """Return the parts of a path; ``.`` and empty ones are left out.

    Raises:
        WorkspaceError: it could lead out of the workspace, or can be no path.
    """
    if not path:
        raise WorkspaceError("The path is empty: name a file in the workspace")
    if len(path) > MAX_PATH:
        raise WorkspaceError(f"The path has more than {MAX_PATH:,} characters")
    if path.startswith("/"):
        raise WorkspaceError(f"'{path}' is absolute: paths begin in the workspace")
    if "\\" in path:
        raise WorkspaceError(f"'{path}' has a backslash: use /")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    for part in parts:
        _check_name(part)
    if len(parts) > MAX_DEPTH:
        raise WorkspaceError(f"The path is more than {MAX_DEPTH} folders deep")
    if not parts and not may_be_root:
        raise WorkspaceError(f"'{path}' is the workspace itself: name a file in it")
    return parts


def _check_name(part: str) -> None:
    if part == "..":
        raise WorkspaceError("'..' is not allowed: paths stay in the workspace")
    if not is_name(part):
        raise WorkspaceError(f"{part!r} has characters that no file name may have")
    if len(part.encode()) > MAX_NAME_BYTES:
        raise WorkspaceError(f"A name has more than {MAX_NAME_BYTES} bytes")
    if part.startswith(HIDDEN_PREFIX):
        raise WorkspaceError(f"Names that begin with {HIDDEN_PREFIX} are reserved")


def is_name(text: str) -> bool:
    """Tell whether it is free of control characters and halves of surrogate pairs."""
    return not any(unicodedata.category(char) in _NO_NAME for char in text)


def patterns_of(pattern: str, *, recursive: bool) -> Parts:
    """Return the parts of a pattern.

    Raises:
        WorkspaceError: it could lead out of its folder, or is too complex.
    """
    parts = ["**"] if recursive else []
    for part in pattern.split("/"):
        if part not in ("", ".") and not (part == "**" and parts[-1:] == ["**"]):
            parts.append(part)
    if ".." in parts or pattern.startswith("/"):
        raise WorkspaceError(f"The pattern '{pattern}' leads out of its folder")
    if len(pattern) > MAX_PATTERN or parts.count("**") > MAX_ANY_FOLDERS:
        raise WorkspaceError("The pattern is too long: make it simpler")
    return tuple(parts)


def fits(names: Parts, patterns: Parts) -> bool:
    """Tell whether the parts of a path are what the parts of a pattern ask for."""
    if not patterns:
        return not names
    first, rest = patterns[0], patterns[1:]
    if first == "**":
        skips_one = bool(names) and not names[0].startswith(".")
        return fits(names, rest) or (skips_one and fits(names[1:], patterns))
    if not names or (names[0].startswith(".") and not first.startswith(".")):
        return False
    return fnmatch.fnmatchcase(names[0], first) and fits(names[1:], rest)
