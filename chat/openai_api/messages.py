"""The messages of a chat completion, with their parts.

Reading looks at the request alone. What it refers to is read afterwards, all of it
in one step: ``load_messages``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, get_args

import msgspec

from chat.attachments import (
    Attachments,
    Detail,
    FileReference,
    ImageReference,
    Reference,
    UnusableAttachment,
    decode_base64,
    decode_data_uri,
    image_of_data,
)
from chat.openai_api.errors import InvalidField
from chat.openai_api.fields import Fields
from nodetool_site.lib.errors import BadRequest
from workflows.providers.messages import (
    AudioPart,
    FilePart,
    Message,
    Part,
    Role,
    TextPart,
    ToolCall,
)

MAX_MESSAGES = 10_000
MAX_REFERENCES = 100
_FUNCTION = "function"  # what the role of a tool was called before there were tools
_ROLES = (*get_args(Role), _FUNCTION)


class Pending(NamedTuple):
    """A part that is read later. ``param`` leads to it in the request."""

    param: str
    reference: Reference


AnyPart: TypeAlias = Part | Pending
PartReader: TypeAlias = Callable[[Fields], AnyPart]


class Draft(NamedTuple):
    """A message whose content is beside it, until all of that is there.

    ``param`` leads to it in the request.
    """

    message: Message
    content: tuple[AnyPart, ...]
    param: str


class _Calls:
    """The calls that earlier assistant messages have made."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.functions: dict[str, str] = {}  # name -> id of the latest, in legacy form


def read_messages(fields: Fields) -> tuple[Draft, ...]:
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
    calls = _Calls()
    drafts = tuple(_draft(value, index, calls) for index, value in enumerate(found))
    check_references(fields, "messages", drafts)
    return drafts


def check_references(fields: Fields, name: str, drafts: Sequence[Draft]) -> None:
    """Refuse a request whose messages, its member ``name``, refer to too much.

    Raises:
        InvalidField: they do.
    """
    if len(_pending(drafts)) > MAX_REFERENCES:
        raise fields.refused(
            name, f"must refer to at most {MAX_REFERENCES} pictures and files"
        )


async def load_messages(
    drafts: tuple[Draft, ...], owner_id: str, host: str
) -> tuple[Message, ...]:
    """Return the messages with all that they refer to.

    ``owner_id`` is the caller; ``host`` is the one by which they reached this server.

    Raises:
        InvalidField: something of that cannot be used.
    """
    loaded: dict[str, Part] = {}
    if pending := _pending(drafts):
        attachments = Attachments(owner_id, host)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_load(p, attachments)) for p in pending]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        for part, task in zip(pending, tasks, strict=True):
            loaded[part.param] = task.result()
    return tuple(_complete(draft, loaded) for draft in drafts)


def _complete(draft: Draft, loaded: dict[str, Part]) -> Message:
    content = tuple(
        loaded[part.param] if isinstance(part, Pending) else part
        for part in draft.content
    )
    return msgspec.structs.replace(draft.message, content=content)


def _pending(drafts: Sequence[Draft]) -> list[Pending]:
    return [p for draft in drafts for p in draft.content if isinstance(p, Pending)]


async def _load(pending: Pending, attachments: Attachments) -> Part:
    try:
        return await attachments.load(pending.reference)
    except BadRequest as error:
        raise _unusable(pending.param, error) from error


def _unusable(param: str, error: BadRequest) -> InvalidField:
    return InvalidField(param, f"'{param}' cannot be used. {error.message}")


def _draft(value: Any, index: int, calls: _Calls) -> Draft:
    """``calls``: those so far; this message's are added."""
    param = f"messages[{index}]"
    if not isinstance(value, dict):
        raise InvalidField(param, f"Invalid type for '{param}': expected an object.")
    fields = Fields(value, f"{param}.")
    fields.required("role")
    role: Any = fields.word("role", _ROLES)
    made = _calls_made(fields, index, calls) if role == "assistant" else ()
    name = fields.text("name")
    if role == _FUNCTION:
        message = Message(role="tool", tool_call_id=_answered_function(fields, calls))
    else:
        answered = _answered_call(fields, calls) if role == "tool" else None
        message = Message(
            role=role,
            tool_calls=made,
            tool_call_id=answered,
            name=name,
            reasoning=_reasoning(fields) if role == "assistant" else "",
        )
    return Draft(message, _content(fields, role, is_optional=bool(made)), param)


def _reasoning(fields: Fields) -> str:
    """Return what the model thought, as our answers tell it: some want it back."""
    value = fields.any("reasoning_content")
    return value if isinstance(value, str) else ""


def _calls_made(fields: Fields, index: int, calls: _Calls) -> tuple[ToolCall, ...]:
    made = _tool_calls(fields)
    if fields.has("function_call"):
        # Nine letters and digits: some vendors take no other ids.
        made = (*made, _call(fields.inner("function_call"), f"call{index:05d}"))
        calls.functions[made[-1].name] = made[-1].id
    calls.ids.update(call.id for call in made)
    return made


def _answered_call(fields: Fields, calls: _Calls) -> str:
    fields.required("tool_call_id")
    call_id = fields.text("tool_call_id") or ""
    if call_id not in calls.ids:
        raise fields.refused(
            "tool_call_id", "matches no tool call of an earlier assistant message"
        )
    return call_id


def _answered_function(fields: Fields, calls: _Calls) -> str:
    fields.required("name")
    call_id = calls.functions.get(fields.text("name") or "")
    if call_id is None:
        raise fields.refused(
            "name", "matches no function call of an earlier assistant message"
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
        calls.append(_call(inner.inner("function"), inner.text("id") or ""))
    return tuple(calls)


def _call(function: Fields, call_id: str) -> ToolCall:
    function.required("name")
    return ToolCall(
        id=call_id,
        name=function.text("name") or "",
        arguments=function.text("arguments") or "{}",
    )


def _content(fields: Fields, role: str, *, is_optional: bool) -> tuple[AnyPart, ...]:
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


def read_part(
    value: Any,
    param: str,
    role: str,
    *,
    texts: Collection[str],
    readers: Mapping[str, PartReader],
) -> AnyPart:
    """Return a part of a message's content.

    ``texts``: the types that are text. ``readers``: what reads the others, which a
    user's message may have.

    Raises:
        InvalidField: it is not as it should be.
    """
    if not isinstance(value, dict):
        raise InvalidField(param, f"Invalid type for '{param}': expected an object.")
    fields = Fields(value, f"{param}.")
    fields.required("type")
    kind = fields.text("type") or ""
    if kind in texts:
        fields.required("text")
        return TextPart(fields.text("text") or "")
    if kind == "refusal" and role == "assistant":
        fields.required("refusal")
        return TextPart(fields.text("refusal") or "")
    if role != "user" or kind not in readers:
        raise fields.refused(
            "type", f"is no part that a message of role '{role}' may have"
        )
    return readers[kind](fields)


def _part(value: Any, param: str, role: str) -> AnyPart:
    readers = {"image_url": _image, "input_audio": read_audio, "file": _file}
    return read_part(value, param, role, texts=("text",), readers=readers)


def _image(fields: Fields) -> AnyPart:
    value = fields.any("image_url")
    if isinstance(value, str):  # tolerated: some clients leave the object out
        inner, name, url = fields, "image_url", value
        detail: Any = None
    else:
        inner, name = fields.inner("image_url"), "url"
        inner.required("url")
        url = inner.text("url") or ""
        detail = inner.word("detail", ("auto", "low", "high"))
    return read_picture(url, detail, inner.param(name))


def _file(fields: Fields) -> AnyPart:
    return read_file(fields.inner("file"))


def read_picture(url: str, detail: Detail, param: str) -> AnyPart:
    """Return the picture of an address, or where it is to be read from.

    Raises:
        InvalidField: the address holds data that is no picture.
    """
    if not url.startswith("data:"):
        return Pending(param, ImageReference(url, detail))
    try:
        return image_of_data(url, detail)
    except UnusableAttachment as error:
        raise _unusable(param, error) from error


def read_audio(fields: Fields) -> AnyPart:
    """Return the sound of a part's ``input_audio``.

    Raises:
        InvalidField: it is none.
    """
    inner = fields.inner("input_audio")
    inner.required("data")
    inner.required("format")
    kind: Any = inner.word("format", ("wav", "mp3"))
    content = decode_base64(inner.text("data") or "")
    if content is None:
        raise inner.refused("data", "is not base64")
    return AudioPart(content, kind)


def read_file(fields: Fields) -> AnyPart:
    """Return the file that ``file_data`` holds or ``file_id`` names.

    Raises:
        InvalidField: it is none.
    """
    filename = fields.text("filename") or ""
    if fields.has("file_id"):
        reference = FileReference(fields.text("file_id") or "", filename)
        return Pending(fields.param("file_id"), reference)
    fields.required("file_data")
    decoded = decode_data_uri(fields.text("file_data") or "")
    if decoded is None:
        raise fields.refused("file_data", "is no data: address in base64")
    return FilePart(decoded[1], decoded[0], filename)
