"""Tools: what a model may ask for while it answers."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Protocol

import msgspec

from workflows.engine.errors import describe
from workflows.engine.events import encode_value
from workflows.providers import messages

MAX_ARGUMENTS = 256 * 1024
MAX_RESULT = 64 * 1024
MAX_ERROR = 4_000
MAX_NAME = 64

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]+")


class ToolFailure(Exception):
    """A tool cannot do what was asked of it; the text tells the model why."""


class AskedCall(msgspec.Struct, frozen=True):
    """A call that a model has asked for, with its arguments understood."""

    id: str
    name: str
    arguments: dict[str, Any]


class Tool(Protocol):
    """A function that a model may call."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str:
        """What it does, for the model."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of its arguments."""

    async def call(self, call: AskedCall) -> Any:
        """Return the result, any value that can be told.

        Raises:
            Exception: whatever went wrong; its text goes to the model.
        """


class Outcome(msgspec.Struct, frozen=True):
    """What came of a call: ``text`` for the model, ``value`` for those who watch.

    Of a result over 64 Ki characters both are its beginning.
    """

    text: str
    value: Any
    is_error: bool = False

    @property
    def told(self) -> dict[str, Any]:
        """The value as ``tool_result_update`` has it."""
        return {"error" if self.is_error else "result": self.value}


def called_name(name: str) -> str:
    """Return the name of a call as vendors take it back: a model may make one up."""
    return tool_name(name) or "unknown"


def tool_name(text: str) -> str:
    """Return a text as vendors take it for the name of a tool; empty if it is."""
    name = _UNFIT.sub("_", text)[-MAX_NAME:]
    if name[:1].isalpha() or name[:1] in ("_", ""):
        return name
    return f"_{name[1 - MAX_NAME :]}"  # Gemini takes no other beginning


def described(tool: Tool) -> messages.Tool:
    """Return a tool as a provider wants to know it."""
    return messages.Tool(tool.name, tool.description, tool.parameters)


def read_arguments(call: messages.ToolCall) -> AskedCall:
    """Return a call with its arguments understood.

    Raises:
        ToolFailure: they are no JSON object, or too long.
    """
    if len(call.arguments) > MAX_ARGUMENTS:
        raise ToolFailure(f"The arguments are longer than {MAX_ARGUMENTS} characters")
    try:
        arguments = msgspec.json.decode(call.arguments.strip() or "{}")
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ToolFailure(f"The arguments are no valid JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise ToolFailure("The arguments are no JSON object")
    return AskedCall(call.id, call.name, arguments)


async def perform(tool: Tool, call: AskedCall) -> Outcome:
    """Call a tool; whatever goes wrong in it becomes an outcome."""
    try:
        value = await tool.call(call)
    except Exception as error:  # noqa: BLE001 - a tool may run anybody's node
        return failed(describe(error))
    # Encoding a large value takes long, and the loop is shared.
    text = value if isinstance(value, str) else await asyncio.to_thread(_encoded, value)
    if len(text) <= MAX_RESULT:
        return Outcome(text, value)
    text = f"{text[:MAX_RESULT]}\n[cut: the result has {len(text)} characters]"
    return Outcome(text, text)


def failed(reason: str) -> Outcome:
    """Return the outcome of a call that has failed."""
    reason = reason[:MAX_ERROR]
    return Outcome(f"Error: {reason}", reason, is_error=True)


def _encoded(value: Any) -> str:
    return encode_value(value).decode()
