"""A process of the product, started as a user starts it, with its log kept."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.services import left_over

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 40
POLL_S = 0.02

# Lines that no run may log, whatever a client does.
FAULTS = re.compile(
    r"Traceback \(most recent call last\)"
    r"|Unhandled (error|exception)"
    r"|exception was never retrieved"
    r"|was never awaited"
    r"|Exception ignored in"
    r"|Fatal Python error"
)


def wait_until(
    condition: Callable[[], bool], *, what: str, timeout_s: float = START_TIMEOUT_S
) -> None:
    """Ask until it is so.

    Raises:
        TimeoutError: it did not become so in time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(POLL_S)


class ProductProcess:
    """A process in a group of its own, with everything it prints in a file."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log_path: Path,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.env = dict(env)
        self.cwd = cwd
        self.log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None
        self._checked = 0

    def spawn(self) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                cwd=self.cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        left_over.remember(self._process.pid)

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def require_running(self) -> None:
        """Raise with the end of the log when the process has ended."""
        if not self.is_running:
            code = self._process and self._process.returncode
            raise RuntimeError(f"{self.name} ended ({code}):\n{self.log()[-4000:]}")

    def terminate(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM, and the exit code.

        Raises:
            TimeoutError: it did not end in time; then its group is killed.
        """
        if self._process is None:
            return 0
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            self.kill9()
            raise TimeoutError(f"{self.name} ignored SIGTERM") from error
        finally:
            self._kill_group()

    def kill9(self) -> None:
        """SIGKILL to the process and everything that it started."""
        self._kill_group()
        if self._process is not None:
            self._process.wait()

    def suspend(self) -> None:
        """SIGSTOP: alive for the system, dead for everybody else."""
        os.killpg(self.pid, signal.SIGSTOP)

    def unsuspend(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def _kill_group(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            left_over.forget(self._process.pid)

    def rss_bytes(self) -> int:
        """Resident memory of the process and its children."""
        total = 0
        process = psutil.Process(self.pid)
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += member.memory_info().rss
        return total

    def log(self) -> str:
        return (
            self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        )

    def mark_log(self) -> None:
        """What is logged up to here belongs to nobody who asks later."""
        self._checked = len(self.log())

    def faults(self, allow: Sequence[str] = ()) -> list[str]:
        """Each fault logged since the last mark, with the lines that follow it."""
        text = self.log()[self._checked :]
        self._checked += len(text)
        lines = text.splitlines()
        found = (
            "\n".join(lines[max(0, n - 2) : n + 80])
            for n, line in enumerate(lines)
            if FAULTS.search(line)
        )
        return [f for f in found if not any(re.search(pattern, f) for pattern in allow)]
