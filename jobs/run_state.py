"""The ``run_state`` object: the finer status beside the word on the wire."""

from __future__ import annotations

from typing import Any

from jobs.models import Status

RESUMABLE = frozenset({Status.PAUSED, Status.SUSPENDED})


def wire_status(status: str) -> str:
    """The status as clients see it: a paused job is ``suspended``."""
    return Status.SUSPENDED.value if status == Status.PAUSED else status


def run_state(
    status: str,
    *,
    reason: str | None = None,
    error: str | None = None,
    strategy: str = "threaded",
) -> dict[str, Any]:
    """The object of ``job_update.run_state`` and of a job over REST."""
    return {
        "status": str(status),
        "suspended_node_id": None,
        "suspension_reason": reason,
        "error_message": error,
        "execution_strategy": strategy,
        "is_resumable": status in RESUMABLE,
    }
