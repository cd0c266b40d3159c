"""A run as server-sent events: a reader, framed.

The stream's memory is one page. Whoever iterates it waits for the client between the
pieces, so a client that does not read holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from django.conf import settings
from django.http import StreamingHttpResponse

from jobs import feed
from jobs.api.documents import gap_event, terminal_event
from jobs.api.reads import read_job
from jobs.api.waiting import is_suspension
from jobs.feed import Page, Reader
from jobs.models import Status
from jobs.services import JobState
from nodetool_site.lib import sse
from nodetool_site.lib.db import db
from nodetool_site.lib.lifecycle import stopping
from storage.identity import Identity
from storage.leases import leases
from storage.rendering import has_references, render_json

FIRST_BYTES_S = 0.5
RETRY_MS = 2000


@dataclass(slots=True, frozen=True)
class StreamOptions:
    """What a client asks of its stream.

    ``head`` goes out first. ``on_hang_up`` is called if the client leaves before the
    stream has ended.
    """

    identity: Identity
    base_url: str
    with_done: bool = False
    head: bytes = b""
    on_hang_up: Callable[[], None] | None = None

    @property
    def owner_id(self) -> str:
        """The caller's id."""
        return self.identity.user_id


class EventStream:
    """The events of one job, framed; ends behind the terminal one.

    ``close`` must be called, also where nobody has begun to iterate.
    """

    def __init__(
        self, job_id: str, options: StreamOptions, *, after: int = 0, is_new: bool
    ) -> None:
        self._options = options
        self._wake = asyncio.Event()
        self._reader: Reader = feed.open_reader(
            job_id,
            owner_id=options.owner_id,
            after=after,
            wake=self._wake.set,
            is_new=is_new,
        )
        self._id = job_id.encode()
        self._workflow_id = ""
        self._has_begun = False
        self._has_ended = False
        # A job that has ended by now: whatever the log lacks of it will not come.
        self._ended_at: int | None = None
        self._held_until: float | None = None
        self._loop = asyncio.get_running_loop()
        self._silent_until = self._loop.time() + FIRST_BYTES_S
        self._lease = leases.open(options.identity, self._wake.set)
        stopping.add_listener(self._wake.set)

    def begin(self, state: JobState) -> None:
        """Note where the job stands; a job that was there before has to be read."""
        self._has_begun = True
        self._workflow_id = state.workflow_id
        if not state.is_new:
            self._reader.look_again()
        if state.is_terminal:
            self._ended_at = state.last_seq
        if state.status in (Status.PAUSED, Status.SUSPENDED):
            self._hold()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes to send, a page in one piece."""
        if self._options.head:
            yield self._sent(self._options.head)
        while not self._has_ended:
            self._wake.clear()
            page = None if self._cut() else await self._reader.patient_page()
            if cut := self._cut():
                yield self._end(cut)
                return
            if page is not None:
                self._note(page)
                async for piece in self._framed(page):
                    yield self._sent(piece)
            elif self._ended_at is not None or self._reader.is_done:
                yield await self._rest()
            elif not await self._something_new():
                if self._is_given_up():
                    self._has_ended = True
                    return
                yield self._sent(sse.KEEP_ALIVE)
        if self._options.with_done:
            yield sse.DONE

    def close(self) -> None:
        """Stop reading. The job goes on unless its starter wanted otherwise."""
        self._reader.close()
        leases.close(self._lease)
        stopping.remove_listener(self._wake.set)
        is_cut = self._has_begun and not self._has_ended
        self._has_ended = True
        if is_cut and self._options.on_hang_up is not None:
            self._options.on_hang_up()

    def _sent(self, piece: bytes) -> bytes:
        self._silent_until = self._loop.time() + settings.KEEPALIVE_SECONDS
        return piece

    def _cut(self) -> bytes:
        """What to say where the stream has to end before its job."""
        if stopping.is_set():
            return sse.SHUTDOWN
        is_over = self._lease is not None and self._lease.is_over
        return sse.SIGNED_OUT if is_over else b""

    def _end(self, piece: bytes) -> bytes:
        self._has_ended = True
        return piece

    def _note(self, page: Page) -> None:
        self._has_ended = page.is_final
        self._held_until = None
        if is_suspension(page.lines[-1]):
            self._hold()

    def _hold(self) -> None:
        self._held_until = self._loop.time() + settings.SSE_SUSPEND_TIMEOUT

    def _is_given_up(self) -> bool:
        return self._held_until is not None and self._loop.time() >= self._held_until

    async def _something_new(self) -> bool:
        """Wait until there may be a page, a comment is due, or patience ends."""
        deadline = self._silent_until
        if self._held_until is not None:
            deadline = min(deadline, self._held_until)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._wake.wait()
                return True
        return False

    async def _framed(self, page: Page) -> AsyncIterator[bytes]:
        """A page's events in one piece; those with references each by itself.

        What is put back for a reference may be large, so no two are held at once.
        """
        parts: list[bytes] = []
        if page.missing_before is not None:
            parts.append(self._gap(page.missing_before))
        first_seq = page.last_seq - len(page.lines) + 1
        for seq, line in enumerate(page.lines, first_seq):
            if not has_references(line):
                parts.append(b"id: %b:%d\ndata: %b\n\n" % (self._id, seq, line))
                continue
            if parts:
                yield sse.one_line_each(b"".join(parts))
                parts = []
            yield await self._rendered(seq, line)
        if parts:
            yield sse.one_line_each(b"".join(parts))

    async def _rendered(self, seq: int, line: bytes) -> bytes:
        options = self._options
        if has_references(line):
            line = await render_json(
                line, owner_id=options.owner_id, base_url=options.base_url
            )
        return sse.one_line_each(b"id: %b:%d\ndata: %b\n\n" % (self._id, seq, line))

    async def _rest(self) -> bytes:
        """What is left of a job that has ended, where the log has no more of it."""
        self._has_ended = True
        job = await db(read_job, self._options.owner_id, self._reader.job_id)
        if job is None or not job.is_terminal or self._reader.cursor >= job.last_seq:
            return b""
        event = await self._rendered(job.last_seq, terminal_event(job))
        return self._gap(job.last_seq) + event

    def _gap(self, next_seq: int) -> bytes:
        return sse.event(gap_event(self._reader.job_id, self._workflow_id, next_seq))


def stream_response(stream: EventStream, job_id: str) -> StreamingHttpResponse:
    """The answer whose body is ``stream``; closing it closes the stream."""
    return StreamingHttpResponse(
        stream,
        content_type=sse.CONTENT_TYPE,
        headers={**sse.HEADERS, "X-Job-Id": job_id},
    )
