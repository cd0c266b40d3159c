"""Completions that a thread is to have: ``thread_id`` in a request.

What was asked and what was answered are stored together, once the answer is whole. So
a request that fails, and that OpenAI's clients send again by themselves, leaves nothing
behind, and one that is answered is there once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from django.db import transaction

from chat.documents import MessageFields, read_message, text_of
from chat.errors import InvalidThreadId, ThreadNotFound
from chat.models import Thread
from chat.openai_api.answers import MAX_CHARACTERS
from chat.openai_api.errors import InvalidField
from chat.openai_api.requests import Completion
from chat.providers import WORKFLOW_PREFIX, is_workflow
from chat.services import (
    add_messages,
    get_or_create_thread,
    is_usable_id,
    lock_thread,
    name_after,
    new_message,
)
from nodetool_site.lib.db import db
from workflows.agents.answers import Answer
from workflows.agents.telling import call_document
from workflows.agents.tools import AskedCall, ToolFailure, read_arguments
from workflows.providers.base import ProviderError
from workflows.providers.calls import Call, characters_of
from workflows.providers.messages import (
    ChatRequest,
    Chunk,
    FinishReason,
    Message,
    ToolCall,
)

Json = dict[str, Any]


class Exchange:
    """What a request asks and what it is answered, on their way into a thread.

    ``raw``: the messages of the request as they came, of which ``wanted`` has the
    meaning.
    """

    def __init__(
        self, owner_id: str, thread_id: str, wanted: Completion, raw: Sequence[Json]
    ) -> None:
        self._owner_id = owner_id
        self._thread_id = thread_id
        self._source = _source(wanted)
        self._answer = Answer(wanted.request)
        self._asked = [
            _asked(draft.message, message.get("content"))
            for draft, message in zip(wanted.messages, raw, strict=True)
        ]

    async def check(self) -> None:
        """Look whether the thread may be written to; it need not be there.

        Raises:
            InvalidField: no thread may have the id.
            ThreadNotFound: it is somebody else's.
        """
        if not is_usable_id(self._thread_id):
            raise InvalidField("thread_id", f"{InvalidThreadId.default_message}.")
        if await db(_is_foreign, self._owner_id, self._thread_id):
            raise ThreadNotFound

    def call(self, index: int, request: ChatRequest) -> Call:
        """Return the call that answers; what it says is noted."""
        return _NotedCall(index, request, self._answer)

    async def store(self) -> None:
        """Store both sides at the end of the thread, which is made if nobody has it.

        Raises:
            ThreadNotFound: it is somebody else's by now.
        """
        await db(self._store)

    def _store(self) -> None:
        with transaction.atomic():
            thread, _ = get_or_create_thread(self._owner_id, self._thread_id)
            locked = lock_thread(thread.pk, owner_id=self._owner_id)
            asked = self._new_in(locked)
            for message in asked:
                if message.role == "user":
                    name_after(locked, text_of(message.content))
            said = _said(self._answer.message(), self._source)
            add_messages(locked, [new_message(each) for each in (*asked, said)])

    def _new_in(self, thread: Thread) -> list[MessageFields]:
        """Return what has not been said in the thread: all of it where nothing has.

        Clients send the whole conversation each time.
        """
        if not thread.messages.exists():
            return self._asked
        answered = [
            at for at, each in enumerate(self._asked) if each.role == "assistant"
        ]
        return self._asked[answered[-1] + 1 :] if answered else self._asked


class _NotedCall(Call):
    """A call whose answer is kept, as far as it may be said."""

    def __init__(self, index: int, request: ChatRequest, answer: Answer) -> None:
        super().__init__(index, request)
        self._answer = answer
        self._room = MAX_CHARACTERS

    def take(self, chunk: Chunk) -> str:
        text = super().take(chunk)
        self._note(msgspec.structs.replace(chunk, text=text))
        return text

    def end(self) -> tuple[str, FinishReason]:
        rest, reason = super().end()
        self._note(Chunk(text=rest))
        return rest, reason

    def _note(self, chunk: Chunk) -> None:
        self._room -= characters_of(chunk)
        if self._room < 0:
            raise ProviderError("The answer is too long for a thread.")
        self._answer.take(chunk)


def _source(wanted: Completion) -> Json:
    """Return who answers, as a message has it."""
    if is_workflow(wanted.model, wanted.provider):
        return {"workflow_id": wanted.model.removeprefix(WORKFLOW_PREFIX)}
    return {"model": wanted.model, "provider": wanted.provider}


def _is_foreign(owner_id: str, thread_id: str) -> bool:
    return Thread.objects.filter(pk=thread_id).exclude(owner_id=owner_id).exists()


def _asked(message: Message, content: Any) -> MessageFields:
    if isinstance(content, list):
        content = [_part(part) for part in content]
    return _fields(message, content)


def _said(message: Message, source: Json) -> MessageFields:
    return _fields(message, message.text, **source)


def _fields(message: Message, content: Any, **more: Any) -> MessageFields:
    calls = [call_document(_understood(call)) for call in message.tool_calls]
    return read_message(
        {
            "role": "system" if message.role == "developer" else message.role,
            "content": content,
            "name": message.name,
            "tool_calls": calls or None,
            "tool_call_id": message.tool_call_id,
            "thinking": message.reasoning or None,
            **more,
        }
    )


def _understood(call: ToolCall) -> AskedCall:
    """Return a call; one whose arguments are no JSON object has none."""
    try:
        return read_arguments(call)
    except ToolFailure:
        return AskedCall(call.id, call.name, {})


def _part(part: Json) -> Json:
    """Return a part of a request as threads have it; pictures look the same in both."""
    kind = part["type"]
    if kind == "refusal":
        return {"type": "text", "text": part["refusal"]}
    if kind == "input_audio":
        return {"type": "audio", "audio": {"data": part["input_audio"]["data"]}}
    if kind == "file":
        file = part["file"]
        where = {"asset_id": file.get("file_id"), "uri": file.get("file_data")}
        return {"type": "document", "document": {k: v for k, v in where.items() if v}}
    return part
