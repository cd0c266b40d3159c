"""Gemini's own API: ``streamGenerateContent`` and ``batchEmbedContents``.

See https://ai.google.dev/api/generate-content and https://ai.google.dev/api/embeddings.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from workflows.providers import failures
from workflows.providers.adapter import (
    Call,
    ToolCalls,
    arguments_of,
    encoded,
    finish_of,
    schema_of,
    told,
)
from workflows.providers.embeddings import BatchSize, EmbeddingAdapter, VectorBatch
from workflows.providers.kinds import kind_of, shown_name
from workflows.providers.messages import (
    AudioPart,
    Chunk,
    ModelInfo,
    NamedTool,
    Source,
    TextPart,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from workflows.providers.http_client import Endpoint
    from workflows.providers.messages import (
        ChatRequest,
        EmbeddingRequest,
        FinishReason,
        Message,
        ModelKind,
        Part,
        Tool,
    )

MAX_STOPS = 5
MAX_EMBEDDED = 100
FINISH: dict[str, FinishReason] = {
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
}
MISSHAPEN = (
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
)
# What else than text a model makes, by the method that it takes.
KINDS: dict[str, ModelKind] = {
    "embedContent": "embedding",
    "predict": "image",
    "predictLongRunning": "video",
}
# An object without a property is refused: a function without parameters has none.
OBJECT_ONLY = frozenset({"type", "properties", "required", "additionalProperties"})
MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY"}
# These models want back the signature of the first call of each answer; this is the
# documented stand-in for a conversation that has lost them, as every stored one has.
SIGNED_MODELS = re.compile(r"gemini-(?:[3-9]|.*-latest)")
# They take no instructions apart from what the user says, and no format of an answer.
PLAIN_MODELS = "gemma-3"
NOTHING = TextPart("")  # refused as a part
NO_SIGNATURE = "skip_thought_signature_validator"


class _Call(msgspec.Struct):
    name: str = ""
    args: dict[str, Any] | None = None
    id: str | None = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: _Call | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Page(msgspec.Struct):
    uri: str = ""
    title: str = ""


class _GroundingChunk(msgspec.Struct):
    web: _Page | None = None


class _Grounding(msgspec.Struct, rename="camel"):
    grounding_chunks: list[_GroundingChunk] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    grounding_metadata: _Grounding | None = None
    finish_reason: str | None = None
    index: int = 0


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None


class _Event(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    error: Any = None


class _Embedding(msgspec.Struct):
    values: list[float]


class _Embeddings(msgspec.Struct, rename="camel"):
    embeddings: list[_Embedding]
    usage_metadata: _Usage | None = None


_EVENT = msgspec.json.Decoder(_Event)


class GeminiProvider(EmbeddingAdapter):
    """Gemini, with a key of Google AI Studio."""

    def base_of(self, base_url: str) -> str:
        """Return the address without a version: the paths have it."""
        return base_url.rstrip("/").removesuffix("/v1beta")

    def headers(self) -> dict[str, str]:
        """Return the key; in an address it would show in logs."""
        return {"x-goog-api-key": self.to.key}

    def call(self, request: ChatRequest) -> Call:
        """Return the request; its path names the model."""
        path = f"{_path_of(request.model)}:streamGenerateContent?alt=sse"
        return Call(path, request_body(request, self.to))

    def reading(self, request: ChatRequest) -> GeminiReading:
        """Return the reader of one answer."""
        return GeminiReading(self.to)

    @property
    def batch_size(self) -> BatchSize:
        """How much one call may carry."""
        return BatchSize(inputs=MAX_EMBEDDED)

    def embedding_call(self, request: EmbeddingRequest) -> Call:
        """Return a batch: a request for each text, which names the model again."""
        common: dict[str, Any] = {"model": f"models/{_name_of(request.model)}"}
        if request.dimensions is not None:
            common["outputDimensionality"] = request.dimensions
        requests = [
            {**common, "content": {"parts": [{"text": text}]}}
            for text in request.inputs
        ]
        path = f"{_path_of(request.model)}:batchEmbedContents"
        return Call(path, {"requests": requests})

    def vectors_in(self, document: Any) -> VectorBatch:
        """Return the vectors of an answer, which seldom says how many tokens."""
        found = msgspec.convert(document, _Embeddings)
        usage = found.usage_metadata
        tokens = usage.prompt_token_count if usage is not None else None
        return VectorBatch([entry.values for entry in found.embeddings], tokens)

    async def models(self) -> list[ModelInfo]:
        """Return the models that this key may call.

        Raises:
            ProviderError: it does not answer, or cannot list.
        """
        entries = await self.listed("/v1beta/models?pageSize=1000", "models")
        return [model for entry in entries if (model := _model(entry)) is not None]


class GeminiReading:
    """Reads the responses of one answer; the last of them has the finish reason."""

    def __init__(self, to: Endpoint) -> None:
        self.is_over = False
        self._to = to
        self._calls = ToolCalls()
        self._finish: FinishReason | None = None
        self._usage: _Usage | None = None

    def read(self, data: bytes) -> Sequence[Chunk]:
        event = _EVENT.decode(data)
        if event.error:
            raise failures.in_stream(self._to, event.error)
        self._usage = event.usage_metadata or self._usage
        if event.prompt_feedback is not None and event.prompt_feedback.block_reason:
            self._finish = "content_filter"
        found: list[Chunk] = []
        for candidate in event.candidates or ():
            if candidate.index == 0:
                found += self._candidate(candidate)
        return found

    def finish(self) -> Sequence[Chunk]:
        if self._finish is None:
            raise failures.broken_off(self._to)
        end = Chunk(finish_reason=self._finish)
        return (end,) if self._usage is None else (end, Chunk(usage=self._total()))

    def _candidate(self, candidate: _Candidate) -> Iterator[Chunk]:
        parts = candidate.content.parts if candidate.content is not None else None
        for part in parts or ():
            if part.function_call is not None:
                call = part.function_call
                delta = self._calls.whole(call.name, call.args, call.id or "")
                signature = part.thought_signature or ""
                kept = {"call": delta.id, "id": call.id, "signature": signature}
                yield Chunk(tool_calls=(delta,), memory=(kept,))
            elif part.text:
                is_thought = part.thought
                yield Chunk(reasoning=part.text) if is_thought else Chunk(part.text)
        if candidate.grounding_metadata is not None:
            yield Chunk(sources=tuple(_sources(candidate.grounding_metadata)))
        if reason := candidate.finish_reason:
            if reason in MISSHAPEN:
                raise failures.invalid_json(self._to)
            self._finish = finish_of(FINISH, reason, has_calls=bool(self._calls))

    def _total(self) -> Usage:
        usage = self._usage or _Usage()
        thoughts = usage.thoughts_token_count
        return Usage(
            prompt_tokens=(usage.prompt_token_count or 0)
            + (usage.tool_use_prompt_token_count or 0),
            completion_tokens=(usage.candidates_token_count or 0) + (thoughts or 0),
            cached_tokens=usage.cached_content_token_count,
            reasoning_tokens=thoughts,
        )


def _sources(grounding: _Grounding) -> Iterator[Source]:
    for chunk in grounding.grounding_chunks or ():
        if chunk.web is not None and chunk.web.uri:
            yield Source(chunk.web.uri, chunk.web.title)


def _path_of(model: str) -> str:
    name = quote(_name_of(model), safe="", errors="replace")
    return f"/v1beta/models/{name}"


def _name_of(model: str) -> str:
    return model.removeprefix("models/")


def request_body(request: ChatRequest, to: Endpoint) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        ProviderError: it has a part that this API has no place for.
    """
    has_format = _has_format(request)
    if request.response_format is not None and not has_format:
        request = told(request, request.response_format.instruction)
    turns, system = _turns(request, to), _system(request)
    body: dict[str, Any] = {"contents": turns}
    if system and _name_of(request.model).startswith(PLAIN_MODELS):
        body["contents"] = _led_by(system, turns)
    elif system:
        body["systemInstruction"] = {"parts": system}
    if config := _config(request, has_format=has_format):
        body["generationConfig"] = config
    if request.extras.get("google_search"):
        body["tools"] = [{"google_search": {}}]
    elif request.tools:
        functions = [_function(tool) for tool in request.tools]
        body["tools"] = [{"functionDeclarations": functions}]
        if request.tool_choice is not None:
            body["toolConfig"] = {"functionCallingConfig": _choice(request)}
    return body


def _has_format(request: ChatRequest) -> bool:
    """Tell whether the form of an answer may be sent: the older, not with tools."""
    name = _name_of(request.model)
    if request.response_format is None or name.startswith(PLAIN_MODELS):
        return False
    has_tools = bool(request.tools or request.extras.get("google_search"))
    return not has_tools or SIGNED_MODELS.match(name) is not None


def _led_by(
    parts: list[dict[str, Any]], turns: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the turns with these parts said first, by the user."""
    if not turns or turns[0]["role"] != "user":
        return [{"role": "user", "parts": parts}, *turns]
    return [{**turns[0], "parts": parts + turns[0]["parts"]}, *turns[1:]]


def _system(request: ChatRequest) -> list[dict[str, Any]]:
    return [
        {"text": message.text}
        for message in request.messages
        if message.role in ("system", "developer") and message.text
    ]


def _config(request: ChatRequest, *, has_format: bool) -> dict[str, Any]:
    """Return what steers the answer. No model since Gemini 2.0 takes a penalty."""
    config: dict[str, Any] = {
        "temperature": request.temperature,
        "topP": request.top_p,
        "maxOutputTokens": request.max_tokens,
        "stopSequences": list(request.stop[:MAX_STOPS]) or None,
        "seed": request.seed,
    }
    if request.response_format is not None and has_format:
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = request.response_format.schema
    return {name: value for name, value in config.items() if value is not None}


def _function(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description}
    takes = schema_of(tool)
    if takes.get("properties") or not takes.keys() <= OBJECT_ONLY:
        function["parametersJsonSchema"] = takes
    return function


def _choice(request: ChatRequest) -> dict[str, Any]:
    if isinstance(request.tool_choice, NamedTool):
        return {"mode": "ANY", "allowedFunctionNames": [request.tool_choice.name]}
    return {"mode": MODES[request.tool_choice or "auto"]}


def _turns(request: ChatRequest, to: Endpoint) -> list[dict[str, Any]]:
    """Return user and model in turn: all results of one answer's calls together."""
    names = {call.id: call.name for m in request.messages for call in m.tool_calls}
    is_signed = SIGNED_MODELS.match(_name_of(request.model)) is not None
    # From Gemini 3.5 on a result has to name its call.
    calls = [call for m in request.messages for call in m.tool_calls]
    ids: dict[str, str | None] = {c.id: c.id for c in calls} if is_signed else {}
    for kept in [kept for m in request.messages for kept in m.memory]:
        ids[kept["call"]] = kept["id"] or ids.get(kept["call"])
    turns: list[dict[str, Any]] = []
    for message in request.messages:
        if message.role in ("system", "developer"):
            continue
        role = "model" if message.role == "assistant" else "user"
        if message.role == "tool":
            parts = [_result(message, names, ids)]
        else:
            parts = [_part(part) for part in message.content if part != NOTHING]
            parts += _calls(message, to, ids, is_signed=is_signed)
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        elif parts:
            turns.append({"role": role, "parts": parts})
    return turns


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"text": part.text}
    kind = f"audio/{part.format}" if isinstance(part, AudioPart) else part.media_type
    return {"inlineData": {"mimeType": kind, "data": encoded(part)}}


def _calls(
    message: Message, to: Endpoint, ids: Mapping[str, str | None], *, is_signed: bool
) -> Iterator[dict[str, Any]]:
    """Yield the calls of a message as they came, or as if they had."""
    signatures = {entry["call"]: entry["signature"] for entry in message.memory}
    for number, call in enumerate(message.tool_calls):
        signature = signatures.get(call.id)
        if not signature and is_signed and number == 0:
            signature = NO_SIGNATURE
        yield _without_empty(
            functionCall=_without_empty(
                id=ids.get(call.id), name=call.name, args=arguments_of(call, to)
            ),
            thoughtSignature=signature,
        )


def _without_empty(**members: Any) -> dict[str, Any]:
    """Return the members that are there; an empty object is."""
    return {name: value for name, value in members.items() if value not in (None, "")}


def _result(
    message: Message, names: Mapping[str, str], ids: Mapping[str, str | None]
) -> dict[str, Any]:
    call_id = message.tool_call_id or ""
    try:
        value = msgspec.json.decode(message.text)
    except (msgspec.DecodeError, RecursionError):
        value = message.text
    response = value if isinstance(value, dict) else {"result": value}
    name = names.get(call_id) or message.name or ""
    answer = _without_empty(id=ids.get(call_id), name=name, response=response)
    return {"functionResponse": answer}


def _model(entry: Any) -> ModelInfo | None:
    """Return a model of the list; None if it is for nothing that is known here."""
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        return None
    model_id = name.removeprefix("models/")
    kind = _kind(entry.get("supportedGenerationMethods"), model_id)
    if kind is None:
        return None
    count = entry.get("inputTokenLimit")
    return ModelInfo(
        id=model_id,
        context_tokens=count if isinstance(count, int) else None,
        kind=kind,
        name=shown_name(entry, model_id, "displayName"),
    )


def _kind(methods: Any, model_id: str) -> ModelKind | None:
    if not isinstance(methods, list) or "generateContent" in methods:
        return kind_of(model_id)
    found = (KINDS.get(method) for method in methods if isinstance(method, str))
    return next(filter(None, found), None)
