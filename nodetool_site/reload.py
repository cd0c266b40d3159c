"""``serve --reload``: run the server in a child, and again when a source changes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from django.apps import apps

INTERVAL_S = 1.0
STOP_S = 30.0


def run_with_reload(argv: list[str]) -> int:
    """Run ``argv`` until it ends by itself; a change of a source starts it anew."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    seen = dict(_sources())
    child = subprocess.Popen(argv)  # noqa: S603 - this very program
    try:
        while child.poll() is None:
            time.sleep(INTERVAL_S)
            now = dict(_sources())
            if now != seen:
                seen = now
                sys.stderr.write("A source has changed, starting again\n")
                _stop(child)
                child = subprocess.Popen(argv)  # noqa: S603 - this very program
    except KeyboardInterrupt:
        _stop(child)
    finally:
        signal.signal(signal.SIGTERM, before)
    return child.returncode


def _sources() -> Iterator[tuple[Path, int]]:
    own = Path(__file__).parent.parent
    for app in apps.get_app_configs():
        folder = Path(app.path)
        if folder.is_relative_to(own):
            for file in folder.rglob("*.py"):
                yield file, file.stat().st_mtime_ns


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
