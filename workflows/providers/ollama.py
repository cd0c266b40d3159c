"""Ollama's own API, which tells and takes more than its OpenAI-shaped one.

See https://github.com/ollama/ollama/blob/main/docs/api.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from workflows.providers import failures
from workflows.providers.adapter import (
    Call,
    ToolCalls,
    arguments_of,
    encoded,
    finish_of,
    schema_of,
    unix_seconds,
)
from workflows.providers.embeddings import EmbeddingAdapter, VectorBatch
from workflows.providers.kinds import kind_of
from workflows.providers.messages import (
    Chunk,
    ImagePart,
    ModelInfo,
    TextPart,
    Usage,
)
from workflows.providers.wire import JsonLines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workflows.providers.http_client import Endpoint
    from workflows.providers.messages import (
        ChatRequest,
        EmbeddingRequest,
        FinishReason,
        Message,
        ToolCallDelta,
    )

FINISH: dict[str, FinishReason] = {"length": "length"}
# Others refuse a request that says how much to think.
EFFORT_MODELS = "gpt-oss"
EFFORTS = ("low", "medium", "high")
VECTOR_FAMILIES = ("bert", "nomic-bert")


class _Function(msgspec.Struct):
    name: str = ""
    arguments: Any = None


class _ToolCall(msgspec.Struct):
    function: _Function
    id: str = ""


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Line(msgspec.Struct):
    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Any = None


class _Embeddings(msgspec.Struct):
    embeddings: list[list[float]]
    prompt_eval_count: int | None = None


_LINE = msgspec.json.Decoder(_Line)


class OllamaProvider(EmbeddingAdapter):
    """Models on this machine or another one."""

    parser = JsonLines
    media_types = (JsonLines.media_type, "application/json")

    def base_of(self, base_url: str) -> str:
        """Return the address without what other programs want behind it."""
        return base_url.rstrip("/").removesuffix("/v1").removesuffix("/api")

    def call(self, request: ChatRequest) -> Call:
        """Return the request as ``/api/chat`` takes it."""
        return Call("/api/chat", request_body(request, self.to))

    def reading(self, request: ChatRequest) -> OllamaReading:
        """Return the reader of one answer."""
        return OllamaReading(self.to)

    def embedding_call(self, request: EmbeddingRequest) -> Call:
        """Return a batch as ``/api/embed`` takes it."""
        body: dict[str, Any] = {"model": request.model, "input": request.inputs}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        return Call("/api/embed", body)

    def vectors_in(self, document: Any) -> VectorBatch:
        """Return the vectors of an answer."""
        found = msgspec.convert(document, _Embeddings)
        return VectorBatch(found.embeddings, found.prompt_eval_count)

    async def models(self) -> list[ModelInfo]:
        """Return the models that have been pulled.

        Raises:
            ProviderError: it does not answer, or cannot list.
        """
        entries = await self.listed("/api/tags", "models")
        return [model for entry in entries if (model := _model(entry)) is not None]


class OllamaReading:
    """Reads the lines of one answer; the last says that it is done, and counts."""

    def __init__(self, to: Endpoint) -> None:
        self.is_over = False
        self._to = to
        self._calls = ToolCalls()
        self._end: Sequence[Chunk] = ()

    def read(self, data: bytes) -> Sequence[Chunk]:
        line = _LINE.decode(data)
        if line.error:
            raise failures.in_stream(self._to, line.error)
        found = []
        if line.message is not None:
            message = line.message
            calls = tuple(map(self._call, message.tool_calls or ()))
            text, thoughts = message.content or "", message.thinking or ""
            if text or thoughts or calls:
                found.append(Chunk(text=text, reasoning=thoughts, tool_calls=calls))
        if line.done:
            self._finish(line)
        return found

    def finish(self) -> Sequence[Chunk]:
        if not self.is_over:
            raise failures.broken_off(self._to)
        return self._end

    def _call(self, call: _ToolCall) -> ToolCallDelta:
        return self._calls.whole(call.function.name, call.function.arguments, call.id)

    def _finish(self, line: _Line) -> None:
        self.is_over = True
        reason = finish_of(FINISH, line.done_reason or "", has_calls=bool(self._calls))
        # A prompt that was in its cache is not counted at all.
        usage = Usage(
            prompt_tokens=line.prompt_eval_count or 0,
            completion_tokens=line.eval_count or 0,
        )
        is_counted = line.prompt_eval_count is not None or line.eval_count is not None
        end = Chunk(finish_reason=reason)
        self._end = (end, Chunk(usage=usage)) if is_counted else (end,)


def request_body(request: ChatRequest, to: Endpoint) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        ProviderError: it has a part that this API has no place for.
    """
    names = {call.id: call.name for m in request.messages for call in m.tool_calls}
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_message(m, names, to) for m in request.messages],
        "stream": True,
    }
    if request.tools and request.tool_choice != "none":
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": schema_of(tool),
                },
            }
            for tool in request.tools
        ]
    if request.response_format is not None:
        body["format"] = request.response_format.schema or "json"
    if request.model.startswith(EFFORT_MODELS) and request.reasoning_effort in EFFORTS:
        body["think"] = request.reasoning_effort
    if options := dict(_options(request)):
        body["options"] = options
    return body


def _options(request: ChatRequest) -> Iterator[tuple[str, Any]]:
    options = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "num_predict": request.max_tokens,
        "stop": list(request.stop) or None,
        "seed": request.seed,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
    }
    return ((name, value) for name, value in options.items() if value is not None)


def _message(message: Message, names: dict[str, str], to: Endpoint) -> dict[str, Any]:
    role = "system" if message.role == "developer" else message.role
    said: dict[str, Any] = {"role": role, "content": message.text}
    images = []
    for part in message.content:
        if isinstance(part, ImagePart):
            images.append(encoded(part))
        elif not isinstance(part, TextPart):
            raise failures.not_taken(to, "sound or files, only text and images")
    if images:
        said["images"] = images
    if message.tool_calls:
        said["tool_calls"] = [
            {"function": {"name": call.name, "arguments": arguments_of(call, to)}}
            for call in message.tool_calls
        ]
    if message.reasoning:
        said["thinking"] = message.reasoning
    if message.role == "tool":
        said["tool_name"] = names.get(message.tool_call_id or "", message.name or "")
    return said


def _model(entry: Any) -> ModelInfo | None:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        return None
    kind = kind_of(name)
    if kind is None:
        return None
    details = entry.get("details")
    if isinstance(details, dict) and details.get("family") in VECTOR_FAMILIES:
        kind = "embedding"
    created = unix_seconds(entry.get("modified_at"))
    return ModelInfo(id=name, created=created, kind=kind)
