"""A command on a terminal, as somebody who types has it."""

import os
import pty
import signal
import subprocess
from contextlib import suppress
from typing import Self

import psutil

from tests.end_to_end.processes import wait_until
from tests.end_to_end.server import ServerProcess, nodetool_argv


class Terminal:
    """A command beside a server, with a pseudo-terminal for its standard streams.

    Used as a context manager; it is there when the command waits for a line.
    """

    def __init__(self, server: ServerProcess, *words: str) -> None:
        self.main, child = pty.openpty()
        self.process = subprocess.Popen(
            nodetool_argv(*words),
            env={**server.env, "TERM": "dumb"},
            cwd=server.folder,
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
        )
        os.close(child)
        os.set_blocking(self.main, False)
        self.seen = ""

    def __enter__(self) -> Self:
        self.wait_for("> ")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.main)

    def interrupt(self) -> None:
        """Press Ctrl-C, once the command waits.

        One that comes while readline begins to wait is heard with the next key alone.
        """
        command = psutil.Process(self.process.pid)
        wait_until(
            lambda: command.status() == psutil.STATUS_SLEEPING,
            what="a command that waits",
            timeout_s=30,
        )
        self.process.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        """Do as ``kill`` does."""
        self.process.send_signal(signal.SIGTERM)

    def type(self, line: str) -> None:
        """Type a line; what was shown before is forgotten."""
        self.seen = ""
        os.write(self.main, f"{line}\n".encode())

    def wait_for(self, text: str) -> None:
        """Wait until a text has been shown."""
        wait_until(lambda: text in self._read(), what=f"{text!r}", timeout_s=30)

    def wait(self) -> int:
        """Wait for the command's end; its exit code. ``seen`` is all it has shown."""

        def has_ended() -> bool:
            has_ended = self.process.poll() is not None
            self._read()
            return has_ended

        wait_until(has_ended, what="the end", timeout_s=30)
        return self.process.returncode

    def _read(self) -> str:
        with suppress(OSError):  # nothing to read, or nobody writes any more
            self.seen += os.read(self.main, 65_536).decode().replace("\r\n", "\n")
        return self.seen
