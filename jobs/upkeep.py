"""What a process looks after now and then, however long it takes.

A thread of its own, beside the heartbeat: a store of files that does not answer must
not have this process taken for dead.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, connection

from jobs import retention
from storage import upkeep
from storage.errors import StorageUnavailable

logger = logging.getLogger(__name__)

PERIOD_S = 60.0
REPAIR_S = 3600.0


class Upkeep(threading.Thread):
    """The thread. It begins after a period: the start of a process is waited for."""

    def __init__(self) -> None:
        super().__init__(name="upkeep", daemon=True)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Begin nothing more; what is under way ends with the process."""
        self._stopping.set()

    def run(self) -> None:
        """Look after files and overdue jobs until stopped."""
        repair_at = time.monotonic()
        while not self._stopping.wait(PERIOD_S):
            self._safely(upkeep.sweep)
            self._safely(retention.delete_overdue)
            if time.monotonic() >= repair_at:
                repair_at = time.monotonic() + REPAIR_S
                self._safely(upkeep.repair)
            connection.close()  # rather than hold one that is seldom used

    def _safely(self, action: Callable[[], None]) -> None:
        try:
            action()
        except (DatabaseError, StorageUnavailable) as error:
            connection.close()
            logger.warning("files were not looked after: %s", error)
        except Exception:
            logger.exception("files were not looked after")
