"""What a benchmark run found, as it is kept in a file."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from tests.bench.measure import Figures, summarise

PACKAGES = ("Django", "daphne", "channels", "celery", "msgspec", "psycopg", "uvloop")


class ScenarioResult(msgspec.Struct):
    """One scenario in one mode: each repeat had a fresh server and fresh data."""

    repeats: list[Figures] = []
    failed: list[str] = []
    skipped: str | None = None

    @property
    def problems(self) -> list[str]:
        """Every wrong answer and failure, one line each."""
        found = [
            f"repeat {number}: {repeat['problems']}"
            for number, repeat in enumerate(self.repeats, 1)
            if repeat.get("problems")
        ]
        return [*found, *self.failed]

    def figures(self) -> dict[str, list[float]]:
        return summarise(self.repeats)


class Results(msgspec.Struct):
    started: datetime
    machine: str
    software: str
    repeats: int
    quick: bool
    stream_items: int
    modes: dict[str, dict[str, ScenarioResult]]

    def save(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)))

    @classmethod
    def load(cls, path: Path) -> "Results":
        return msgspec.json.decode(path.read_bytes(), type=cls)

    @classmethod
    def begin(
        cls, modes: list[str], *, repeats: int, quick: bool, stream_items: int
    ) -> "Results":
        system = (
            f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f} before it began"
        )
        names = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        return cls(
            started=datetime.now(UTC),
            machine=system,
            software=f"Python {platform.python_version()}, {names}",
            repeats=repeats,
            quick=quick,
            stream_items=stream_items,
            modes={mode: {} for mode in modes},
        )
