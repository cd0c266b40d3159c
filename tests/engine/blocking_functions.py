"""Functions that the tests call in other processes."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any


class TwoWords(Exception):
    """An error that a pickle cannot make again: its class asks for two words."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


class Loaded(Exception):
    """An error that holds what belongs to its process."""

    def __init__(self) -> None:
        super().__init__("loaded")
        self.lock = threading.Lock()


class Mute(Exception):
    """An error that cannot say what it is, nor travel."""

    def __init__(self, one: object = None, two: object = None) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def __str__(self) -> str:
        raise ValueError("no words")


UNSENDABLE = {
    "lock": threading.Lock,
    "function": lambda: lambda: 1,
    "generator": lambda: iter(x for x in "a"),
    "thread": threading.Thread,
    "local class": lambda: type("Local", (), {})(),
}
ODD_ERRORS = {
    "TwoWords: first second": lambda: TwoWords("first", "second"),
    "Loaded: loaded": Loaded,
    "Mute": Mute,
}


def busy(seconds: float) -> float:
    """Keep a processor busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return seconds


def be_held(here: str, go: str) -> None:
    """Say that this call has begun, and block until there is the file ``go``."""
    Path(here).touch()
    end = time.monotonic() + 30
    while not Path(go).exists():
        if time.monotonic() > end:
            raise TimeoutError("nobody said go")
        time.sleep(0.005)


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


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def exit_politely() -> None:
    raise SystemExit(3)


def interrupt() -> None:
    raise KeyboardInterrupt


def unsendable(kind: str) -> Any:
    return UNSENDABLE[kind]()


def fail_oddly(kind: str) -> None:
    raise ODD_ERRORS[kind]()


def allocate(size_bytes: int) -> int:
    return len(b"x" * size_bytes)


def variables() -> list[str]:
    return sorted(os.environ)


def printed_environment() -> str:
    """Return what a program sees that is started here."""
    return subprocess.run(["env"], capture_output=True, text=True, check=True).stdout
