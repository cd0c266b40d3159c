"""Turns: a message in a thread, and the job that answers it.

A turn belongs to the server: it goes on when whoever asked is gone, and ends early only
where somebody stops it or says something new in its thread.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat.documents import MessageFields, says_something, text_of
from chat.errors import (
    ContentRequired,
    InvalidTurn,
    MessageIdTaken,
    TurnGone,
    TurnReplaced,
)
from chat.models import Message, OpenTurn, Thread
from chat.providers import WORKFLOW_PREFIX, is_workflow
from chat.reads import open_turn, read_history
from chat.services import (
    add_messages,
    create_thread,
    get_or_create_thread,
    is_usable_id,
    lock_thread,
    name_after,
    new_message,
    remove_if_empty,
)
from chat.settlement import settle
from chat.workflow_inputs import chat_params
from jobs.errors import JobNotFound
from jobs.requests import JobRequest
from jobs.services import cancel_job, create_job, get_state, wait_for_end
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import ApplicationError, Unavailable
from storage.ids import new_id
from workflows.errors import WorkflowNotFound
from workflows.reads import read_runnable

Json = dict[str, Any]

JOB_TYPE = "chat"
NODE_TYPE = "nodetool.chat.Turn"
END_S = 20.0
"""How long a turn that is cancelled may take: a lost worker's job ends within 15 s."""

MAX_TRIES = 10


@dataclass(slots=True, frozen=True)
class TurnRequest:
    """What somebody says. Without ``thread_id`` a thread is made.

    ``client_tools``: ``{"name", "description", "parameters"}`` of the tools that run
    where the turn is watched. ``message_id``: one that the client has chosen makes the
    same message, said again, the same turn.
    """

    message: MessageFields
    thread_id: str | None = None
    client_tools: list[Json] = field(default_factory=list)
    message_id: str = field(default_factory=new_id)

    def job_id(self, owner_id: str) -> str:
        """Return the id of the job that answers: always the same for a message."""
        return hashlib.sha256(f"{owner_id} {self.message_id}".encode()).hexdigest()[:32]

    @property
    def is_answered(self) -> bool:
        """Whether there is to be an answer; what the system says is only stored."""
        return self.message.role != "system"

    @property
    def workflow_id(self) -> str:
        """The workflow that is to answer, which may be named as a model is."""
        message = self.message
        model = message.model or settings.DEFAULT_MODEL
        is_named = not message.workflow_id and is_workflow(
            model, message.provider or None
        )
        if is_named:
            return model.removeprefix(WORKFLOW_PREFIX)
        return message.workflow_id or ""

    @property
    def is_for_workflow(self) -> bool:
        """Whether a workflow is to answer."""
        return bool(self.workflow_id) or self.message.workflow_target == "workflow"


@dataclass(slots=True, frozen=True)
class Turn:
    """A turn that has begun. ``job_id`` is None where nothing is to be answered.

    ``is_new``: it began with this very request.
    """

    thread_id: str
    message_id: str
    job_id: str | None
    is_workflow: bool = False
    is_new: bool = True


def check(request: TurnRequest) -> None:
    """Refuse what cannot become a turn.

    Raises:
        ContentRequired: the message says nothing.
        InvalidTurn: it is no user's, has an id that no message may have, or names no
            workflow where it should.
    """
    message = request.message
    if not is_usable_id(request.message_id):
        raise InvalidTurn("id must be 1 to 64 characters of A-Z, a-z, 0-9, '-' and '_'")
    if message.role not in ("user", "system"):
        raise InvalidTurn("role must be 'user' or 'system'")
    if not says_something(message.content):
        raise ContentRequired
    if request.is_for_workflow and not (request.workflow_id or _graph(message)):
        raise InvalidTurn("workflow_id is required where workflow_target is 'workflow'")


async def start_turn(owner_id: str, request: TurnRequest) -> Turn:
    """Store what a user says and have it answered.

    A turn of the thread that is under way is cancelled; it has ended, and what it has
    said is stored, before this one begins. A system message is stored, and that is all.
    A message that is stored already begins nothing: its turn is returned.

    Raises:
        ContentRequired, InvalidTurn: see ``check``.
        ThreadNotFound: the thread is somebody else's.
        MessageIdTaken: the message's id is that of another message.
        TurnGone: the message was answered by a job that has been deleted.
        WorkflowNotFound: the user may run no workflow of that id.
        AmbiguousTextInput: several of the workflow's inputs could take the text.
        Unavailable: the turn before does not end.
        ApplicationError: as ``create_job``; then the message is not stored either,
            and no thread is made for it.
    """
    check(request)
    thread, is_made = await db(_thread, owner_id, request.thread_id)
    try:
        return await _start_in(thread, owner_id, request)
    except ApplicationError:
        if is_made:
            await db(remove_if_empty, thread.pk)
        raise


async def _start_in(thread: Thread, owner_id: str, request: TurnRequest) -> Turn:
    if not request.is_answered:
        is_new = await db(_add, thread, request)
        return Turn(thread.pk, request.message_id, None, is_new=is_new)
    job_id, message_id = request.job_id(owner_id), request.message_id
    turn = Turn(thread.pk, message_id, job_id, request.is_for_workflow)
    is_new = await _open(
        owner_id, thread, request, OpenTurn(job_id=job_id, message_id=message_id)
    )
    if not is_new:
        if await get_state(owner_id, job_id) is not None:
            return replace(turn, is_new=False)
        if not await db(_is_open, job_id):
            raise TurnGone
        # Open, but without a job: the server was lost before it could make that.
    try:
        job = await _job(owner_id, thread.pk, message_id, job_id, request)
        state = await create_job(owner_id, job)
    except ApplicationError:
        await db(_withdraw, job_id, message_id)
        raise
    if not await db(_is_open, job_id):
        await _leave_to_others(owner_id, job_id)
    return replace(turn, is_new=state.is_new)


async def stop_turn(owner_id: str, thread_id: str) -> str | None:
    """Cancel the turn of a thread; its job's id, None if there is no turn.

    What it had said is stored when this returns.
    """
    if not is_usable_id(thread_id):
        return None
    turn = await db(open_turn, owner_id, thread_id)
    if turn is None:
        return None
    await _end(owner_id, turn.job_id)
    return turn.job_id


def _thread(owner_id: str, thread_id: str | None) -> tuple[Thread, bool]:
    if thread_id is None:
        return create_thread(owner_id), True
    return get_or_create_thread(owner_id, thread_id)


async def _open(
    owner_id: str, thread: Thread, request: TurnRequest, turn: OpenTurn
) -> bool:
    """Make the turn the open one of its thread, and store the message.

    False if the message is there already; then nothing is changed.
    """
    for _ in range(MAX_TRIES):
        before = await db(_try_to_open, thread, request, turn)
        if before is None:
            return True
        if before == turn.job_id:
            return False
        await _end(owner_id, before)
    raise Unavailable("Too many messages in this thread at once")


def _try_to_open(thread: Thread, request: TurnRequest, turn: OpenTurn) -> str | None:
    """Open a turn, else return the job of the one that is open, or of this message."""
    with transaction.atomic():
        locked = lock_thread(thread.pk)
        if _is_stored(locked, request):
            return turn.job_id
        found = OpenTurn.objects.filter(thread=locked).first()
        if found is not None:
            return found.job_id
        turn.thread = locked
        turn.is_workflow = request.is_for_workflow
        turn.created_at = timezone.now()
        turn.save(force_insert=True)
        name_after(locked, text_of(request.message.content))
        add_messages(locked, [new_message(request.message, turn.message_id)])
    return None


async def _end(owner_id: str, job_id: str) -> None:
    """Cancel a turn and wait until it is settled."""
    await _cancel(owner_id, job_id)
    state = await get_state(owner_id, job_id)
    if state is None:
        await db(_forget, job_id)  # it has no job, and will find that it is not open
        return
    if not state.is_terminal and not await wait_for_end(owner_id, state, END_S):
        raise Unavailable("The turn before this one does not end")
    await settle(job_id)


async def _leave_to_others(owner_id: str, job_id: str) -> None:
    """End a job whose turn is not open, unless it was settled at its end.

    Raises:
        TurnReplaced: another message came before there was a job to cancel.
    """
    state = await get_state(owner_id, job_id)
    if state is not None and not state.is_terminal:
        await _cancel(owner_id, job_id)
        raise TurnReplaced


async def _cancel(owner_id: str, job_id: str) -> None:
    try:
        await cancel_job(owner_id, job_id)
    except JobNotFound:
        return  # it has ended, or was never there


async def _job(
    owner_id: str, thread_id: str, message_id: str, job_id: str, request: TurnRequest
) -> JobRequest:
    if request.is_for_workflow:
        return await _workflow_job(owner_id, thread_id, message_id, job_id, request)
    message = request.message
    data = {
        "thread_id": thread_id,
        "message_id": message_id,
        "model": message.model or settings.DEFAULT_MODEL,
        "provider": message.provider or "",
        "tools": settings.SERVER_TOOLS if message.tools is None else message.tools,
        "client_tools": request.client_tools,
    }
    graph = {"nodes": [{"id": "chat", "type": NODE_TYPE, "data": data}], "edges": []}
    return JobRequest(job_id=job_id, graph=graph, job_type=JOB_TYPE)


async def _workflow_job(
    owner_id: str, thread_id: str, message_id: str, job_id: str, request: TurnRequest
) -> JobRequest:
    message = request.message
    workflow_id = request.workflow_id
    graph: Any = _graph(message)
    if graph is None:
        found = await db(read_runnable, workflow_id, user_id=owner_id)
        if found is None:
            raise WorkflowNotFound(workflow_id)
        graph = found.graph
    said = await db(read_history, owner_id, thread_id, message_id)
    history = [msgspec.json.decode(document) for document in said[:-1]]
    return JobRequest(
        job_id=job_id,
        workflow_id=workflow_id[:64],  # beside a graph it is a label
        graph=_graph(message),
        params=chat_params(graph, text_of(message.content), history),
        job_type=JOB_TYPE,
    )


def _graph(message: MessageFields) -> Json | None:
    graph = message.graph
    return graph if graph and graph.get("nodes") else None


def _add(thread: Thread, request: TurnRequest) -> bool:
    """Store a message; False if it is there already."""
    with transaction.atomic():
        locked = lock_thread(thread.pk)
        if _is_stored(locked, request):
            return False
        add_messages(locked, [new_message(request.message, request.message_id)])
    return True


def _is_stored(thread: Thread, request: TurnRequest) -> bool:
    """Tell whether this very message is in the thread.

    Raises:
        MessageIdTaken: its id is that of another one.
    """
    found = Message.objects.filter(pk=request.message_id).first()
    if found is None:
        return False
    said = msgspec.json.decode(found.document)
    message = request.message
    if (found.thread_id, found.role, said["content"]) != (
        thread.pk,
        message.role,
        message.content,
    ):
        raise MessageIdTaken
    return True


def _is_open(job_id: str) -> bool:
    return OpenTurn.objects.filter(job_id=job_id).exists()


def _forget(job_id: str) -> None:
    OpenTurn.objects.filter(job_id=job_id).delete()


def _withdraw(job_id: str, message_id: str) -> None:
    with transaction.atomic():
        OpenTurn.objects.filter(job_id=job_id).delete()
        Message.objects.filter(pk=message_id).delete()
