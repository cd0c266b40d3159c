"""The benchmark's own arithmetic: a wrong verdict there would go unnoticed."""

import pytest

from tests.bench import graphs, page
from tests.bench.goals import GOALS, MODES, Goal
from tests.bench.measure import WrongAnswer, describe, for_window, percentile, summarise
from tests.bench.results import Results, ScenarioResult
from tests.bench.scenarios import SCENARIOS
from tests.bench.target import JobTimes


def results_of(figure: str, *values: float, **fields: object) -> Results:
    results = Results.begin(list(MODES), repeats=3, quick=False, stream_items=10)
    repeats = [{"calibration_ms": 50.0, figure: value, **fields} for value in values]
    for mode in MODES:
        results.modes[mode]["S1"] = ScenarioResult(repeats=list(repeats))
    return results


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 2.5), (100, 4)])
def test_percentile_lies_between_its_neighbours(percent, expected):
    assert percentile([4, 1, 3, 2], percent) == expected


def test_percentile_of_nothing_is_nothing():
    assert percentile([], 50) is None


def test_equal_errors_are_described_equally():
    assert describe(ValueError("port 12 at 0x7f")) == describe(
        ValueError("port 9 at 0x1")
    )


async def test_a_window_counts_errors_apart_from_latencies():
    calls = iter(range(100))

    async def every_other_fails():
        if next(calls) % 2:
            raise WrongAnswer("no")

    window = await for_window(every_other_fails, concurrency=1, seconds=0, at_least=10)

    assert len(window.latencies) == window.errors["WrongAnswer: no"] == 5


def test_only_numbers_are_summarised():
    assert summarise([{"a": 1, "problems": {}}, {"a": 2, "b": 0.5}]) == {
        "a": [1, 2],
        "b": [0.5],
    }


def test_a_job_without_its_output_is_a_wrong_answer():
    with pytest.raises(WrongAnswer):
        JobTimes(status="completed", values=["other"]).require("hello world")


@pytest.mark.parametrize(
    ("value", "more_is_better", "is_met"),
    [(4, False, True), (4.1, False, False), (4, True, True), (3.9, True, False)],
)
def test_a_goal_knows_its_better_side(value, more_is_better, is_met):
    goal = Goal("x", "S1", "x", embedded=4, more_is_better=more_is_better)

    assert goal.is_met("embedded", value) is is_met
    assert goal.is_met("scale_out", value) is None


def test_every_goal_belongs_to_a_scenario():
    assert {goal.scenario for goal in GOALS} <= set(SCENARIOS)


def test_the_page_shows_median_and_verdict_beside_the_goal():
    text = page.render(results_of("run_p50_ms", 3.5, 9.0, 3.0))

    row = next(line for line in text.splitlines() if "S1 tiny" in line)
    assert "≤ 4 ms | 3.50 (3 to 9) ✓" in row


def test_the_page_marks_a_missed_goal():
    assert "**5 ✗**" in page.render(results_of("run_p50_ms", 5.0))


def test_the_page_lists_every_problem():
    text = page.render(results_of("run_p50_ms", 3.0, problems={"WrongAnswer: no": 2}))

    assert "- embedded, S1: `repeat 1: {'WrongAnswer: no': 2}`" in text


def test_results_survive_their_file(tmp_path):
    results = results_of("run_p50_ms", 3.0)

    results.save(tmp_path / "results.json")

    assert Results.load(tmp_path / "results.json") == results


def test_graphs_have_the_size_that_their_name_says():
    chain, fan = graphs.chain(1000), graphs.fan(200)

    assert len(chain["nodes"]) == 1002
    assert len(chain["edges"]) == 1001
    assert sum(edge["targetHandle"] == "strings" for edge in fan["edges"]) == 200
