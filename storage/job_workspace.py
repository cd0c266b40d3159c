"""The engine's workspace port for one job: the files are its owner's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.conf import settings

from nodetool_site.lib.modes import HARDENED
from storage.workspace_paths import join
from storage.workspaces import Workspace


class JobWorkspace:
    """The workspace as the nodes of one job see it: threads do the work."""

    def __init__(self, owner_id: str) -> None:
        self._owner_id = owner_id

    @cached_property
    def _workspace(self) -> Workspace:
        # Most jobs never ask for a file.
        return Workspace(self._owner_id)

    @property
    def location(self) -> str:
        """Where the folder is; where users are not the operator, only its own name."""
        hidden = settings.SERVER_MODE in HARDENED
        return "." if hidden else str(self._workspace.folder)

    def join(self, paths: Sequence[str]) -> str:
        """Return the path of parts that follow each other."""
        return join(paths)

    async def read(self, path: str) -> bytes:
        """Return what a file holds."""
        return await asyncio.to_thread(self._workspace.read, path)

    async def write(
        self, path: str, data: bytes, *, append: bool = False, replace: bool = True
    ) -> None:
        """Write a file, and the folders that it lies in."""
        write = self._workspace.write
        await asyncio.to_thread(write, path, data, append=append, replace=replace)

    async def delete(self, path: str, *, recursive: bool = False) -> None:
        """Delete a file or a folder."""
        await asyncio.to_thread(self._workspace.delete, path, recursive=recursive)

    async def make_folder(self, path: str) -> None:
        """Make a folder; one that is there is fine."""
        await asyncio.to_thread(self._workspace.make_folder, path)

    async def info(self, path: str) -> dict[str, Any] | None:
        """Return what is known of a file or folder; None if there is none."""
        info = await asyncio.to_thread(self._workspace.info, path)
        if info is None:
            return None
        return {
            "path": info.path,
            "name": info.name,
            "size": info.size,
            "is_file": info.is_file,
            "is_directory": not info.is_file,
            "created": _iso(info.created),
            "modified": _iso(info.modified),
            "accessed": _iso(info.accessed),
        }

    async def list(self, path: str, pattern: str, *, recursive: bool) -> list[str]:
        """Return the paths that match a pattern."""
        listed = self._workspace.list
        return await asyncio.to_thread(listed, path, pattern, recursive=recursive)

    async def copy(self, source: str, destination: str) -> None:
        """Copy a file or a folder."""
        await asyncio.to_thread(self._workspace.copy, source, destination)

    async def move(self, source: str, destination: str) -> None:
        """Move a file or a folder."""
        await asyncio.to_thread(self._workspace.move, source, destination)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
