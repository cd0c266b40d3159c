"""The checker over what a server has stored, after each test (J-04)."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from tests.end_to_end.checker import TERMINAL, EventChecker
from tests.end_to_end.server import ServerProcess

PAGE = 500  # events
NEWEST = 50  # jobs at a time: most tests start a few, and a shared server has many
MAX_PAGES = 20  # of one job's events; the rest is the business of the test that made it


def assert_stored_jobs_valid(server: ServerProcess) -> None:
    """Check every job that ended since the last call, if the server still serves."""
    if not server.web.is_running:
        return
    for job in _new_jobs(server):
        checker = EventChecker(allow_text=tuple(server.allow_text))
        whole = _feed(server, job["id"], checker)
        if job["status"] not in TERMINAL:
            checker.assert_valid()
            continue
        server.checked_jobs.add(job["id"])
        if whole:
            checker.assert_complete(job["status"])


def _new_jobs(server: ServerProcess) -> Iterator[dict[str, Any]]:
    cursor: str | None = ""
    while cursor is not None:
        query = urllib.parse.urlencode({"limit": NEWEST, "start_key": cursor})
        page = _get(server, f"/api/jobs/?{query}")
        new = [job for job in page["jobs"] if job["id"] not in server.checked_jobs]
        yield from new
        cursor = page["next_start_key"] if new else None


def _feed(server: ServerProcess, job_id: str, checker: EventChecker) -> bool:
    """Feed the stored events; False when there were too many to read them all."""
    position: int | None = 0
    for _ in range(MAX_PAGES):
        page = _get(server, f"/api/jobs/{job_id}/events?after={position}&limit={PAGE}")
        checker.feed_all(page["events"])
        position = page["next"]
        if position is None:
            return True
    checker.assert_valid()
    return False


def _get(server: ServerProcess, path: str) -> Any:
    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    request = urllib.request.Request(server.base_url + path, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)
