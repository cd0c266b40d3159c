"""A partner in this database: turns in a thread, run by this process or the workers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import msgspec
from django.core.management.base import CommandError
from rest_framework.exceptions import APIException

from chat.cli.threads import no_thread
from chat.documents import MessageFields, thread_document
from chat.errors import ThreadNotFound
from chat.reads import list_threads, read_thread
from chat.turns import Turn, TurnRequest, start_turn, stop_turn
from chat.workflow_answers import WorkflowAnswer
from jobs import dispatch, process
from jobs.feed import open_reader
from jobs.models import TERMINAL, Status
from nodetool_site.lib.errors import ApplicationError
from storage.management.nouns import sentence
from storage.models import User
from workflows.errors import UnknownOwner, WorkflowNotFound

Json = dict[str, Any]


class LocalPartner:
    """A model or a workflow, and a thread of a user that keeps what is said.

    ``said`` is what each message says beside its text. Without ``thread_id`` the first
    message makes a thread.
    """

    def __init__(
        self, user_id: str, said: MessageFields, thread_id: str | None
    ) -> None:
        if not User.objects.filter(pk=user_id).exists():
            raise UnknownOwner(user_id)
        if thread_id is not None:
            _check_thread(user_id, thread_id)
        self._user_id = user_id
        self._said = said
        self.thread_id = thread_id
        if not dispatch.is_remote():
            process.start("cli")

    def threads(self, limit: int) -> list[Json]:
        """Return the newest threads as the API shows them."""
        page = list_threads(self._user_id, limit=limit, newest_first=True)
        return [thread_document(thread) for thread in page.threads]

    async def answer(self, text: str) -> AsyncGenerator[str, None]:
        """Return the answer in pieces; see ``Partner``."""
        process.listen()
        turn = await self._start(text)
        is_whole = False
        try:
            async with aclosing(self._pieces(turn)) as pieces:
                async for piece in pieces:
                    yield piece
            is_whole = True
        finally:
            if not is_whole:
                with suppress(ApplicationError):
                    await stop_turn(self._user_id, turn.thread_id)

    async def close(self) -> None:
        """End what runs here."""
        await process.stop("The command ended")

    async def _start(self, text: str) -> Turn:
        message = msgspec.structs.replace(self._said, content=text)
        try:
            turn = await start_turn(self._user_id, TurnRequest(message, self.thread_id))
        except WorkflowNotFound as error:
            raise CommandError(f"Workflow {error.workflow_id} not found") from error
        except (ApplicationError, APIException) as error:
            raise CommandError(sentence(error)) from error
        self.thread_id = turn.thread_id
        return turn

    async def _pieces(self, turn: Turn) -> AsyncGenerator[str, None]:
        assert turn.job_id is not None  # a user's message is always answered
        said = _Said(is_workflow=turn.is_workflow)
        reader = open_reader(turn.job_id, owner_id=self._user_id)
        try:
            async for page in reader.pages():
                for line in page.lines:
                    for piece in said.pieces(msgspec.json.decode(line)):
                        yield piece
        finally:
            reader.close()
        if said.failure:
            raise CommandError(said.failure)


def _check_thread(user_id: str, thread_id: str) -> None:
    try:
        read_thread(user_id, thread_id)
    except ThreadNotFound as error:
        raise no_thread(thread_id) from error


class _Said:
    """What the job of a turn says: its text, and why it failed if it did."""

    def __init__(self, *, is_workflow: bool) -> None:
        self._answer = WorkflowAnswer() if is_workflow else None
        self.failure = ""

    def pieces(self, event: Json) -> list[str]:
        """Return what an event adds to the text."""
        kind = event["type"]
        if kind == "error":
            self.failure = event["error"]
        elif kind == "job_update":
            self._end(event)
        if self._answer is not None:
            return self._answer.pieces(event)
        if kind == "chunk" and event["content_type"] == "text":
            return [] if event["thinking"] else [event["content"]]
        return []

    def _end(self, event: Json) -> None:
        status = event["status"]
        if status in TERMINAL and status != Status.COMPLETED:
            self.failure = self.failure or event["error"] or f"The turn was {status}"
