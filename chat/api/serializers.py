"""Input of the endpoints of threads and messages."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from chat.documents import Json, MessageFields, read_message
from workflows.api.serializers import TextField


class ThreadSerializer(serializers.Serializer[Any]):
    """A thread as a client sends it."""

    title = TextField(allow_null=True, required=False)


class RenamedThreadSerializer(serializers.Serializer[Any]):
    """The new title of a thread."""

    title = TextField()


class SummarySerializer(serializers.Serializer[Any]):
    """A wish for a title."""

    provider = TextField(allow_null=True, required=False)
    model = TextField(allow_null=True, required=False)
    content = TextField(allow_null=True, required=False)


def read_title(data: Any, *, is_new: bool) -> str | None:
    """Return the title of a thread; a new one needs none.

    Raises:
        ValidationError: it is no text.
    """
    kind = ThreadSerializer if is_new else RenamedThreadSerializer
    title: str | None = _validated(kind(data=data)).get("title")
    return title


def read_summary_request(data: Any) -> dict[str, str | None]:
    """Return which model is to name a thread, and by which text.

    Raises:
        ValidationError: a field is no text.
    """
    found = _validated(SummarySerializer(data=data))
    return {name: found.get(name) or None for name in ("model", "provider", "content")}


def read_new_message(data: Json) -> tuple[MessageFields, str | None]:
    """Return a message and the id of its thread, None for a new one.

    Raises:
        InvalidMessage: a member has the wrong type.
        ValidationError: the id of the thread has.
    """
    serializer = _ThreadIdSerializer(data=data)
    thread_id = _validated(serializer).get("thread_id")
    return read_message(data), thread_id or None


class _ThreadIdSerializer(serializers.Serializer[Any]):
    thread_id = TextField(allow_null=True, required=False)


def _validated(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    found: dict[str, Any] = serializer.validated_data
    return found
