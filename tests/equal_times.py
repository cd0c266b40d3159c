"""Whether two answers take equally long, on a machine that does other things too."""

import statistics
import time
from collections.abc import Awaitable, Callable

Ask = Callable[[], Awaitable[object]]
ROUNDS = 16


async def least_ratio(first: Ask, second: Ask, *, enough: float, tries: int) -> float:
    """How much longer the slower of the two takes, in the best of some rounds.

    Noise may spoil a round, and a difference that is there shows in all. The first
    that is below ``enough`` is the last.
    """
    least = float("inf")
    for _ in range(ROUNDS):
        least = min(least, await _ratio_of_medians(first, second, tries))
        if least < enough:
            break
    return least


async def _ratio_of_medians(first: Ask, second: Ask, tries: int) -> float:
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(tries):
        pair = list(zip((first, second), took, strict=True))
        for ask, times in pair if number % 2 else reversed(pair):
            started = time.perf_counter()
            await ask()
            times.append(time.perf_counter() - started)
    medians = [statistics.median(times) for times in took]
    return max(medians) / min(medians)
