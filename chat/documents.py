"""Threads and messages as the API and the sockets show them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec

from chat.errors import InvalidMessage
from chat.models import Thread
from nodetool_site.lib.rendering import etag_of, format_time
from workflows.engine.events import encode_value
from workflows.engine.sanitize import sanitize

Json = dict[str, Any]
Role = Literal["system", "user", "assistant", "tool", "agent_execution"]


class MessageFields(msgspec.Struct, kw_only=True):
    """What a message says, without what the server knows of it.

    ``content``: text, an object, or parts (``{"type": "text", "text"}``,
    ``{"type": "image_url", "image"}``, ...). ``tool_calls``: see ``MessageEvent``.
    ``thinking``: what a model has thought before it said this.
    ``error``: why an answer broke off, or never came.
    """

    workflow_id: str | None = None
    graph: Json | None = None
    tools: list[str] | None = None
    tool_call_id: str | None = None
    role: Role
    name: str | None = None
    content: str | Json | list[Json] | None = None
    tool_calls: list[Json] | None = None
    collections: list[str] | None = None
    input_files: list[Json] | None = None
    output_files: list[Json] | None = None
    provider: str | None = None
    model: str | None = None
    agent_mode: bool | None = None
    help_mode: bool | None = None
    agent_execution_id: str | None = None
    execution_event_type: str | None = None
    workflow_target: str | None = None
    thinking: str | None = None
    error: str | None = None


class NewMessage(NamedTuple):
    """A message to store under an id that may be there already."""

    id: str
    fields: MessageFields
    created_at: datetime


def read_message(data: Json) -> MessageFields:
    """Return what a client, or an event, says; unknown members are not read.

    Raises:
        InvalidMessage: a member has the wrong type; the text names it.
    """
    try:
        return msgspec.convert(sanitize(data), MessageFields)
    except msgspec.ValidationError as error:
        raise InvalidMessage.from_msgspec(error) from error


def message_of_event(event: Json) -> NewMessage:
    """Return the message that a job's event of type ``message`` adds to a thread."""
    moment = datetime.fromtimestamp(event["ts"], UTC)
    fields = read_message({**event, "content": _as_content(event["content"])})
    return NewMessage(event["id"], fields, moment)


def message_document(message: NewMessage, *, thread_id: str) -> bytes:
    """Return a message as JSON."""
    return encode_value(
        {
            "type": "message",
            "id": message.id,
            "thread_id": thread_id,
            **msgspec.structs.asdict(message.fields),
            "created_at": format_time(message.created_at),
        }
    )


def _as_content(value: Any) -> Any:
    """What any result of a tool is as the content of a message."""
    is_parts = isinstance(value, list) and all(isinstance(part, dict) for part in value)
    if value is None or is_parts or isinstance(value, str | dict):
        return value
    return encode_value(value).decode()


def thread_document(thread: Thread, **more: Any) -> Json:
    """Return a thread; ``more`` are further members, which its etag leaves out."""
    document = {
        "id": thread.pk,
        "user_id": thread.owner_id,
        "title": thread.title,
        "created_at": format_time(thread.created_at),
        "updated_at": format_time(thread.updated_at),
    }
    return {**document, "etag": etag_of(document), **more}


def says_something(content: Any) -> bool:
    """Tell whether there is anything in a message's content that can be answered."""
    if isinstance(content, str):
        return bool(content.strip())
    if isinstance(content, list):
        return any(map(_is_said, content))
    return bool(content)


def _is_said(part: Json) -> bool:
    kind = part.get("type")
    if kind == "text":
        return bool(str(part.get("text") or "").strip())
    return kind != "thought"  # no model is told those


def text_of(content: Any) -> str:
    """Return the text of a message's content; its parts are separate lines."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))
