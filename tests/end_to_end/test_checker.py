"""The checker that listens in every test has to find what it is there for."""

from typing import Any

import pytest

from tests.end_to_end.checker import EventChecker, check_stream

RESULT = {"outputs": {"text": ["hi"]}, "text": "hi"}


def job(status: str, **fields: Any) -> dict[str, Any]:
    if status in ("completed", "failed", "cancelled"):
        fields.setdefault("duration", 0.1)
    if status == "completed":
        fields.setdefault("result", RESULT)
    return {"type": "job_update", "status": status, "error": None, **fields}


def node(status: str, node_id: str = "n", **fields: Any) -> dict[str, Any]:
    values = {"node_id": node_id, "node_name": "Node", "status": status, **fields}
    return {"type": "node_update", **values}


def inside(kind: str, node_id: str = "n", **fields: Any) -> dict[str, Any]:
    return {"type": kind, "node_id": node_id, **fields}


def edge(status: str, counter: int | None = None) -> dict[str, Any]:
    return {"type": "edge_update", "edge_id": "e", "status": status, "counter": counter}


def numbered(*events: dict[str, Any], first: int = 1) -> list[dict[str, Any]]:
    common = {"job_id": "j", "workflow_id": None}
    return [{**common, "job_seq": n, **e} for n, e in enumerate(events, first)]


GOOD = (
    job("running"),
    node("running"),
    inside("node_progress", progress=0, total=2),
    inside("node_progress", progress=2, total=2),
    inside("chunk", content="hi"),
    node("completed"),
    edge("message_sent", 1),
    edge("message_sent", 3),
    edge("drained"),
    node("running", "out"),
    inside("output_update", "out", value="hi"),
    node("completed", "out"),
    job("completed"),
)


def test_a_whole_run_is_accepted():
    checker = check_stream(numbered(*GOOD), status="completed")

    assert checker.last_seq == len(GOOD)


def test_a_node_may_run_once_per_set_of_inputs():
    runs = [node("running"), node("completed")] * 3

    check_stream(numbered(job("running"), *runs, job("completed")))


def test_a_paused_run_that_went_on_is_accepted():
    paused = (job("suspended"), job("running"))

    check_stream(numbered(job("running"), *paused, job("completed")))


def test_a_cancelled_run_with_its_nodes_ended_is_accepted():
    cut = node("error", error="Cancelled")

    check_stream(numbered(job("running"), node("running"), cut, job("cancelled")))


def test_events_of_an_input_node_need_no_node_update():
    check_stream(numbered(job("running"), inside("log_update", "in"), job("completed")))


def test_a_reader_who_joined_late_needs_no_beginning():
    checker = EventChecker(after=5)

    checker.feed_all(numbered(node("completed"), job("completed"), first=6))

    checker.assert_complete("completed")


@pytest.mark.parametrize(
    ("problem", "events"),
    [
        ("follows", [*numbered(job("running")), *numbered(node("running"), first=3)]),
        ("follows", [*numbered(job("running")), *numbered(job("completed"))]),
        (
            "another job",
            [*numbered(job("running")), {**numbered(job("failed"))[0], "job_id": "x"}],
        ),
        (
            "lacks workflow_id",
            [{"type": "job_update", "job_id": "j", "job_seq": 1, "status": "running"}],
        ),
        ("precedes", numbered(job("completed"))),
        ("second `running`", numbered(job("running"), job("running"))),
        ("unknown status", numbered(job("running"), job("paused"))),
        (
            "after the terminal",
            numbered(job("running"), job("completed"), node("running")),
        ),
        (
            "after the terminal",
            numbered(
                job("running"), job("failed", error="x"), job("failed", error="x")
            ),
        ),
        ("still running", numbered(job("running"), node("running"), job("completed"))),
        ("without a reason", numbered(job("running"), job("failed"))),
        ("no duration", numbered(job("running"), job("cancelled", duration=None))),
        (
            "no result.outputs",
            numbered(job("running"), job("completed", result={"text": "hi"})),
        ),
        (
            "completed with an error",
            numbered(job("running"), job("completed", error="x")),
        ),
        (
            "failed",
            numbered(
                job("running"),
                node("running"),
                node("error", error="x"),
                job("completed"),
            ),
        ),
        ("runs already", numbered(job("running"), node("running"), node("running"))),
        ("without `running`", numbered(job("running"), node("completed"))),
        ("unknown node status", numbered(job("running"), node("failed"))),
        ("no node_name", numbered(job("running"), node("running", node_name=""))),
        (
            "error text",
            numbered(job("running"), node("running"), node("error", error="")),
        ),
        (
            "is not running",
            numbered(
                job("running"), node("running"), node("completed"), inside("chunk")
            ),
        ),
        (
            "decreases",
            numbered(
                job("running"),
                node("running"),
                *(inside("node_progress", progress=p, total=3) for p in (2, 1)),
            ),
        ),
        (
            "out of range",
            numbered(
                job("running"),
                node("running"),
                inside("node_progress", progress=4, total=3),
            ),
        ),
        (
            "integers",
            numbered(
                job("running"),
                node("running"),
                inside("node_progress", progress=0.5, total=1),
            ),
        ),
        (
            "does not rise",
            numbered(job("running"), edge("message_sent", 1), edge("message_sent", 1)),
        ),
        (
            "follows `drained`",
            numbered(job("running"), edge("drained"), edge("drained")),
        ),
        (
            "memory://",
            numbered(
                job("running"), inside("output_update", value={"uri": "memory://x"})
            ),
        ),
    ],
)
def test_a_violation_is_named(problem, events):
    checker = EventChecker().feed_all(events)

    with pytest.raises(AssertionError, match=problem):
        checker.assert_valid()


def test_a_run_without_its_terminal_event_is_not_complete():
    checker = EventChecker().feed_all(numbered(*GOOD[:-1]))

    checker.assert_valid()
    with pytest.raises(AssertionError, match="no terminal event"):
        checker.assert_complete()


def test_another_end_than_the_expected_one_is_an_error():
    with pytest.raises(AssertionError, match="failed != completed"):
        check_stream(
            numbered(job("running"), job("failed", error="boom")), status="completed"
        )
