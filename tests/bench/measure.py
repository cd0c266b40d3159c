"""Taking times: percentiles, windows of work, and the machine's own speed."""

import asyncio
import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Figures = dict[str, Any]
now = time.perf_counter


class ScenarioSkipped(Exception):
    """The server has not what this scenario measures."""


class WrongAnswer(Exception):
    """The server answered, but not what it had to."""


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The value below which ``percent`` of ``values`` lie, between two if need be."""
    if not values:
        return None
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def spread(prefix: str, seconds: Sequence[float]) -> Figures:
    """Three percentiles of ``seconds``, in milliseconds, as figures."""
    ms = [value * 1000 for value in seconds]
    return {f"{prefix}_p{p}_ms": percentile(ms, p) for p in (50, 95, 99)}


def describe(error: BaseException) -> str:
    """A short line without the parts that vary, so that equal errors count as one."""
    text = f"{type(error).__name__}: {error}"
    return re.sub(r"0x[0-9a-f]+|\d+", "#", text)[:200]


@dataclass
class Window:
    """What came of the work done in a stretch of time."""

    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    elapsed_s: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.elapsed_s


async def for_window(
    work: Callable[[], Awaitable[object]],
    *,
    concurrency: int,
    seconds: float,
    at_least: int = 0,
) -> Window:
    """Let ``concurrency`` workers repeat ``work`` for a time and a number of calls."""
    window, start = Window(), now()

    def is_over() -> bool:
        elapsed = now() - start
        done = len(window.latencies) + window.errors.total()
        hopeless = window.errors.total() > 2000 or elapsed > seconds + 60
        return hopeless or (elapsed >= seconds and done >= at_least)

    async def repeat() -> None:
        while not is_over():
            began = now()
            try:
                await work()
            except Exception as error:
                window.errors[describe(error)] += 1
            else:
                window.latencies.append(now() - began)

    await asyncio.gather(*(repeat() for _ in range(concurrency)))
    window.elapsed_s = now() - start
    return window


def calibrate() -> float:
    """Milliseconds that a fixed piece of JSON work takes on this machine just now.

    Taken before every repeat: times of different minutes compare by their ratio to it.
    """
    message: Figures = {
        "type": "node_update",
        "node_id": "n1",
        "status": "running",
        "properties": {"a": "hello", "b": 1.5, "c": [1, 2, 3]},
    }

    def once() -> float:
        began = now()
        for number in range(4000):
            message["job_seq"] = number
            json.loads(json.dumps(message))
        return (now() - began) * 1000

    return statistics.median(once() for _ in range(3))


def summarise(repeats: Sequence[Figures]) -> dict[str, list[float]]:
    """Each figure's values over the repeats, in order; only numbers have any."""
    names = dict.fromkeys(name for repeat in repeats for name in repeat)
    return {
        name: values
        for name in names
        if (values := [r[name] for r in repeats if _is_number(r.get(name))])
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
