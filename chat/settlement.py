"""What a turn has said, from the log of its job into its thread.

The log is the truth and a thread is derived from it, so nobody has to be there when a
turn ends: whoever runs its job settles it, and where that process was lost, whoever
reads the thread next does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from chat.documents import MessageFields, NewMessage, message_of_event
from chat.errors import ThreadNotFound
from chat.models import OpenTurn
from chat.services import add_messages, lock_thread, new_message
from chat.workflow_answers import WorkflowAnswer
from jobs.feed import read_page
from jobs.models import TERMINAL, Job, Status
from nodetool_site.lib.db import db
from storage.rendering import has_references, restore_values
from workflows.agents.thoughts import Thoughts

Json = dict[str, Any]

_TOLD = frozenset({"chunk", "message", "output_update", "error", "job_update"})
START_GRACE = timedelta(seconds=60)
"""How long a turn may be without its job: whoever makes that may have been lost."""


class TurnState(msgspec.Struct, frozen=True):
    """A turn that is not settled.

    ``status`` and ``error`` of its job; empty where there is none.
    """

    job_id: str
    thread_id: str
    owner_id: str
    is_workflow: bool
    workflow_id: str
    status: str
    error: str
    is_over: bool


class Transcript:
    """The messages that a thread gets by a turn, from the events of its job."""

    def __init__(self, turn: TurnState) -> None:
        self._turn = turn
        self._messages: list[NewMessage] = []
        self._text: list[str] = []
        self._thoughts = Thoughts()
        self._error = turn.error
        self._answer = WorkflowAnswer()

    def take(self, event: Json) -> None:
        """Note the next event."""
        kind = event["type"]
        if kind == "error":
            self._error = event["error"]  # without the name of the node
        elif self._turn.is_workflow:
            self._text += self._answer.pieces(event)
        elif kind == "chunk" and event["content_type"] == "text":
            if event["thinking"]:
                self._thoughts.add(event["content"])
            else:
                self._text.append(event["content"])
        elif kind == "message":
            self._messages.append(message_of_event(event))
            if event["role"] == "assistant":
                self._thoughts.take()  # it has what the pieces before it had
                if event["content"]:
                    self._text.clear()

    def messages(self) -> list[NewMessage]:
        """All of them; of a turn that is over also what it said last."""
        turn = self._turn
        text, files = "".join(self._text), self._answer.files
        has_answered = turn.is_workflow and turn.status == Status.COMPLETED
        error = self._error if turn.status == Status.FAILED else ""
        if not turn.is_over or not (text or files or has_answered or error):
            return self._messages
        said = MessageFields(
            role="assistant",
            content=text,
            workflow_id=turn.workflow_id or None,
            output_files=files or None,
            thinking=self._thoughts.take(),
            error=error or None,
        )
        return [*self._messages, new_message(said, last_message_id(turn.job_id))]


def last_message_id(job_id: str) -> str:
    """Return the id of the message that is made of what a turn said last."""
    return hashlib.sha256(f"{job_id} last".encode()).hexdigest()[:32]


async def settle(job_id: str, *, if_over: bool = False) -> None:
    """Store what the turn of a job has said so far; any number of times.

    Once the job has ended that is all, and the turn is no longer open. ``if_over``:
    do nothing before. A job that is no turn's is left alone.
    """
    turn = await db(read_turn, job_id)
    if turn is None or (if_over and not turn.is_over):
        return
    transcript = Transcript(turn)
    after: int | None = 0
    while after is not None:
        events, after = await db(_read_events, job_id, after)
        for event in events:
            transcript.take(await _whole(event, turn.owner_id))
    await db(_store, turn, transcript.messages())


async def settle_thread(thread_id: str) -> None:
    """Settle the turn of a thread, if it is over and nobody has done so."""
    job_id = await db(_open_job, thread_id)
    if job_id is not None:
        await settle(job_id, if_over=True)


def read_turn(job_id: str) -> TurnState | None:
    """Return the turn of a job; None if there is none that is not settled."""
    turn = OpenTurn.objects.select_related("thread").filter(job_id=job_id).first()
    if turn is None:
        return None
    job = Job.objects.filter(pk=job_id).values("status", "error", "workflow_id").first()
    has_no_job = timezone.now() - turn.created_at > START_GRACE
    return TurnState(
        job_id=job_id,
        thread_id=turn.thread_id,
        owner_id=turn.thread.owner_id,
        is_workflow=turn.is_workflow,
        workflow_id=job["workflow_id"] if job else "",
        status=job["status"] if job else "",
        error=job["error"] if job else "",
        is_over=job["status"] in TERMINAL if job else has_no_job,
    )


def _open_job(thread_id: str) -> str | None:
    turns = OpenTurn.objects.filter(pk=thread_id)
    return turns.values_list("job_id", flat=True).first()


def _read_events(job_id: str, after: int) -> tuple[list[Json], int | None]:
    """The next events that a transcript needs, and where those behind them begin."""
    page = read_page(job_id, after)
    if page is None:
        return [], None
    return list(_wanted(page.lines)), None if page.is_final else page.last_seq


def _wanted(lines: list[bytes]) -> Iterator[Json]:
    for line in lines:
        event: Json = msgspec.json.decode(line)
        if event["type"] in _TOLD:
            yield event


async def _whole(event: Json, owner_id: str) -> Json:
    """The event with the large values in it, which go when the job is deleted."""
    name = {"message": "content", "output_update": "value"}.get(event["type"])
    if name is None or not has_references(msgspec.json.encode(event[name])):
        return event
    return {**event, name: await restore_values(event[name], owner_id=owner_id)}


def _store(turn: TurnState, messages: list[NewMessage]) -> None:
    with transaction.atomic():
        try:
            thread = lock_thread(turn.thread_id)
        except ThreadNotFound:  # it was deleted meanwhile, and this turn with it
            return
        is_open = OpenTurn.objects.filter(job_id=turn.job_id)
        if not is_open.exists():  # somebody else has settled it
            return
        add_messages(thread, messages)
        if turn.is_over:
            is_open.delete()
