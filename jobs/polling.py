"""Other processes on the same SQLite file: what they commit is noticed here.

There is no announcement between processes without Redis. ``PRAGMA data_version`` tells
in microseconds whether another connection has committed, so a job made by the command
line starts in the running server at once, and a run of ``nodetool run`` is seen there.
"""

from __future__ import annotations

from typing import Any

from jobs.engine_host import EngineHost, newest_commands
from jobs.feed import feed
from jobs.querysets import IS_LIVE

_SCHEDULED = f"SELECT 1 FROM jobs_job WHERE {IS_LIVE} AND status = 'scheduled' LIMIT 1"  # noqa: S608
_NEWEST = "SELECT id, last_seq FROM jobs_job WHERE id IN ({})"


class Poll:
    """Called on the writer's thread, with its connection, when it is idle."""

    def __init__(self, host: EngineHost) -> None:
        self._host = host
        self._version = -1
        self._commands: dict[str, int] = {}

    def __call__(self, connection: Any) -> bool:
        """Look whether somebody else has committed, and at what.

        Returns whether that was work for this process: a heartbeat is none.
        """
        connection.ensure_connection()
        # The driver's own connection: Django's cursor would cost ten times as much.
        raw = connection.connection
        version = raw.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return False
        self._version = version
        with connection.cursor() as cursor:
            cursor.execute(_SCHEDULED)
            is_waiting = cursor.fetchone() is not None
            if is_waiting:
                self._host.claim_waiting()
            held = self._host.held_jobs
            self._look_for_commands(held)
            is_read = self._look_for_events(cursor, set(held))
        return is_waiting or is_read or bool(held)

    def _look_for_commands(self, held: list[str]) -> None:
        newest = newest_commands(held)
        for job_id, command_id in newest.items():
            if self._commands.get(job_id) != command_id:
                self._host.wake_commands(job_id)
        self._commands = newest

    def _look_for_events(self, cursor: Any, held: set[str]) -> bool:
        readers = [reader for reader in feed.all_readers() if reader.job_id not in held]
        if not readers:
            return False
        job_ids = list({reader.job_id for reader in readers})[:500]
        marks = ", ".join(["%s"] * len(job_ids))
        cursor.execute(_NEWEST.format(marks), job_ids)
        newest = dict(cursor.fetchall())
        for reader in readers:
            if newest.get(reader.job_id, 0) > reader.cursor:
                reader.loop.call_soon_threadsafe(reader.look_again)
        return True
