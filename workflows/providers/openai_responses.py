"""OpenAI's responses API, for the calls that its chat completions refuse.

From GPT-5.4 on a model that thinks calls functions only here, and some models are
nowhere else. See https://platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from workflows.providers import failures
from workflows.providers.adapter import (
    ToolCalls,
    encoded,
    finish_of,
    schema_of,
)
from workflows.providers.messages import (
    Chunk,
    FilePart,
    ImagePart,
    NamedTool,
    TextPart,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workflows.providers.adapter import CallIds
    from workflows.providers.http_client import Endpoint
    from workflows.providers.messages import (
        ChatRequest,
        FinishReason,
        Message,
        Part,
        ResponseFormat,
        Tool,
    )

LEAST_TOKENS = 16
BETWEEN_MESSAGES = "\n\n"
REFUSAL = "refusal.delta"
PASSED_ON = (
    "user",
    "safety_identifier",
    "metadata",
    "service_tier",
    "prompt_cache_key",
)
FINISH: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}
_WITH_FUNCTIONS = re.compile(r"gpt-(?:5\.(?:[4-9]|\d\d)|[6-9])")
_ONLY_HERE = re.compile(r"(?:gpt-5|o\d|codex)(?:.*-)?(?:codex|pro|mini-latest)\b")


class _Item(msgspec.Struct):
    type: str = ""
    call_id: str = ""
    name: str = ""
    phase: str | None = None
    summary: list[Any] | None = None
    encrypted_content: str | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    usage: _Usage | None = None
    incomplete_details: _Incomplete | None = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str
    output_index: int = 0
    delta: Any = None
    item: _Item | None = None
    response: _Response | None = None


_EVENT = msgspec.json.Decoder(_Event)


def is_needed(request: ChatRequest) -> bool:
    """Tell whether a request has to go here."""
    model = request.model
    if _ONLY_HERE.match(model):
        return True
    return bool(request.tools) and _WITH_FUNCTIONS.match(model) is not None


class ResponsesReading:
    """Reads the events of one answer: items, and the pieces of their texts."""

    def __init__(self, to: Endpoint) -> None:
        self.is_over = False
        self._to = to
        self._calls = ToolCalls()
        self._texts: dict[int, list[str]] = {}
        self._items: dict[int, dict[str, Any]] = {}  # as they go back
        self._has_spoken = False
        self._reason = ""
        self._usage: _Usage | None = None

    def read(self, data: bytes) -> Sequence[Chunk]:
        event = _EVENT.decode(data)
        kind = event.type.removeprefix("response.")
        if kind in ("output_text.delta", REFUSAL):
            text = str(event.delta or "")
            return self._text(event.output_index, text, is_refusal=kind == REFUSAL)
        if kind in ("reasoning_summary_text.delta", "reasoning_text.delta"):
            return (Chunk(reasoning=str(event.delta or "")),)
        if kind == "function_call_arguments.delta":
            more = str(event.delta or "")
            piece = self._calls.piece(event.output_index, arguments=more)
            return (Chunk(tool_calls=(piece,)),)
        if event.item is not None:
            return self._item(kind, event.output_index, event.item)
        if kind in ("completed", "incomplete"):
            self._end(event.response or _Response())
        elif kind == "failed":
            raise failures.in_stream(self._to, event.response and event.response.error)
        elif kind == "error":
            raise failures.in_stream(self._to, msgspec.json.decode(data))
        return ()

    def finish(self) -> Sequence[Chunk]:
        if not self.is_over:
            raise failures.broken_off(self._to)
        reason = finish_of(FINISH, self._reason, has_calls=bool(self._calls))
        end = Chunk(finish_reason=reason, memory=self._memory())
        return (
            (end,) if self._usage is None else (end, Chunk(usage=_usage(self._usage)))
        )

    def _text(self, index: int, text: str, *, is_refusal: bool) -> Sequence[Chunk]:
        if not text:
            return ()
        pieces = self._texts.setdefault(index, [])
        gap = BETWEEN_MESSAGES if self._has_spoken and not pieces else ""
        pieces.append(text)
        self._has_spoken = True
        return (Chunk(text=gap + text, is_refusal=is_refusal),)

    def _item(self, kind: str, index: int, item: _Item) -> Sequence[Chunk]:
        if kind == "output_item.added" and item.type == "function_call":
            call = self._calls.piece(index, call_id=item.call_id, name=item.name)
            self._items[index] = {"type": item.type, "call_id": call.id}
            return (Chunk(tool_calls=(call,)),)
        if kind == "output_item.done" and item.type == "reasoning":
            self._items[index] = {
                "type": item.type,
                "summary": item.summary or [],
                "encrypted_content": item.encrypted_content,
            }
        elif kind == "output_item.done" and item.type == "message":
            phase = {"phase": item.phase} if item.phase else {}
            self._items[index] = {"role": "assistant", **phase}
        return ()

    def _end(self, response: _Response) -> None:
        self.is_over = True
        self._usage = response.usage
        incomplete = response.incomplete_details
        self._reason = (incomplete and incomplete.reason) or ""

    def _memory(self) -> tuple[dict[str, Any], ...]:
        """Return the items of an answer with calls, in their order."""
        if not self._calls:
            return ()
        found = []
        for index in sorted(self._items):
            item = self._items[index]
            if "role" in item:
                item = {**item, "content": "".join(self._texts.get(index, ()))}
            found.append(item)
        return tuple(found)


def _usage(usage: _Usage) -> Usage:
    read, written = usage.input_tokens_details, usage.output_tokens_details
    return Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        cached_tokens=read.cached_tokens if read else None,
        reasoning_tokens=written.reasoning_tokens if written else None,
    )


def request_body(
    request: ChatRequest, to: Endpoint, call_ids: CallIds, *, samples: bool
) -> dict[str, Any]:
    """Return the JSON object of a request. ``samples``: the model takes a temperature.

    Raises:
        ProviderError: it has a part that this API has no place for.
    """
    tokens = request.max_tokens
    body: dict[str, Any] = {
        "model": request.model,
        "input": [
            item
            for message in request.messages
            for item in _items(message, to, call_ids)
        ],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": None if tokens is None else max(tokens, LEAST_TOKENS),
        "temperature": request.temperature if samples else None,
        "top_p": request.top_p if samples else None,
        "text": _text_options(request) or None,
        **{name: request.extras.get(name) for name in PASSED_ON},
    }
    if request.reasoning_effort is not None:
        body["reasoning"] = {"effort": request.reasoning_effort}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        body["tool_choice"] = _choice(request.tool_choice)
        body["parallel_tool_calls"] = request.parallel_tool_calls
    return {name: value for name, value in body.items() if value is not None}


def _items(message: Message, to: Endpoint, ids: CallIds) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {
            "type": "function_call_output",
            "call_id": ids.fitting(message.tool_call_id or ""),
            "output": message.text,
        }
        return
    calls = {
        call.id: {
            "type": "function_call",
            "call_id": ids.fitting(call.id),
            "name": call.name,
            "arguments": call.arguments,
        }
        for call in message.tool_calls
    }
    for item in message.memory:
        found = calls.pop(item["call_id"], None) if "call_id" in item else item
        if found is not None:
            yield found
    if message.content and not message.memory:
        yield {"role": message.role, "content": _content(message, to)}
    yield from calls.values()


def _content(message: Message, to: Endpoint) -> str | list[dict[str, Any]]:
    if all(isinstance(part, TextPart) for part in message.content):
        return message.text
    return [_part(part, to) for part in message.content]


def _part(part: Part, to: Endpoint) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, ImagePart):
        url = f"data:{part.media_type};base64,{encoded(part)}"
        detail = {"detail": part.detail} if part.detail else {}
        return {"type": "input_image", "image_url": url, **detail}
    if isinstance(part, FilePart):
        data = f"data:{part.media_type};base64,{encoded(part)}"
        name = part.filename or "file"
        return {"type": "input_file", "filename": name, "file_data": data}
    raise failures.not_taken(to, "sound with this model")


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "parameters": schema_of(tool),
        "strict": bool(tool.strict),  # else it is, and most schemas are refused
    }
    return (
        {**function, "description": tool.description} if tool.description else function
    )


def _choice(choice: str | NamedTool | None) -> Any:
    if isinstance(choice, NamedTool):
        return {"type": "function", "name": choice.name}
    return choice


def _text_options(request: ChatRequest) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if request.verbosity is not None:
        options["verbosity"] = request.verbosity
    if request.response_format is not None:
        options["format"] = _format(request.response_format)
    return options


def _format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.type == "json_object":
        return {"type": "json_object"}
    format_: dict[str, Any] = {
        "type": "json_schema",
        "name": wanted.name or "answer",
        "schema": wanted.schema,
    }
    if wanted.strict is not None:
        format_["strict"] = wanted.strict
    if wanted.description:
        format_["description"] = wanted.description
    return format_
