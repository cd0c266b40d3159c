"""docs/performance.md, whole, from the results of a run."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.goals import GOALS, MODES, Goal
from tests.bench.results import Results, ScenarioResult

NOTES = Path(__file__).with_name("notes.md")
TITLES = {"embedded": "embedded", "scale_out": "scale-out"}


def render(results: Results) -> str:
    """The page as Markdown."""
    parts = [
        "# Performance",
        "Written by `make bench`; what is changed here by hand is lost.",
        _method(results),
        "## Goals and what was reached",
        goal_table(results),
        NOTES.read_text().strip(),
        "## Errors",
        "\n".join(_problems(results)) or "None in any repeat.",
        "## Every repeat",
        *_details(results),
    ]
    return "\n\n".join(parts) + "\n"


def _method(results: Results) -> str:
    calibrations = [
        repeat["calibration_ms"]
        for scenarios in results.modes.values()
        for scenario in scenarios.values()
        for repeat in scenario.repeats
    ]
    spread = (
        f"{statistics.median(calibrations):.0f} ms in the median, "
        f"{min(calibrations):.0f} to {max(calibrations):.0f}"
        if calibrations
        else "not taken"
    )
    return "\n".join(
        [
            f"- Measured {results.started:%Y-%m-%d %H:%M} UTC on {results.machine}.",
            f"- {results.software}.",
            f"- {results.repeats} repeats of each scenario, each with a fresh server "
            "(and worker) and empty data; client and server share the machine.",
            f"- Calibration, a fixed piece of JSON work before each repeat: {spread}. "
            "The goals were set where it read about 55 ms. The machine's speed varies, "
            "so compare figures of one run, or by their ratio to it.",
            "- Every answer is checked; a wrong or missing one counts as an error.",
        ]
    )


def goal_table(results: Results) -> str:
    """Each goal beside the median of the repeats, with the lowest and the highest."""
    modes = [mode for mode in MODES if mode in results.modes]
    head = ["figure", "old server"]
    for mode in modes:
        head += [f"{TITLES[mode]}: goal", "measured"]
    rows = [
        [goal.label, _with_unit(goal.old, goal.unit), *_cells(goal, results, modes)]
        for goal in GOALS
        if any(goal.scenario in results.modes[mode] for mode in modes)
    ]
    return _table(head, rows)


def _cells(goal: Goal, results: Results, modes: Sequence[str]) -> Iterator[str]:
    for mode in modes:
        limit = goal.limit(mode)
        sign = "≥" if goal.more_is_better else "≤"
        yield "" if limit is None else f"{sign} {_number(limit)} {goal.unit}".strip()
        scenario = results.modes[mode].get(goal.scenario, ScenarioResult())
        values = scenario.figures().get(goal.figure)
        if not values:
            yield "-"
            continue
        median = statistics.median(values)
        text = _number(median)
        if len(set(values)) > 1:
            text += f" ({_number(min(values))} to {_number(max(values))})"
        verdicts = {None: text, True: f"{text} ✓", False: f"**{text} ✗**"}
        yield verdicts[goal.is_met(mode, median)]


def _problems(results: Results) -> Iterator[str]:
    for mode, scenarios in results.modes.items():
        for name, scenario in scenarios.items():
            for problem in scenario.problems:
                yield f"- {TITLES[mode]}, {name}: `{problem}`"


def _details(results: Results) -> Iterator[str]:
    for mode, scenarios in results.modes.items():
        for name, scenario in scenarios.items():
            yield f"### {name}, {TITLES[mode]}"
            if scenario.skipped:
                yield f"Skipped: {scenario.skipped}."
                continue
            count = len(scenario.repeats)
            rows = [
                [figure, *(_number(value) for value in values)]
                for figure, values in scenario.figures().items()
            ]
            head = ["figure", *(f"repeat {n}" for n in range(1, count + 1))]
            yield _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def _with_unit(text: str, unit: str) -> str:
    is_number = text.replace(",", "").replace(".", "").lstrip("+").isdigit()
    return f"{text} {unit}".strip() if is_number else text


def _number(value: float) -> str:
    size = abs(value)
    if value == int(value) and size < 10_000:
        return str(int(value))
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{1 if size >= 10 else 2 if size >= 0.1 else 3}f}"
