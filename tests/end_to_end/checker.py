"""What must hold for the events of every job, whoever reads them and however.

A checker takes the events of one job in the order of their arrival and keeps what it
finds wrong. It knows no graph: only rules that hold for all of them (E-01, J-04, R43).
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Event = Mapping[str, Any]

TERMINAL = ("completed", "failed", "cancelled")
STATUSES = ("running", *TERMINAL, "suspended")
NODE_ENDS = ("completed", "error", "suspended")
# Come from inside a node, so between its `running` and its end.
NODE_EVENTS = (
    "node_progress",
    "chunk",
    "log_update",
    "output_update",
    "preview_update",
    "save_update",
    "notification",
)
# What no client may see, in any value.
FORBIDDEN_TEXT = ("memory://", "file://", "Traceback (most recent call last)")


@dataclass
class NodeState:
    """Where one node is: between runs, or in one."""

    running: bool = False
    progress: int = -1
    runs: int = 0


@dataclass
class EdgeState:
    counter: int = 0
    drained: bool = False


@dataclass
class EventChecker:
    """The rules for one job's events.

    Args:
        after: the number from which the reader asked to read on.
        allow_text: texts of ``FORBIDDEN_TEXT`` that this job's own values may carry.
    """

    after: int = 0
    allow_text: tuple[str, ...] = ()
    job_id: str | None = None
    last_seq: int = field(init=False)
    status: str | None = None
    problems: list[str] = field(default_factory=list)
    nodes: dict[str, NodeState] = field(default_factory=dict)
    edges: dict[str, EdgeState] = field(default_factory=dict)
    failed_nodes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.last_seq = self.after

    @property
    def from_start(self) -> bool:
        """Whether the reader saw everything, so that states are known."""
        return self.after == 0

    @property
    def is_over(self) -> bool:
        return self.status in TERMINAL

    def feed(self, event: Event) -> None:
        """Take the next event."""
        self._check_common(event)
        if self.is_over:
            self._wrong(event, f"comes after the terminal job_update {self.status}")
            return
        check = self._checks().get(event.get("type", ""))
        if check is not None:
            check(event)
        if event.get("type") in NODE_EVENTS:
            self._check_inside_node(event)

    def feed_all(self, events: Iterable[Event]) -> "EventChecker":
        for event in events:
            self.feed(event)
        return self

    def assert_valid(self) -> None:
        """Everything so far is right; the job need not be over."""
        assert not self.problems, "\n".join(self.problems)

    def assert_complete(self, status: str | None = None) -> None:
        """The whole job was read, to its one terminal event (J-04)."""
        self.assert_valid()
        assert self.is_over, f"job {self.job_id} has no terminal event: {self.status}"
        assert status is None or self.status == status, f"{self.status} != {status}"

    def _checks(self) -> dict[str, Callable[[Event], None]]:
        return {
            "job_update": self._job_update,
            "node_update": self._node_update,
            "node_progress": self._node_progress,
            "edge_update": self._edge_update,
        }

    def _wrong(self, event: Event, message: str) -> None:
        if len(self.problems) < 20:
            self.problems.append(f"{message}: {json.dumps(event, default=str)[:300]}")

    def _require(self, condition: bool, event: Event, message: str) -> None:
        if not condition:
            self._wrong(event, message)

    def _check_common(self, event: Event) -> None:
        for name in ("type", "job_id", "workflow_id", "job_seq"):
            self._require(name in event, event, f"lacks {name}")
        self.job_id = self.job_id or event.get("job_id")
        self._require(event.get("job_id") == self.job_id, event, "is of another job")
        number = event.get("job_seq")
        self._require(
            number == self.last_seq + 1,
            event,
            f"job_seq {number} follows {self.last_seq}",
        )
        if isinstance(number, int):
            self.last_seq = number
        text = json.dumps(event, default=str, ensure_ascii=False)
        for forbidden in set(FORBIDDEN_TEXT) - set(self.allow_text):
            self._require(forbidden not in text, event, f"carries {forbidden!r}")

    def _job_update(self, event: Event) -> None:
        status = event.get("status")
        self._require(status in STATUSES, event, f"unknown status {status!r}")
        if status == "running":
            first = self.status is None and event.get("job_seq") == 1
            resumed = self.status == "suspended" or not self.from_start
            self._require(first or resumed, event, "second `running` without a pause")
        elif self.from_start:
            self._require(
                self.status is not None, event, "precedes the first `running`"
            )
        if status in TERMINAL:
            self._check_end(event)
        self.status = status

    def _check_end(self, event: Event) -> None:
        left = [node for node, state in self.nodes.items() if state.running]
        self._require(not left, event, f"nodes {left} are still running")
        self._require(
            isinstance(event.get("duration"), int | float), event, "has no duration"
        )
        if event["status"] == "completed":
            result = event.get("result")
            outputs = isinstance(result, Mapping) and result.get("outputs")
            self._require(isinstance(outputs, Mapping), event, "has no result.outputs")
            self._require(event.get("error") is None, event, "completed with an error")
            self._require(
                not self.failed_nodes,
                event,
                f"completed though {self.failed_nodes} failed",
            )
        elif event["status"] == "failed":
            self._require(bool(event.get("error")), event, "failed without a reason")

    def _node_update(self, event: Event) -> None:
        state = self.nodes.setdefault(event["node_id"], NodeState())
        self._require(bool(event.get("node_name")), event, "has no node_name")
        status = event.get("status")
        if status == "running":
            self._require(not state.running, event, "runs already")
            state.running, state.progress = True, -1
            state.runs += 1
        elif status in NODE_ENDS:
            # A node that cannot be loaded has an error and never ran.
            refused = status == "error" and not state.runs
            known = state.running or refused or not self.from_start
            self._require(known, event, f"{status} without `running`")
            state.running = False
        else:
            self._wrong(event, f"unknown node status {status!r}")
        if status == "error":
            self.failed_nodes.append(event["node_id"])
            text = event.get("error") or ""
            self._require(
                0 < len(text) <= 1000, event, "error text is empty or too long"
            )

    def _node_progress(self, event: Event) -> None:
        progress, total = event.get("progress"), event.get("total")
        if not (isinstance(progress, int) and isinstance(total, int)):
            self._wrong(event, "progress and total are not both integers")
            return
        state = self.nodes.setdefault(event["node_id"], NodeState())
        self._require(0 <= progress <= total, event, "progress is out of range")
        self._require(progress >= state.progress, event, "progress decreases")
        state.progress = progress

    def _edge_update(self, event: Event) -> None:
        state = self.edges.setdefault(event["edge_id"], EdgeState())
        self._require(not state.drained, event, "follows `drained`")
        if event.get("status") == "drained":
            state.drained = True
        else:
            counter = event.get("counter") or 0
            self._require(counter > state.counter, event, "counter does not rise")
            state.counter = counter

    def _check_inside_node(self, event: Event) -> None:
        node_id = event.get("node_id")
        state = self.nodes.get(node_id or "")
        # Input nodes have no node_update; lines of the job itself have no node.
        if state is not None and self.from_start:
            self._require(state.running, event, f"node {node_id} is not running")


def check_stream(events: Iterable[Event], *, status: str | None = None) -> EventChecker:
    """Check a job's whole stream at once; returns what was learned of it."""
    checker = EventChecker().feed_all(events)
    checker.assert_complete(status)
    return checker
