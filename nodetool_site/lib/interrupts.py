"""What ends a command from outside: Ctrl-C, and whoever terminates it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Self


class Interrupts:
    """While it is entered, SIGTERM interrupts as Ctrl-C does, and both always count.

    ``is_final``: SIGTERM has come, so whoever goes on after Ctrl-C must not.
    """

    def __init__(self) -> None:
        self.is_final = False
        self._before: dict[int, Callable[..., Any] | int | None] = {}

    def __enter__(self) -> Self:
        # What a script has put into the background starts with SIGINT ignored.
        self._take(signal.SIGINT, signal.default_int_handler)
        self._take(signal.SIGTERM, self._terminate)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(
        self, number: int, handler: Callable[[int, FrameType | None], Any]
    ) -> None:
        self._before[number] = signal.signal(number, handler)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self.is_final = True
        signal.raise_signal(signal.SIGINT)
