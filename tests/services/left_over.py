"""Processes that a run started and did not live to end.

Each has a process group of its own, so that it can be killed with its children; so a
killed test run does not take it along. Its number is a file in the run's folder for as
long as it lives.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

CLOCK_ERROR_S = 1
VARIABLE = "TEST_PROCESS_FOLDER"


def remember(process: int) -> None:
    """Note a process group that this run has to end."""
    if VARIABLE in os.environ:
        (Path(os.environ[VARIABLE]) / str(process)).touch()


def forget(process: int) -> None:
    if VARIABLE in os.environ:
        (Path(os.environ[VARIABLE]) / str(process)).unlink(missing_ok=True)


def kill_all(folder: Path) -> None:
    """Kill every noted group that is still led by the process of that time."""
    for note in folder.iterdir():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            born = psutil.Process(int(note.name)).create_time()
            if born <= note.stat().st_mtime + CLOCK_ERROR_S:
                os.killpg(int(note.name), signal.SIGKILL)
