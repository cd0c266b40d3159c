"""The stored events of a job as rows of a page, however many and large they are."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from jobs.feed import read_page

MAX_ROWS = 100
MAX_DETAILS = 2_000
COMMON = ("type", "job_id", "workflow_id", "job_seq", "ts", "node_id", "node_name")


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event; ``details`` is its own fields as JSON, cut to a readable length."""

    seq: int
    at: datetime
    type: str
    node: str
    details: str


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events in order. ``next_after`` leads to the next page; None: the last."""

    rows: list[EventRow]
    next_after: int | None
    missing_before: int | None


def read_events(job_id: str, after: int) -> EventPage:
    """Return the events above ``after``: one page of the log at most is read."""
    page = read_page(job_id, after)
    if page is None:
        return EventPage([], None, None)
    rows = [_row(line) for line in page.lines[:MAX_ROWS]]
    is_last = page.is_final and len(page.lines) <= MAX_ROWS
    return EventPage(rows, None if is_last else rows[-1].seq, page.missing_before)


def _row(line: bytes) -> EventRow:
    event: dict[str, Any] = msgspec.json.decode(line)
    own = {name: value for name, value in event.items() if name not in COMMON}
    details = msgspec.json.encode(
        {name: value for name, value in own.items() if value is not None}
    ).decode()
    if len(details) > MAX_DETAILS:
        rest = len(details) - MAX_DETAILS
        details = f"{details[:MAX_DETAILS]} … {rest:,} characters more"
    return EventRow(
        seq=event["job_seq"],
        at=datetime.fromtimestamp(event.get("ts", 0), UTC),
        type=event["type"],
        node=event.get("node_name") or event.get("node_id") or "",
        details=details,
    )
