"""A stored conversation, as a model is given it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from workflows.agents.tools import called_name
from workflows.engine.events import encode_value
from workflows.providers.messages import Message, Part, TextPart, ToolCall

Json = Mapping[str, Any]


class ReadPart(Protocol):
    """Reads a part of a stored message that is no text."""

    def __call__(self, part: Json, *, is_last: bool) -> Awaitable[Part]:
        """Return the part; ``is_last`` tells whether its message is the last one."""


async def read_conversation(
    stored: Sequence[Json], read_part: ReadPart
) -> list[Message]:
    """Return stored messages, in the shape of the API, in the words of no vendor.

    A tool's result always follows its call: where it was not stored by itself, the one
    that the call carries is taken; a result without its call is left out. So is what is
    left of a turn whose question is too old to be there: no vendor takes a call first.
    What was thought comes with calls alone: some vendors want it back with them.
    """
    results = {
        message["tool_call_id"]: await _parts(message, read_part, is_last=False)
        for message in stored
        if message.get("role") == "tool" and message.get("tool_call_id")
    }
    read: list[Message] = []
    for message in stored:
        role = message.get("role")
        if role not in ("system", "user", "assistant"):
            continue
        content = await _parts(message, read_part, is_last=message is stored[-1])
        calls = _calls_of(message) if role == "assistant" else []
        if not content and not calls:
            continue
        read.append(
            Message(
                role,
                content,
                tool_calls=tuple(map(_tool_call, calls)),
                reasoning=_text(message.get("thinking")) if calls else "",
            )
        )
        read.extend(_result(call, results) for call in calls)
    return _without_half_a_turn(read)


def _without_half_a_turn(read: list[Message]) -> list[Message]:
    start = next((at for at, each in enumerate(read) if each.role == "user"), 0)
    if not any(message.tool_calls for message in read[:start]):
        return read
    return [each for each in read[:start] if each.role == "system"] + read[start:]


def _calls_of(message: Json) -> list[Json]:
    """Return the calls that can be told apart; a history may come from anywhere."""
    calls = message.get("tool_calls")
    return [
        call
        for call in (calls if isinstance(calls, list) else ())
        if isinstance(call, dict)
        and all(isinstance(call.get(key), str) and call[key] for key in ("id", "name"))
    ]


def _tool_call(call: Json) -> ToolCall:
    arguments = encode_value(call.get("args") or {}).decode()
    return ToolCall(call["id"], called_name(call["name"]), arguments)


def _result(call: Json, results: Mapping[str, tuple[Part, ...]]) -> Message:
    content = results.get(call["id"])
    if content is None:
        content = (TextPart(_text(call.get("result"))),)
    name = called_name(call["name"])
    return Message("tool", content, tool_call_id=call["id"], name=name)


async def _parts(
    message: Json, read_part: ReadPart, *, is_last: bool
) -> tuple[Part, ...]:
    content = message.get("content")
    if not isinstance(content, list):
        text = _text(content)
        return (TextPart(text),) if text else ()
    parts: list[Part] = []
    for part in content:
        if not isinstance(part, dict):
            parts.append(TextPart(_text(part)))
        elif part.get("type") == "text":
            parts.append(TextPart(str(part.get("text") or "")))
        elif part.get("type") != "thought":
            parts.append(await read_part(part, is_last=is_last))
    return tuple(part for part in parts if not isinstance(part, TextPart) or part.text)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else encode_value(value).decode()
