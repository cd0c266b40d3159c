"""What the commands need of the place where jobs are, and what both places share."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, Self

import msgspec
from django.core.management.base import CommandError

from jobs.models import TERMINAL
from jobs.requests import JobRequest

Json = dict[str, Any]


class JobQuery(NamedTuple):
    """Which jobs a list is to hold, from which cursor on."""

    limit: int
    start_key: str | None = None
    workflow_id: str | None = None
    status: str | None = None


class JobStore(Protocol):
    """The jobs of one user. Documents and messages are those of the API.

    A context manager: what runs in this process ends with it.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    @property
    def has_server(self) -> bool:
        """Whether somebody takes the jobs that this process leaves alone."""

    def page(self, query: JobQuery) -> Json:
        """Return jobs, the newest first, and the cursor of the next page."""

    def find(self, job_id: str) -> Json | None:
        """Return a job, None if there is none."""

    def start(self, request: JobRequest) -> Json:
        """Create a job; its id, workflow id and status."""

    def cancel(self, job_id: str) -> Json:
        """Cancel a job and wait for its end, a few seconds at most."""

    def pause(self, job_id: str) -> Json:
        """Pause a job; the job then."""

    def resume(self, job_id: str) -> Json:
        """Let a paused job go on; the job then."""

    def stored(self, job_id: str) -> Iterator[bytes]:
        """Yield the messages that are stored already."""

    def follow(
        self, job_id: str, *, after: int = 0, timeout_s: float | None = None
    ) -> Iterator[bytes]:
        """Yield the messages above a number, as they come, to the terminal one.

        Raises:
            TimeoutError: the job takes longer.
        """


def get(store: JobStore, job_id: str) -> Json:
    """Return a job; a missing one ends the command.

    Raises:
        CommandError: there is none.
    """
    job = store.find(job_id)
    if job is None:
        raise CommandError(f"Job {job_id} not found")
    return job


def is_terminal(message: Json) -> bool:
    """Tell whether nothing follows a message of a job."""
    return message["type"] == "job_update" and message["status"] in TERMINAL


def decode(line: bytes) -> Json:
    """Return a message."""
    message: Json = msgspec.json.decode(line)
    return message
