"""The messages of a chat completion, with their parts."""

from __future__ import annotations

from typing import Any, get_args

from chat.openai_api.errors import UNSUPPORTED, InvalidField
from chat.openai_api.fields import Fields, decode_base64, decode_data_uri
from workflows.providers.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ToolCall,
)

MAX_MESSAGES = 10_000
_ROLES = get_args(Role)


def read_messages(fields: Fields) -> tuple[Message, ...]:
    """Return the messages of a request.

    Raises:
        InvalidField: there are none, or one is not as it should be.
    """
    fields.required("messages")
    found = fields.array("messages") or []
    if not found:
        raise fields.refused("messages", "must have at least one message")
    if len(found) > MAX_MESSAGES:
        raise fields.refused("messages", f"must have at most {MAX_MESSAGES} messages")
    called: set[str] = set()
    return tuple(
        _message(value, f"messages[{index}]", called)
        for index, value in enumerate(found)
    )


def _message(value: Any, param: str, called: set[str]) -> Message:
    """``called``: the ids of the tool calls so far; this message's are added."""
    if not isinstance(value, dict):
        raise InvalidField(param, f"Invalid type for '{param}': expected an object.")
    fields = Fields(value, f"{param}.")
    fields.required("role")
    role: Any = fields.word("role", _ROLES)
    calls = _tool_calls(fields) if role == "assistant" else ()
    called.update(call.id for call in calls)
    content = _content(fields, role, is_optional=bool(calls))
    return Message(
        role=role,
        content=content,
        tool_calls=calls,
        tool_call_id=_answered_call(fields, called) if role == "tool" else None,
        name=fields.text("name"),
    )


def _answered_call(fields: Fields, called: set[str]) -> str:
    fields.required("tool_call_id")
    call_id = fields.text("tool_call_id") or ""
    if call_id not in called:
        raise fields.refused(
            "tool_call_id", "matches no tool call of an earlier assistant message"
        )
    return call_id


def _tool_calls(fields: Fields) -> tuple[ToolCall, ...]:
    calls = []
    for index, value in enumerate(fields.array("tool_calls") or []):
        param = fields.param(f"tool_calls[{index}]")
        if not isinstance(value, dict):
            raise InvalidField(
                param, f"Invalid type for '{param}': expected an object."
            )
        inner = Fields(value, f"{param}.")
        inner.required("id")
        inner.word("type", ("function",))
        function = inner.inner("function")
        function.required("name")
        calls.append(
            ToolCall(
                id=inner.text("id") or "",
                name=function.text("name") or "",
                arguments=function.text("arguments") or "{}",
            )
        )
    return tuple(calls)


def _content(fields: Fields, role: str, *, is_optional: bool) -> tuple[Part, ...]:
    value = fields.any("content")
    if value is None:
        refusal = fields.text("refusal") if role == "assistant" else None
        if refusal is not None:
            return (TextPart(refusal),)
        if not is_optional:
            fields.required("content")
        return ()
    if isinstance(value, str):
        return (TextPart(value),) if value else ()
    if not isinstance(value, list):
        raise fields.wrong("content", "a string or an array of parts")
    return tuple(
        _part(part, fields.param(f"content[{index}]"), role)
        for index, part in enumerate(value)
    )


def _part(value: Any, param: str, role: str) -> Part:
    if not isinstance(value, dict):
        raise InvalidField(param, f"Invalid type for '{param}': expected an object.")
    fields = Fields(value, f"{param}.")
    fields.required("type")
    kind = fields.text("type")
    if kind == "text":
        fields.required("text")
        return TextPart(fields.text("text") or "")
    if kind == "refusal" and role == "assistant":
        return TextPart(fields.text("refusal") or "")
    readers = {"image_url": _image, "input_audio": _audio, "file": _file}
    if role != "user" or kind not in readers:
        raise fields.refused(
            "type", f"is no part that a message of role '{role}' may have"
        )
    return readers[kind](fields)


def _image(fields: Fields) -> Part:
    value = fields.any("image_url")
    if isinstance(value, str):  # tolerated: some clients leave the object out
        inner, name, url = fields, "image_url", value
        detail = None
    else:
        inner, name = fields.inner("image_url"), "url"
        inner.required("url")
        url = inner.text("url") or ""
        detail = inner.word("detail", ("auto", "low", "high"))
    if not url.startswith("data:"):
        raise inner.refused(
            name, "must be a data: address of an image", code=UNSUPPORTED
        )
    decoded = decode_data_uri(url)
    if decoded is None or not decoded[0].startswith("image/"):
        raise inner.refused(name, "is no image in base64")
    media_type, content = decoded
    return ImagePart(content, media_type, detail)  # type: ignore[arg-type]


def _audio(fields: Fields) -> Part:
    inner = fields.inner("input_audio")
    inner.required("data")
    inner.required("format")
    kind: Any = inner.word("format", ("wav", "mp3"))
    content = decode_base64(inner.text("data") or "")
    if content is None:
        raise inner.refused("data", "is not base64")
    return AudioPart(content, kind)


def _file(fields: Fields) -> Part:
    inner = fields.inner("file")
    if inner.has("file_id"):
        raise inner.refused(
            "file_id", "is not supported; send 'file_data'", code=UNSUPPORTED
        )
    inner.required("file_data")
    decoded = decode_data_uri(inner.text("file_data") or "")
    if decoded is None:
        raise inner.refused("file_data", "is no data: address in base64")
    return FilePart(decoded[1], decoded[0], inner.text("filename") or "")
