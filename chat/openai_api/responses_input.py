"""The input of a response: one text, or the items of a conversation so far.

Items become messages. A function call belongs to the assistant's message before it;
thoughts that clients send back are left out: no provider takes another's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chat.attachments import ASSET_SCHEME
from chat.openai_api.errors import UNSUPPORTED, InvalidField
from chat.openai_api.fields import Fields
from chat.openai_api.messages import (
    MAX_MESSAGES,
    AnyPart,
    Draft,
    check_references,
    read_audio,
    read_file,
    read_part,
    read_picture,
)
from workflows.providers.messages import Message, TextPart, ToolCall

ROLES = ("user", "assistant", "system", "developer")
TEXTS = ("input_text", "output_text", "text")
NOT_STORED = "nothing is stored here: send the items of the conversation in 'input'"


def read_input(fields: Fields) -> tuple[Draft, ...]:
    """Return the messages that a request's input and instructions amount to.

    Raises:
        InvalidField: there is none, or a part is not as it should be.
    """
    fields.required("input")
    value = fields.any("input")
    drafts = _Drafts()
    if instructions := fields.text("instructions"):
        drafts.add(Message("system"), (TextPart(instructions),), "instructions")
    if isinstance(value, str):
        if not value:
            raise fields.refused("input", "must not be empty")
        drafts.add(Message("user"), (TextPart(value),), "input")
        return tuple(drafts.found)
    if not isinstance(value, list):
        raise fields.wrong("input", "a string or an array of items")
    if not 0 < len(value) <= MAX_MESSAGES:
        raise fields.refused("input", f"must have 1 to {MAX_MESSAGES:,} items")
    above = len(drafts.found)
    for index, item in enumerate(value):
        _read_item(item, f"input[{index}]", drafts)
    if len(drafts.found) == above:
        raise fields.refused("input", "must have at least one message")
    check_references(fields, "input", drafts.found)
    return tuple(drafts.found)


class _Drafts:
    """The messages so far."""

    def __init__(self) -> None:
        self.found: list[Draft] = []
        self._called: set[str] = set()

    def add(self, message: Message, content: tuple[AnyPart, ...], param: str) -> None:
        """Add a message."""
        self.found.append(Draft(message, content, param))

    def say(self, content: tuple[AnyPart, ...], param: str) -> None:
        """Add what the assistant says; between a call and its result that is one."""
        last = self.found[-1] if self.found else None
        if last is not None and last.message.tool_calls:
            self.found[-1] = last._replace(content=last.content + content)
        else:
            self.add(Message("assistant"), content, param)

    def call(self, call: ToolCall, param: str) -> None:
        """Add a call of the assistant's."""
        self._called.add(call.id)
        last = self.found[-1] if self.found else None
        if last is None or last.message.role != "assistant":
            self.add(Message("assistant", tool_calls=(call,)), (), param)
            return
        calls = (*last.message.tool_calls, call)
        message = msgspec.structs.replace(last.message, tool_calls=calls)
        self.found[-1] = last._replace(message=message)

    def has_called(self, call_id: str) -> bool:
        """Tell whether there is such a call."""
        return call_id in self._called


def _read_item(value: Any, param: str, drafts: _Drafts) -> None:
    if not isinstance(value, dict):
        raise InvalidField(param, f"Invalid type for '{param}': expected an object.")
    fields = Fields(value, f"{param}.")
    kind = fields.text("type") or "message"
    if kind == "message":
        _read_message(fields, param, drafts)
    elif kind == "function_call":
        _read_call(fields, param, drafts)
    elif kind == "function_call_output":
        _read_result(fields, param, drafts)
    elif kind == "item_reference":
        raise fields.refused("type", f"refers to an item; {NOT_STORED}")
    elif kind != "reasoning":
        raise fields.refused(
            "type",
            "is no item that is taken here: message, function_call, "
            "function_call_output and reasoning are",
            code=UNSUPPORTED,
        )


def _read_message(fields: Fields, param: str, drafts: _Drafts) -> None:
    fields.required("role")
    role: Any = fields.word("role", ROLES)
    fields.required("content")
    content = _content(fields, "content", role)
    if role == "assistant":
        drafts.say(content, param)
    else:
        drafts.add(Message(role), content, param)


def _read_call(fields: Fields, param: str, drafts: _Drafts) -> None:
    fields.required("call_id")
    fields.required("name")
    arguments = fields.text("arguments") or "{}"
    call_id, name = fields.text("call_id") or "", fields.text("name") or ""
    drafts.call(ToolCall(call_id, name, arguments), param)


def _read_result(fields: Fields, param: str, drafts: _Drafts) -> None:
    fields.required("call_id")
    fields.required("output")
    call_id = fields.text("call_id") or ""
    if not drafts.has_called(call_id):
        raise fields.refused("call_id", "matches no earlier function_call")
    content = _content(fields, "output", "tool")
    drafts.add(Message("tool", tool_call_id=call_id), content, param)


def _content(fields: Fields, name: str, role: str) -> tuple[AnyPart, ...]:
    value = fields.any(name)
    if isinstance(value, str):
        return (TextPart(value),) if value else ()
    if not isinstance(value, list):
        raise fields.wrong(name, "a string or an array of parts")
    return tuple(
        _part(part, fields.param(f"{name}[{index}]"), role)
        for index, part in enumerate(value)
    )


def _part(value: Any, param: str, role: str) -> AnyPart:
    readers = {"input_image": _image, "input_file": _file, "input_audio": read_audio}
    return read_part(value, param, role, texts=TEXTS, readers=readers)


def _image(fields: Fields) -> AnyPart:
    asked = fields.word("detail", ("auto", "low", "high", "original"))
    detail: Any = "high" if asked == "original" else asked
    if fields.has("file_id"):
        url = ASSET_SCHEME + (fields.text("file_id") or "")
        return read_picture(url, detail, fields.param("file_id"))
    fields.required("image_url")
    url = fields.text("image_url") or ""
    return read_picture(url, detail, fields.param("image_url"))


def _file(fields: Fields) -> AnyPart:
    if fields.has("file_url"):
        raise fields.refused(
            "file_url",
            "is not fetched here: send 'file_data' or 'file_id'",
            code=UNSUPPORTED,
        )
    return read_file(fields)
