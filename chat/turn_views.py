"""The events of a turn's job as the frames of a chat."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from django.db import DatabaseError

from chat.documents import message_document, message_of_event
from chat.errors import MessageNotFound
from chat.reads import read_message
from chat.settlement import last_message_id, settle
from chat.turn_errors import error_frame
from chat.workflow_answers import WorkflowAnswer
from jobs.models import TERMINAL, Status
from nodetool_site.lib.db import db
from storage.rendering import render_object

logger = logging.getLogger(__name__)

Json = dict[str, Any]

# What a client of a chat is told of the job as it is, but for what a job's event has.
PASSED_ON = frozenset(
    {"tool_call_update", "tool_call", "task_update", "planning_update", "step_result"}
)
_OF_THE_JOB = ("job_id", "job_seq", "ts", "workflow_id")
MAX_QUESTIONS = 1_000


def chunk_frame(thread_id: str | None, content: str = "", **fields: Any) -> Json:
    """Return a ``chunk`` of a chat."""
    return {
        "type": "chunk",
        "node_id": None,
        "thread_id": thread_id,
        "workflow_id": None,
        "content_type": "text",
        "content": content,
        "content_metadata": {},
        "done": False,
        "thinking": False,
        **fields,
    }


class TurnView:
    """One turn as one socket sees it.

    Every turn has one ``chunk`` that says ``done``. Then comes the message that is
    stored, if there is one. ``is_over`` is set once the last frame is about to leave.
    """

    def __init__(
        self, owner_id: str, thread_id: str, job_id: str, base_url: str
    ) -> None:
        self.thread_id = thread_id
        self.job_id = job_id
        self.is_over = asyncio.Event()
        self._owner_id = owner_id
        self._base_url = base_url
        self._has_failed = False
        self._is_done = False
        self._has_answered = False
        self._questions: set[str] = set()

    def asks(self, tool_call_id: str) -> bool:
        """Tell whether the turn waits for what a tool of the client has to say."""
        return tool_call_id in self._questions

    async def messages(self, events: Sequence[Json]) -> list[Json]:
        """Return the frames for the next events of the job."""
        frames: list[Json] = []
        for event in events:
            frames += await self._frames(event)
        return frames

    async def _frames(self, event: Json) -> list[Json]:
        kind = event["type"]
        if kind == "chunk":
            return self._chunk(event)
        if kind == "message":
            return await self._message(event)
        if kind == "error":
            self._has_failed = True
            return [{**_plain(event), "thread_id": self.thread_id, "workflow_id": None}]
        if kind == "job_update":
            return await self._end(event) if event["status"] in TERMINAL else []
        return [self._passed_on(event)] if kind in PASSED_ON else []

    def _chunk(self, event: Json) -> list[Json]:
        if event["done"]:
            return self._done()
        names = ("content_type", "content", "content_metadata", "thinking")
        fields = {name: event[name] for name in names}
        return [chunk_frame(self.thread_id, **fields)]

    def _done(self) -> list[Json]:
        if self._is_done:
            return []
        self._is_done = True
        return [chunk_frame(self.thread_id, done=True)]

    async def _message(self, event: Json) -> list[Json]:
        message = message_of_event(event)
        document: Json = msgspec.json.decode(
            message_document(message, thread_id=self.thread_id)
        )
        if event["role"] != "assistant" or event["tool_calls"]:
            self._questions.discard(event["tool_call_id"] or "")
            return [document]
        self._has_answered = True
        await self._settle()
        return [*self._done(), document]

    def _passed_on(self, event: Json) -> Json:
        if event["type"] == "tool_call" and len(self._questions) < MAX_QUESTIONS:
            self._questions.add(event["tool_call_id"])
        frame = {**_plain(event), "thread_id": self.thread_id}
        return {**frame, "node_id": None} if "node_id" in frame else frame

    async def _end(self, event: Json) -> list[Json]:
        frames: list[Json] = []
        if event["status"] == Status.FAILED and not self._has_failed:
            self._has_failed = True
            frames.append(error_frame(event["error"], "internal", self.thread_id))
        frames += self._done()
        if not self._has_answered:
            frames += await self._last_message()
        self.is_over.set()
        return frames

    async def _last_message(self) -> list[Json]:
        """What is stored of a turn that had no whole answer."""
        await self._settle()
        message_id = last_message_id(self.job_id)
        try:
            text = await db(read_message, self._owner_id, message_id)
        except (MessageNotFound, DatabaseError):
            return []
        document = await render_object(
            msgspec.json.decode(text), owner_id=self._owner_id, base_url=self._base_url
        )
        is_told = self._has_failed and not (
            document["content"] or document["output_files"]
        )
        return [] if is_told else [document]

    async def _settle(self) -> None:
        try:
            await settle(self.job_id)
        except DatabaseError as error:  # whoever reads the thread will settle it
            logger.warning("turn %s is not settled: %s", self.job_id, error)


class WorkflowTurnView(TurnView):
    """A turn that a workflow answers: the job's events, and its texts as chunks.

    The pieces that nodes stream are left out: those that reach an output come as
    ``output_update`` and are told as chunks of the answer.
    """

    def __init__(
        self, owner_id: str, thread_id: str, job_id: str, base_url: str
    ) -> None:
        super().__init__(owner_id, thread_id, job_id, base_url)
        self._answer = WorkflowAnswer()

    async def _frames(self, event: Json) -> list[Json]:
        if event["type"] == "chunk":
            return []
        pieces = self._answer.pieces(event)
        chunks = [chunk_frame(self.thread_id, piece) for piece in pieces]
        if event["type"] == "job_update" and event["status"] in TERMINAL:
            return [*chunks, event, *await self._end(event)]
        return [event, *chunks]


def _plain(event: Json) -> Json:
    return {name: event[name] for name in event if name not in _OF_THE_JOB}
