"""Items of an edge that do not fit into memory, in a temporary file."""

from __future__ import annotations

import pickle
import tempfile
from collections import deque
from typing import Any

BLOCK = 512


class Overflow:
    """A queue of items: in a file, but for the newest, until they fill a block.

    Only this process writes the file, only this object reads it. Items that cannot be
    written stay in memory.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._blocks: deque[tuple[int, int] | list[Any]] = deque()
        self._end = 0
        self._newest: list[Any] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, item: Any) -> None:
        self._newest.append(item)
        self._count += 1
        if len(self._newest) >= BLOCK:
            self._write()

    def take_block(self) -> list[Any]:
        """Remove and return the oldest items: at least one, if there are any."""
        if not self._blocks:
            items, self._newest = self._newest, []
        else:
            items = self._read(self._blocks.popleft())
        self._count -= len(items)
        return items

    def close(self) -> None:
        self._file.close()

    def _write(self) -> None:
        items, self._newest = self._newest, []
        try:
            data = pickle.dumps(items, pickle.HIGHEST_PROTOCOL)
        except Exception:  # noqa: BLE001 - a node may send anything
            self._blocks.append(items)
            return
        self._file.seek(self._end)
        self._file.write(data)
        self._blocks.append((self._end, len(data)))
        self._end += len(data)

    def _read(self, block: tuple[int, int] | list[Any]) -> list[Any]:
        if isinstance(block, list):
            return block
        start, size = block
        self._file.seek(start)
        items: list[Any] = pickle.loads(self._file.read(size))  # noqa: S301 - own file
        return items
