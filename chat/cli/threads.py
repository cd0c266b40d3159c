"""What the partners that keep threads have in common."""

from __future__ import annotations

from typing import Any, Protocol

from django.core.management.base import CommandError

from chat.cli.terminal import Partner

Json = dict[str, Any]


class ThreadPartner(Partner, Protocol):
    """A partner whose thread outlives the talk; None before the first message."""

    thread_id: str | None

    def threads(self, limit: int) -> list[Json]:
        """Return the newest threads as the API shows them."""
        ...


def no_thread(thread_id: str) -> CommandError:
    """Return the error for a thread that the user has not."""
    cure = "without --thread, /threads lists yours"
    return CommandError(f"Thread {thread_id} not found; {cure}")
