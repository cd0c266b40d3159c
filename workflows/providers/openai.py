"""Chat completions and embeddings, the wire of OpenAI and of most other servers.

See https://platform.openai.com/docs/api-reference/chat and .../embeddings there. What
the others leave out or call by another name is in ``DIALECTS``; how answers are read,
in ``openai_answers``. What OpenAI takes in another way only is in ``openai_responses``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import msgspec

from workflows.providers import failures, openai_responses
from workflows.providers.adapter import (
    Call,
    CallIds,
    encoded,
    schema_of,
    told,
)
from workflows.providers.embeddings import BatchSize, EmbeddingAdapter, VectorBatch
from workflows.providers.kinds import kind_of, shown_name
from workflows.providers.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    ModelInfo,
    Moderation,
    NamedTool,
    ResponseFormat,
    TextPart,
)
from workflows.providers.openai_answers import OpenAIReading, joined_details

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflows.providers.adapter import Reading
    from workflows.providers.messages import (
        ChatRequest,
        EmbeddingRequest,
        ModelKind,
        Part,
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


T = TypeVar("T")

# What models that think refuse; "stop" is applied by the caller too.
SAMPLING = frozenset(
    {
        "temperature",
        "top_p",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "stop",
    }
)
_THINKS = re.compile(r"o\d|codex|gpt-(?:5(?!-chat)|[6-9])")
_THINKS_IF_ASKED = re.compile(r"gpt-5\.[124](?:-mini|-nano)?(?:-\d{4}-\d\d-\d\d)?")
FORMATS = frozenset({"json_object", "json_schema"})
ANY_OBJECT = ResponseFormat("json_schema", schema={"type": "object"})
FREE_CHOICES = (None, "auto", "none")
BETWEEN = Message("assistant", (TextPart("OK."),))


class _Embedding(msgspec.Struct):
    embedding: list[float] | str
    index: int | None = None


class _EmbeddingUsage(msgspec.Struct):
    prompt_tokens: int | None = None


class _EmbeddingList(msgspec.Struct):
    data: list[_Embedding]
    usage: _EmbeddingUsage | None = None


class _Moderation(msgspec.Struct):
    flagged: bool
    categories: dict[str, bool | None] = {}
    category_scores: dict[str, float | None] = {}


class _ModerationList(msgspec.Struct):
    results: list[_Moderation]


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
    thinks: bool = False  # some models do, with rules of their own
    formats: frozenset[str] = FORMATS  # what may be asked for besides text
    call_ids: CallIds = CallIds(re.compile(r".{1,64}"), 40)
    wants_back: Literal["reasoning_content", "reasoning_details", ""] = ""
    bridges_results: bool = False  # takes no user right behind the result of a tool
    forces_unthinking: bool = (
        False  # a call can be demanded if the model must not think
    )


LOCAL = Dialect(adds_version=True)
DIALECTS = {
    "openai": Dialect(
        max_tokens="max_completion_tokens",
        has_developer=True,
        lacks=frozenset(),
        extras=EXTRAS,
        packs_vectors=True,
        # At most 300,000 tokens by its own count, and a letter may be one.
        batch=BatchSize(inputs=512, tokens=75_000),
        thinks=True,
        call_ids=CallIds(re.compile(r".{1,40}"), 40),
    ),
    "openrouter": Dialect(
        lacks=frozenset(),
        extras=EXTRAS,
        call_ids=CallIds(re.compile(r"[a-zA-Z0-9_-]{1,40}"), 40),
        wants_back="reasoning_details",
    ),
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
        call_ids=CallIds(re.compile(r"[a-zA-Z0-9]{9}"), 9),
        bridges_results=True,
    ),
    "groq": Dialect(
        has_names=False,
        lacks=frozenset({"logit_bias", "logprobs", "top_logprobs", "verbosity"}),
        formats=frozenset(),  # none of them in a stream
    ),
    "deepseek": Dialect(
        formats=frozenset({"json_object"}),
        wants_back="reasoning_content",
        forces_unthinking=True,
    ),
    "zhipu": Dialect(formats=frozenset({"json_object"}), batch=BatchSize(inputs=64)),
    "minimax": Dialect(formats=frozenset()),
    "cerebras": Dialect(
        has_names=False,
        formats=frozenset(),  # none of them in a stream of a model that thinks
        lacks=frozenset(
            {"frequency_penalty", "presence_penalty", "logit_bias", "verbosity"}
        ),
    ),
    "vllm": LOCAL,
    "llama_cpp": LOCAL,
    "lmstudio": LOCAL._replace(formats=frozenset({"json_schema"})),
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
        if self._is_for_responses(request):
            body = openai_responses.request_body(
                request,
                self.to,
                self.dialect.call_ids,
                samples=not _is_thinking(request),
            )
            return Call("/responses", body)
        return Call("/chat/completions", request_body(request, self.dialect))

    def reading(self, request: ChatRequest) -> Reading:
        """Return the reader of one answer."""
        if self._is_for_responses(request):
            return openai_responses.ResponsesReading(self.to)
        return OpenAIReading(self.to)

    def _is_for_responses(self, request: ChatRequest) -> bool:
        return self.dialect.thinks and openai_responses.is_needed(request)

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
            found = msgspec.convert(document, _ModerationList).results[0]
        except (msgspec.ValidationError, IndexError) as error:
            raise failures.invalid_json(self.to) from error
        return Moderation(  # an older model does not know each category
            found.flagged, _known(found.categories), _known(found.category_scores)
        )

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


def _known(values: dict[str, T | None]) -> dict[str, T]:
    return {name: value for name, value in values.items() if value is not None}


def request_body(request: ChatRequest, dialect: Dialect) -> dict[str, Any]:
    """Return the JSON object of a request."""
    wanted = request.response_format
    if wanted is not None and wanted.type not in dialect.formats:
        request = told(request, wanted.instruction)
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_message(m, dialect) for m in _messages(request, dialect)],
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
        if dialect.forces_unthinking and request.tool_choice not in FREE_CHOICES:
            body["thinking"] = {"type": "disabled"}
    else:
        body["parallel_tool_calls"] = None  # refused without tools
    if wanted is not None:
        body["response_format"] = _response_format(wanted, dialect)
    body[dialect.seed] = body.pop("seed")
    for name in dialect.extras:
        body[name] = request.extras.get(name)
    lacks = dialect.lacks
    if dialect.thinks and _is_thinking(request):
        lacks |= SAMPLING
    return {
        name: value
        for name, value in body.items()
        if value is not None and name not in lacks
    }


def _is_thinking(request: ChatRequest) -> bool:
    """Tell whether a model of OpenAI's thinks before it answers this."""
    model, effort = request.model, request.reasoning_effort
    if _THINKS.match(model) is None or effort == "none":
        return False
    return effort is not None or _THINKS_IF_ASKED.fullmatch(model) is None


def _messages(request: ChatRequest, dialect: Dialect) -> Iterator[Message]:
    """Yield the messages in an order that the server takes."""
    before = ""
    for message in request.messages:
        if dialect.bridges_results and (before, message.role) == ("tool", "user"):
            yield BETWEEN
        yield message
        before = message.role


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
                "id": dialect.call_ids.fitting(call.id),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        said["tool_call_id"] = dialect.call_ids.fitting(message.tool_call_id)
    if message.role == "assistant":
        said |= _wanted_back(message, dialect)
    return said


def _wanted_back(message: Message, dialect: Dialect) -> dict[str, Any]:
    """Return what the server wants back with an answer, once tools were called."""
    if dialect.wants_back == "reasoning_content":  # at least an empty one
        return {"reasoning_content": message.reasoning}
    if dialect.wants_back == "reasoning_details" and message.memory:
        return {"reasoning_details": joined_details(message.memory)}
    return {}


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


def _response_format(wanted: ResponseFormat, dialect: Dialect) -> Any:
    """Return what comes closest to the format asked for; None if nothing does."""
    if wanted.type not in dialect.formats:
        if "json_object" in dialect.formats:
            return {"type": "json_object"}
        if "json_schema" not in dialect.formats:
            return None
        wanted = ANY_OBJECT
    if wanted.type == "json_object":
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name or "answer", "schema": wanted.schema}
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    if wanted.description:
        schema["description"] = wanted.description
    return {"type": "json_schema", "json_schema": schema}


_CONTEXT_NAMES = (
    "context_length",
    "context_window",
    "max_model_len",
    "max_context_length",
)
# What some say of a model besides its id; with any other word it is for language.
_KINDS: dict[str, ModelKind | None] = {
    "moderation": None,
    "rerank": None,
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
        kind = _KINDS.get(said, kind) if isinstance(said, str) else kind
    abilities = entry.get("capabilities")
    talks = not isinstance(abilities, dict) or abilities.get("completion_chat", True)
    return kind if talks or kind != "language" else None


def _counts(entry: dict[str, Any]) -> Iterator[int]:
    found = (entry.get(name) for name in _CONTEXT_NAMES)
    return (value for value in found if isinstance(value, int))
