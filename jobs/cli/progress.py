"""The state of a run on one line of a terminal."""

import shutil
import time
from typing import TextIO

from jobs.cli.store import Json

PERIOD_S = 0.1
CLEAR = "\r\x1b[K"
BAR = 20


class ProgressLine:
    """Rewrites its line as messages come, ten times a second at most.

    Where the stream is no terminal nothing is written.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_on = stream.isatty()
        self._written_at = 0.0
        self._has_text = False
        self._ended: set[str] = set()
        self._running: dict[str, str] = {}

    def show(self, message: Json) -> None:
        """Take note of a message and show where the run stands."""
        if not self._is_on:
            return
        self._note(message)
        now = time.monotonic()
        if now - self._written_at >= PERIOD_S:
            self._written_at = now
            self._write()

    def clear(self) -> None:
        """Leave the line empty, for something else to be written."""
        if self._has_text:
            self._stream.write(CLEAR)
            self._stream.flush()
            self._has_text = False

    def _note(self, message: Json) -> None:
        if message["type"] == "node_update":
            node_id, name = message["node_id"], message["node_name"]
            if message["status"] == "running":
                self._running[node_id] = name
            else:
                self._running.pop(node_id, None)
                self._ended.add(node_id)
        elif message["type"] == "node_progress" and message["total"]:
            done, total = message["progress"], message["total"]
            filled = BAR * done // total
            bar = f"[{'#' * filled}{'.' * (BAR - filled)}]"
            text = f"{message['node_name']} {bar} {done}/{total}"
            self._running[message["node_id"]] = text

    def _write(self) -> None:
        parts = [f"{len(self._ended)} nodes done", *self._running.values()]
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"{CLEAR}{', '.join(parts)[:width]}")
        self._stream.flush()
        self._has_text = True
