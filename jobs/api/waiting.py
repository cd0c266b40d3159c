"""Waiting for the end of a run without reading what happens before it."""

from __future__ import annotations

import asyncio

import msgspec

from jobs import feed
from jobs.api.documents import terminal_event
from jobs.api.reads import read_job, read_outcome
from jobs.batches import Batch
from jobs.feed import Reader
from jobs.models import TERMINAL
from nodetool_site.lib.db import db

_SUSPENDED = b'"type":"job_update","status":"suspended"'


class _Status(msgspec.Struct):
    type: str
    status: str = ""


_decode_status = msgspec.json.Decoder(_Status).decode


def is_suspension(line: bytes) -> bool:
    """Whether an event says that its job is held until somebody resumes it."""
    if _SUSPENDED not in line:
        return False
    event = _decode_status(line)  # a node's value may look like one
    return event.type == "job_update" and event.status == "suspended"


class EndReader(Reader):
    """A reader that keeps one event: the end of the run, or its suspension.

    All others pass by: no page is read for them, however many there are.
    """

    def __init__(self, job_id: str, *, owner_id: str) -> None:
        super().__init__(job_id, owner_id=owner_id)
        self._outcome: bytes | None = None
        self._must_look = False

    def on_batch(self, batch: Batch) -> None:
        """Take the last event of ``batch`` if it ends or holds the job."""
        self.last_heard = self.loop.time()
        if not batch.body:
            # Numbers only. The cursor stays behind, so that the check of silent
            # readers reads the log if nothing follows.
            if batch.is_final:
                self.look_again()
            return
        self.cursor = max(self.cursor, batch.last_seq)
        line = batch.body[batch.body.rfind(b"\n") + 1 :]
        if batch.is_final or is_suspension(line):
            self._outcome = line
            self._event.set()

    def look_again(self) -> None:
        """Ask the database where the job stands."""
        self.last_heard = self.loop.time()
        self._must_look = True
        self._event.set()

    def end(self) -> None:
        """Note that the job has ended."""
        self.look_again()

    async def outcome(self) -> bytes:
        """Wait for the terminal ``job_update``, or for one that says suspended."""
        while self._outcome is None:
            await self._event.wait()
            self._event.clear()
            if self._outcome is None and self._must_look:
                self._must_look = False
                self._outcome = await db(_stored_outcome, self.owner_id, self.job_id)
        return self._outcome

    async def end_of_job(self) -> None:
        """Wait for the terminal ``job_update``."""
        while _decode_status(await self.outcome()).status not in TERMINAL:
            self._outcome = None


def open_end_reader(job_id: str, owner_id: str) -> EndReader:
    """A listening reader: opened before the job is created, or told to look again."""
    reader = EndReader(job_id, owner_id=owner_id)
    feed.feed.add(reader)
    return reader


async def wait_for_outcome(reader: EndReader, timeout_s: float | None) -> bytes | None:
    """``reader.outcome``, or None if it has not come in time."""
    try:
        async with asyncio.timeout(timeout_s):
            return await reader.outcome()
    except TimeoutError:
        return None


def _stored_outcome(owner_id: str, job_id: str) -> bytes | None:
    found = read_outcome(job_id)
    if found is None:
        return None
    status, line = found
    if line is None and status in TERMINAL:
        job = read_job(owner_id, job_id)
        return None if job is None else terminal_event(job)
    return line
