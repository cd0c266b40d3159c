"""The messages API of Anthropic. See https://docs.anthropic.com/en/api/messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from workflows.providers import failures
from workflows.providers.adapter import (
    Adapter,
    Call,
    CallIds,
    ToolCalls,
    arguments_of,
    encoded,
    finish_of,
    schema_of,
    unix_seconds,
)
from workflows.providers.kinds import shown_name
from workflows.providers.messages import (
    Chunk,
    FilePart,
    ImagePart,
    ModelInfo,
    NamedTool,
    TextPart,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workflows.providers.http_client import Endpoint
    from workflows.providers.messages import (
        ChatRequest,
        FinishReason,
        Message,
        Part,
        ToolCall,
    )

VERSION = "2023-06-01"
# The API wants a bound; these are the largest that the families take.
MAX_TOKENS = (("claude-3-5-", 8192), ("claude-3-7-", 32000), ("claude-3-", 4096))
MAX_TOKENS_ELSE = 32000
# From Claude 4.7 on they refuse a temperature, whatever it is.
_OLD = r"[23]|instant|(?:opus|sonnet|haiku)-4(?:-[0-6])?(?:@|-\d{8}|-latest|\Z)"
UNSAMPLED_MODELS = re.compile(rf"claude-(?!{_OLD})")
# These think before each answer, and then no tool can be forced on them.
THINKING_MODELS = re.compile(r"claude-[a-z]+-(?:[5-9]|\d\d)")
CALL_IDS = CallIds(re.compile(r"[a-zA-Z0-9_-]{1,64}"), 40)
THOUGHTS = ("thinking", "redacted_thinking")
# What of a block goes back; of a call only its id, the rest is in the message.
MEMBERS = {
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_use": ("id",),
}
FINISH: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
CHOICES = {"none": "none", "auto": "auto", "required": "any"}


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Message(msgspec.Struct):
    usage: _Usage | None = None


class _Block(msgspec.Struct):
    type: str = ""
    id: str = ""
    name: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""  # a thought that is not shown


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    id: str = ""
    data: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None
    error: Any = None


_EVENT = msgspec.json.Decoder(_Event)


class AnthropicProvider(Adapter):
    """Claude."""

    def base_of(self, base_url: str) -> str:
        """Return the address without a version: the paths have it."""
        return base_url.rstrip("/").removesuffix("/v1")

    def headers(self) -> dict[str, str]:
        """Return the key and the version of the API."""
        return {"x-api-key": self.to.key, "anthropic-version": VERSION}

    def call(self, request: ChatRequest) -> Call:
        """Return the request as ``/v1/messages`` takes it."""
        return Call("/v1/messages", request_body(request, self.to))

    def reading(self, request: ChatRequest) -> AnthropicReading:
        """Return the reader of one answer."""
        return AnthropicReading(self.to, has_tools=bool(request.tools))

    async def models(self) -> list[ModelInfo]:
        """Return the models that this key may call.

        Raises:
            ProviderError: it does not answer, or cannot list.
        """
        entries = await self.listed("/v1/models?limit=1000", "data")
        return [model for entry in entries if (model := _model(entry)) is not None]


class _Kept:
    """A block as it goes back."""

    def __init__(self, block: _Block) -> None:
        self.type = block.type
        self._pieces = {name: [getattr(block, name)] for name in MEMBERS[block.type]}

    def add(self, delta: _Delta) -> None:
        for name, pieces in self._pieces.items():
            pieces.append(getattr(delta, name))

    def whole(self) -> dict[str, Any]:
        members = {name: "".join(pieces) for name, pieces in self._pieces.items()}
        return {"type": self.type, **members}


class AnthropicReading:
    """Reads the events of one answer: blocks of text, thoughts and tool calls."""

    def __init__(self, to: Endpoint, *, has_tools: bool) -> None:
        self.is_over = False
        self._has_tools = has_tools
        self._to = to
        self._calls = ToolCalls()
        self._silent: set[int] = set()  # calls that have said no arguments yet
        self._blocks: dict[int, _Kept] = {}
        self._finish: FinishReason | None = None
        self._usage = _Usage()

    def read(self, data: bytes) -> Sequence[Chunk]:
        event = _EVENT.decode(data)
        if event.type == "content_block_delta" and event.delta is not None:
            return self._delta(event.index, event.delta)
        if event.type == "content_block_start" and event.content_block is not None:
            return self._start(event.index, event.content_block)
        if event.type == "content_block_stop":
            return self._stop(event.index)
        if event.type == "message_start" and event.message is not None:
            self._count(event.message.usage)
        elif event.type == "message_delta":
            self._count(event.usage)
            if event.delta is not None and event.delta.stop_reason:
                self._end(event.delta.stop_reason)
        elif event.type == "message_stop":
            self.is_over = True
        elif event.type == "error":
            raise failures.in_stream(self._to, event.error)
        return ()

    def finish(self) -> Sequence[Chunk]:
        if self._finish is None:
            raise failures.broken_off(self._to)
        end = Chunk(finish_reason=self._finish, memory=self._memory())
        return (end, Chunk(usage=self._total()))

    def _memory(self) -> tuple[dict[str, Any], ...]:
        """Return all blocks of an answer that has thoughts and calls.

        A thought goes back to the letter and in its place, or the next call is refused.
        """
        kinds = {block.type for block in self._blocks.values()}
        if "tool_use" not in kinds or kinds.isdisjoint(THOUGHTS):
            return ()
        return tuple(self._blocks[index].whole() for index in sorted(self._blocks))

    def _start(self, index: int, block: _Block) -> Sequence[Chunk]:
        if self._has_tools and block.type in MEMBERS:
            self._blocks[index] = _Kept(block)
        if block.type == "tool_use":
            self._silent.add(index)
            call = self._calls.piece(index, call_id=block.id, name=block.name)
            return (Chunk(tool_calls=(call,)),)
        return (Chunk(text=block.text),) if block.text else ()

    def _delta(self, index: int, delta: _Delta) -> Sequence[Chunk]:
        if index in self._blocks:
            self._blocks[index].add(delta)
        if delta.text:
            return (Chunk(text=delta.text),)
        if delta.thinking:
            return (Chunk(reasoning=delta.thinking),)
        if delta.partial_json:
            self._silent.discard(index)
            call = self._calls.piece(index, arguments=delta.partial_json)
            return (Chunk(tool_calls=(call,)),)
        return ()

    def _stop(self, index: int) -> Sequence[Chunk]:
        if index not in self._silent:
            return ()
        self._silent.discard(index)
        call = self._calls.piece(index, arguments="{}")  # no text is no JSON
        return (Chunk(tool_calls=(call,)),)

    def _end(self, reason: str) -> None:
        self._finish = finish_of(FINISH, reason, has_calls=bool(self._calls))

    def _count(self, usage: _Usage | None) -> None:
        """Take over what an event counts; a later sum stands for an earlier one."""
        for name in _Usage.__struct_fields__ if usage is not None else ():
            value = getattr(usage, name)
            if value is not None:
                setattr(self._usage, name, value)

    def _total(self) -> Usage:
        usage = self._usage
        read = usage.cache_read_input_tokens or 0
        written = usage.cache_creation_input_tokens or 0
        return Usage(
            prompt_tokens=(usage.input_tokens or 0) + read + written,
            completion_tokens=usage.output_tokens or 0,
            cached_tokens=usage.cache_read_input_tokens,
        )


def request_body(request: ChatRequest, to: Endpoint) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        ProviderError: it has a part that this API has no place for.
    """
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": _max_tokens(request),
        "messages": _turns(request, to),
        "stream": True,
    }
    if system := _system(request):
        body["system"] = system
    if UNSAMPLED_MODELS.match(request.model) is None:
        body |= _sampling(request)
    if stops := [text for text in request.stop if text.strip()]:
        body["stop_sequences"] = stops
    if request.tools:
        body["tools"] = [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": schema_of(tool),
            }
            for tool in request.tools
        ]
        body |= _choice(request)
    user = request.extras.get("user")
    if isinstance(user, str) and user:
        body["metadata"] = {"user_id": user}
    return body


def _sampling(request: ChatRequest) -> dict[str, Any]:
    """Return one of the two: models since Claude 4.1 do not take both."""
    if request.temperature is not None:
        return {"temperature": min(request.temperature, 1.0)}
    return {} if request.top_p is None else {"top_p": request.top_p}


def _max_tokens(request: ChatRequest) -> int:
    """Return the bound asked for, within what the model's family takes."""
    for start, most in MAX_TOKENS:
        if request.model.startswith(start):
            return min(request.max_tokens or most, most)
    return request.max_tokens or MAX_TOKENS_ELSE


def _system(request: ChatRequest) -> str:
    texts = [
        message.text
        for message in request.messages
        if message.role in ("system", "developer")
    ]
    if request.response_format is not None:
        texts.append(request.response_format.instruction)
    if _is_only_told(request):
        choice = request.tool_choice
        name = f"the tool {choice.name}" if isinstance(choice, NamedTool) else "a tool"
        texts.append(f"Call {name} now; do not answer without it.")
    return "\n\n".join(text for text in texts if text.strip())


def _is_only_told(request: ChatRequest) -> bool:
    """Tell whether a call is demanded of a model of which it can only be asked."""
    choice = request.tool_choice
    is_forced = choice == "required" or isinstance(choice, NamedTool)
    is_thinking = THINKING_MODELS.match(request.model) is not None
    return bool(request.tools) and is_forced and is_thinking


def _choice(request: ChatRequest) -> dict[str, Any]:
    choice: dict[str, Any] = {}
    if _is_only_told(request):
        choice = {"type": "auto"}
    elif isinstance(request.tool_choice, NamedTool):
        choice = {"type": "tool", "name": request.tool_choice.name}
    elif request.tool_choice is not None:
        choice = {"type": CHOICES[request.tool_choice]}
    if request.parallel_tool_calls is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return {"tool_choice": choice} if choice else {}


def _turns(request: ChatRequest, to: Endpoint) -> list[dict[str, Any]]:
    """Return user and assistant in turn: all results of one answer's calls together."""
    turns: list[dict[str, Any]] = []
    for message in request.messages:
        if message.role in ("system", "developer"):
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = list(_blocks(message, to))
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message, to: Endpoint) -> Iterator[dict[str, Any]]:
    content = [_block(part, to) for part in message.content if not _is_empty(part)]
    if message.role == "tool":
        call_id = CALL_IDS.fitting(message.tool_call_id or "")
        result = {"type": "tool_result", "tool_use_id": call_id}
        yield {**result, "content": content} if content else result
        return
    calls = {call.id: _call(call, to) for call in message.tool_calls}
    if not message.memory:
        yield from content
    for block in message.memory:
        if block["type"] == "tool_use":
            call = calls.pop(block["id"], None)
            if call is not None:
                yield call
        elif block["type"] != "text" or block["text"].strip():
            yield block
    yield from calls.values()


def _call(call: ToolCall, to: Endpoint) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": CALL_IDS.fitting(call.id),
        "name": call.name,
        "input": arguments_of(call, to),
    }


def _is_empty(part: Part) -> bool:
    return isinstance(part, TextPart) and not part.text.strip()


def _block(part: Part, to: Endpoint) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        return {"type": "image", "source": _source(part)}
    if isinstance(part, FilePart):
        return _document(part, to)
    raise failures.not_taken(to, "sound")


def _document(part: FilePart, to: Endpoint) -> dict[str, Any]:
    document: dict[str, Any] = {"type": "document"}
    if part.filename:
        document["title"] = part.filename
    if part.media_type == "application/pdf":
        return {**document, "source": _source(part)}
    if part.media_type.startswith("text/"):
        text = part.data.decode(errors="replace")
        source = {"type": "text", "media_type": "text/plain", "data": text}
        return {**document, "source": source}
    raise failures.not_taken(to, f"files of the type {part.media_type}")


def _source(part: ImagePart | FilePart) -> dict[str, str]:
    return {"type": "base64", "media_type": part.media_type, "data": encoded(part)}


def _model(entry: Any) -> ModelInfo | None:
    model_id = entry.get("id") if isinstance(entry, dict) else None
    if not isinstance(model_id, str):
        return None
    count = entry.get("max_input_tokens")
    return ModelInfo(
        id=model_id,
        created=unix_seconds(entry.get("created_at")),
        context_tokens=count if isinstance(count, int) else None,
        name=shown_name(entry, model_id, "display_name"),
    )
