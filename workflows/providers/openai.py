"""Chat completions and embeddings, the wire of OpenAI and of most other servers.

See https://platform.openai.com/docs/api-reference/chat and .../embeddings there. What
the others leave out or call by another name is in ``DIALECTS``; how answers are read,
in ``openai_answers``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from workflows.providers import failures
from workflows.providers.adapter import (
    Call,
    encoded,
    schema_of,
)
from workflows.providers.embeddings import BatchSize, EmbeddingAdapter, VectorBatch
from workflows.providers.kinds import kind_of, shown_name
from workflows.providers.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    ModelInfo,
    Moderation,
    NamedTool,
    TextPart,
)
from workflows.providers.openai_answers import OpenAIReading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflows.providers.messages import (
        ChatRequest,
        EmbeddingRequest,
        Message,
        ModelKind,
        Part,
        ResponseFormat,
        Tool,
    )

# Members of the request that are passed on as they are; a dialect may lack some.
PLAIN = (
    "temperature",
    "top_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "top_logprobs",
    "reasoning_effort",
    "verbosity",
    "parallel_tool_calls",
)
# Of a request's further fields these alone: an address or a header among them would
# make some gateways call whom the caller names.
EXTRAS = (
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "service_tier",
    "prediction",
    "prompt_cache_key",
    "web_search_options",
)


class _Embedding(msgspec.Struct):
    embedding: list[float] | str
    index: int | None = None


class _EmbeddingUsage(msgspec.Struct):
    prompt_tokens: int | None = None


class _EmbeddingList(msgspec.Struct):
    data: list[_Embedding]
    usage: _EmbeddingUsage | None = None


class _ModerationList(msgspec.Struct):
    results: list[Moderation]


class Dialect(NamedTuple):
    """How a server's requests differ from the common ones."""

    max_tokens: str = "max_tokens"
    seed: str = "seed"
    required: str = "required"
    has_developer: bool = False
    has_names: bool = True
    lacks: frozenset[str] = frozenset({"verbosity"})
    extras: tuple[str, ...] = ("user",)
    adds_version: bool = False  # an address without a path means the one with /v1
    dimensions: str = "dimensions"
    packs_vectors: bool = False  # answers with vectors in base64 where asked to
    batch: BatchSize = BatchSize()
    fills_in: bool = False  # also writes what comes between two texts


LOCAL = Dialect(adds_version=True)
DIALECTS = {
    "openai": Dialect(
        max_tokens="max_completion_tokens",
        has_developer=True,
        lacks=frozenset(),
        extras=EXTRAS,
        packs_vectors=True,
        batch=BatchSize(inputs=512),
    ),
    "openrouter": Dialect(lacks=frozenset(), extras=EXTRAS),
    "mistral": Dialect(
        seed="random_seed",
        required="any",
        has_names=False,
        lacks=frozenset(
            {
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "reasoning_effort",
                "verbosity",
                "stream_options",
            }
        ),
        extras=(),
        dimensions="output_dimension",
        batch=BatchSize(tokens=8_000),  # 16,384 by its own count
        fills_in=True,
    ),
    "groq": Dialect(
        lacks=frozenset({"logit_bias", "logprobs", "top_logprobs", "verbosity"})
    ),
    "cerebras": Dialect(
        lacks=frozenset(
            {"frequency_penalty", "presence_penalty", "logit_bias", "verbosity"}
        )
    ),
    "vllm": LOCAL,
    "llama_cpp": LOCAL,
    "lmstudio": LOCAL,
}


class OpenAIProvider(EmbeddingAdapter):
    """OpenAI, and every server that speaks as it does."""

    takes_tokens = True

    @property
    def dialect(self) -> Dialect:
        """How the server behind this address differs."""
        return DIALECTS.get(self.spec.id, Dialect())

    def base_of(self, base_url: str) -> str:
        """Return the address, with the version where a local server's lacks it."""
        address = base_url.rstrip("/")
        is_bare = "/" not in address.partition("://")[2]
        return f"{address}/v1" if self.dialect.adds_version and is_bare else address

    def call(self, request: ChatRequest) -> Call:
        """Return the request as ``/chat/completions`` takes it, or another path."""
        if self.dialect.fills_in and "suffix" in request.extras:
            return Call("/fim/completions", fill_in_body(request, self.dialect))
        return Call("/chat/completions", request_body(request, self.dialect))

    def reading(self, request: ChatRequest) -> OpenAIReading:
        """Return the reader of one answer."""
        return OpenAIReading(self.to)

    @property
    def batch_size(self) -> BatchSize:
        """How much one call of this server may carry."""
        return self.dialect.batch

    def embedding_call(self, request: EmbeddingRequest) -> Call:
        """Return a batch as ``/embeddings`` takes it."""
        return Call("/embeddings", embedding_body(request, self.dialect))

    def vectors_in(self, document: Any) -> VectorBatch:
        """Return the vectors of an answer in the order of their inputs."""
        found = msgspec.convert(document, _EmbeddingList)
        entries = sorted(found.data, key=lambda entry: entry.index or 0)
        numbers = [entry.index for entry in entries if entry.index is not None]
        if numbers and numbers != list(range(len(entries))):
            raise msgspec.ValidationError("the vectors are not numbered from 0")
        tokens = found.usage.prompt_tokens if found.usage else None
        return VectorBatch([entry.embedding for entry in entries], tokens)

    async def moderate(self, text: str, model: str) -> Moderation:
        """Return what a model of OpenAI's for that thinks of a text.

        Raises:
            ProviderError: it is refused, breaks, is silent or makes no sense.
        """
        document = await self.client.document(
            self.to,
            "/moderations",
            body={"model": model, "input": text},
            headers=self.headers(),
        )
        try:
            return msgspec.convert(document, _ModerationList).results[0]
        except (msgspec.ValidationError, IndexError) as error:
            raise failures.invalid_json(self.to) from error

    async def models(self) -> list[ModelInfo]:
        """Return the models that the server lists.

        Raises:
            ProviderError: it does not answer, or cannot list.
        """
        found = await self.client.document(self.to, "/models", headers=self.headers())
        entries = found.get("data") if isinstance(found, dict) else found
        if not isinstance(entries, list):
            raise failures.invalid_json(self.to)
        return [model for entry in entries if (model := _model(entry)) is not None]


def request_body(request: ChatRequest, dialect: Dialect) -> dict[str, Any]:
    """Return the JSON object of a request."""
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_message(message, dialect) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **{name: getattr(request, name) for name in PLAIN},
        dialect.max_tokens: request.max_tokens,
        "stop": list(request.stop) or None,
        "logprobs": request.logprobs or None,
        "tools": [_tool(tool) for tool in request.tools] or None,
    }
    if request.tools:
        body["tool_choice"] = _choice(request.tool_choice, dialect)
    else:
        body["parallel_tool_calls"] = None  # refused without tools
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format)
    body[dialect.seed] = body.pop("seed")
    for name in dialect.extras:
        body[name] = request.extras.get(name)
    return {
        name: value
        for name, value in body.items()
        if value is not None and name not in dialect.lacks
    }


def fill_in_body(request: ChatRequest, dialect: Dialect) -> dict[str, Any]:
    """Return the JSON object of a request for the text before a suffix."""
    body = request_body(request, dialect)
    del body["messages"]
    prompt = "".join(message.text for message in request.messages)
    return {**body, "prompt": prompt, "suffix": request.extras["suffix"]}


def embedding_body(request: EmbeddingRequest, dialect: Dialect) -> dict[str, Any]:
    """Return the JSON object of a request for vectors."""
    body = {
        "model": request.model,
        "input": request.inputs,
        dialect.dimensions: request.dimensions,
        "encoding_format": "base64" if dialect.packs_vectors else None,
        "user": request.user if "user" in dialect.extras else None,
    }
    return {name: value for name, value in body.items() if value is not None}


def _message(message: Message, dialect: Dialect) -> dict[str, Any]:
    role: str = message.role
    if role == "developer" and not dialect.has_developer:
        role = "system"
    said: dict[str, Any] = {"role": role, "content": _content(message)}
    if message.name and dialect.has_names:
        said["name"] = message.name
    if message.tool_calls:
        said["content"] = said["content"] or None
        said["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        said["tool_call_id"] = message.tool_call_id
    return said


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Return a plain text where there is nothing else: some take no parts."""
    if all(isinstance(part, TextPart) for part in message.content):
        return message.text
    return [_part(part) for part in message.content]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        image = {"url": f"data:{part.media_type};base64,{encoded(part)}"}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if isinstance(part, AudioPart):
        sound = {"data": encoded(part), "format": part.format}
        return {"type": "input_audio", "input_audio": sound}
    return {"type": "file", "file": _file(part)}


def _file(part: FilePart) -> dict[str, Any]:
    data = f"data:{part.media_type};base64,{encoded(part)}"
    return {"filename": part.filename or "file", "file_data": data}


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": schema_of(tool)}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _choice(choice: str | NamedTool | None, dialect: Dialect) -> Any:
    if isinstance(choice, NamedTool):
        return {"type": "function", "function": {"name": choice.name}}
    return dialect.required if choice == "required" else choice


def _response_format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.type == "json_object":
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name or "answer", "schema": wanted.schema}
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


_CONTEXT_NAMES = (
    "context_length",
    "context_window",
    "max_model_len",
    "max_context_length",
)
# What some say of a model besides its id.
_KINDS: dict[Any, ModelKind] = {
    None: "language",
    "": "language",
    "model": "language",
    "chat": "language",
    "language": "language",
    "code": "language",
    "embedding": "embedding",
    "image": "image",
    "video": "video",
    "audio": "tts",
    "transcribe": "asr",
}


def _model(entry: Any) -> ModelInfo | None:
    """Return a model of a list; None if it is for nothing that is known here."""
    model_id = entry.get("id") if isinstance(entry, dict) else None
    if not isinstance(model_id, str):
        return None
    kind = _kind(entry, model_id)
    if kind is None:
        return None
    created = entry.get("created")
    return ModelInfo(
        id=model_id,
        created=int(created) if isinstance(created, int | float) else 0,
        context_tokens=next(_counts(entry), None),
        kind=kind,
        name=shown_name(entry, model_id, "display_name", "name"),
    )


def _kind(entry: dict[str, Any], model_id: str) -> ModelKind | None:
    kind = kind_of(model_id)
    if kind == "language":
        said = entry.get("type")
        kind = _KINDS.get(said) if isinstance(said, str | None) else None
    abilities = entry.get("capabilities")
    talks = not isinstance(abilities, dict) or abilities.get("completion_chat", True)
    return kind if talks or kind != "language" else None


def _counts(entry: dict[str, Any]) -> Iterator[int]:
    found = (entry.get(name) for name in _CONTEXT_NAMES)
    return (value for value in found if isinstance(value, int))
