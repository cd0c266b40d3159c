"""A stream of a completion that is a job: events with numbers, from any of them on.

The events are made anew from the job's log, so that each has the same number for every
reader. The stream's memory is a page of the log; whoever iterates it waits for the
client between the pieces.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from django.conf import settings

from chat.errors import CompletionFailed
from chat.openai_api.completion_jobs import StoredCompletion
from chat.openai_api.errors import describe
from chat.openai_api.event_writer import EventWriter, failed
from jobs import feed, process
from jobs.feed import Page
from nodetool_site.lib import sse
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import BadRequest, Unauthorized, Unavailable
from nodetool_site.lib.lifecycle import stopping
from storage.identity import Identity
from storage.leases import leases
from workflows.providers.calls import Call
from workflows.providers.messages import ChatRequest, Chunk


class NoSuchEvent(BadRequest):
    """``Last-Event-ID`` names an event that the completion does not have."""

    default_message = "Last-Event-ID is no number of an event of this completion"


class ResumableStream:
    """The events above the number ``after``, framed; ends behind ``[DONE]``.

    ``close`` must be called, also where nobody has begun to iterate. The job goes on
    whoever leaves. Where the credential or the server ends before the job, the last
    event is an error without a number: it belongs to this connection alone.
    """

    def __init__(
        self,
        completion: StoredCompletion,
        *,
        identity: Identity,
        base_url: str,
        after: int = 0,
        is_new: bool = False,
    ) -> None:
        process.listen()
        form = completion.form
        self._after = after
        self._count = 0
        self._ready: list[bytes] = []
        self._is_over = False
        self._reading = completion.reading(owner_id=identity.user_id, base_url=base_url)
        request = ChatRequest(model=form.model, messages=())
        self._calls = [Call(index, request) for index in range(form.choices)]
        self._left = form.choices
        self._events = EventWriter(
            completion.head,
            self._calls,
            wants_usage=form.wants_usage,
            is_legacy=form.is_legacy,
        )
        self._wake = asyncio.Event()
        self._reader = feed.open_reader(
            completion.job_id,
            owner_id=identity.user_id,
            wake=self._wake.set,
            is_new=is_new,
        )
        self._lease = leases.open(identity, self._wake.set)
        stopping.add_listener(self._wake.set)

    async def begin(self) -> None:
        """Read on to where the stream begins.

        That is its first event, or the end of what is stored if ``after`` is there.

        Raises:
            NoSuchEvent: there is no event of the number ``after``.
            ApplicationError, ProviderError: what the job failed with, at once.
        """
        while not (self._ready or self._is_over):
            self._wake.clear()
            page = await self._reader.page()
            if page is not None:
                await self._take(page)
            elif self._count and self._count == self._after:
                return
            elif self._after:
                raise NoSuchEvent
            elif (cut := self._cut()) is not None:
                raise cut
            elif self._reader.is_done:
                raise CompletionFailed("What it has said is not stored any more")
            else:
                await self._wake.wait()
        if self._count < self._after:
            raise NoSuchEvent

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes to send, a page in one piece."""
        while True:
            if self._ready:
                ready, self._ready = self._ready, []
                yield b"".join(ready)
            if self._is_over:
                return
            self._wake.clear()
            if (cut := self._cut()) is not None:
                yield sse.event(describe(cut).body)
                return
            page = await self._reader.patient_page()
            if page is not None:
                await self._take(page)
            elif self._reader.is_done or not await self._something_new():
                if self._reader.is_done or not await self._is_stored():
                    self._fail(CompletionFailed("It is not stored any more"), [])
                else:
                    yield sse.KEEP_ALIVE

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()
        leases.close(self._lease)
        stopping.remove_listener(self._wake.set)

    def _cut(self) -> Exception | None:
        """What to say where the stream has to end before its job."""
        if stopping.is_set():
            return Unavailable("The server is stopping: resume the stream.")
        if self._lease is not None and self._lease.is_over:
            return Unauthorized("The token has ended.")
        return None

    async def _take(self, page: Page) -> None:
        """Make the events of a page."""
        events: list[bytes] = []
        try:
            for line in page.lines:
                for index, item in await self._reading.read(line):
                    self._add(events, self._calls[index], item)
        except Exception as error:
            if not (self._count or events):
                raise
            self._fail(error, events)
            return
        if not self._left:
            self._is_over = True
            events += self._events.end()
        self._number(events)

    def _add(self, events: list[bytes], call: Call, item: Chunk | None) -> None:
        if item is not None:
            self._events.add(events, call, item)
        else:
            self._left -= 1
            self._events.finish(events, call)

    def _fail(self, error: Exception, events: list[bytes]) -> None:
        self._is_over = True
        self._number([*events, *failed(error)])

    def _number(self, events: list[bytes]) -> None:
        for number, event in enumerate(events, self._count + 1):
            if number > self._after:
                self._ready.append(b"id: %d\n%b" % (number, event))
        self._count += len(events)

    async def _something_new(self) -> bool:
        """Wait until there may be a page; False if it takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.KEEPALIVE_SECONDS or None):
                await self._wake.wait()
                return True
        return False

    async def _is_stored(self) -> bool:
        """Whether the job is still there: nobody tells of one that is deleted."""
        job_id = self._reader.job_id
        return job_id in await db(feed.read_states, [job_id])
