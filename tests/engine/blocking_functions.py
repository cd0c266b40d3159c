"""Functions that the tests call in other processes."""

import os
import time
from pathlib import Path


def busy(seconds: float) -> float:
    """Keep a processor busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return seconds


def beat(path: str) -> None:
    """Write for ever: a file that grows while this process lives."""
    while True:
        with Path(path).open("a") as file:
            file.write(".")
        time.sleep(0.005)


def pid() -> int:
    return os.getpid()


def fail(text: str) -> None:
    raise LookupError(text)


def die() -> None:
    os._exit(9)


def variables() -> list[str]:
    return sorted(os.environ)
