"""What is said to a model and what comes back, in the words of no vendor."""

from __future__ import annotations

from array import array
from typing import Any, Literal, TypeAlias

import msgspec

Role = Literal["system", "developer", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
ModelKind = Literal["language", "embedding", "image", "video", "tts", "asr"]
Vector: TypeAlias = "array[float]"  # a plain one cannot be written before 3.12
CHARACTERS_PER_TOKEN = 4


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    """A piece of text."""

    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image"):
    """A picture, fetched already: an adapter never follows an address."""

    data: bytes
    media_type: str
    detail: Literal["auto", "low", "high"] | None = None


class AudioPart(msgspec.Struct, frozen=True, tag="audio"):
    """A sound."""

    data: bytes
    format: Literal["wav", "mp3"]


class FilePart(msgspec.Struct, frozen=True, tag="file"):
    """A document, such as a PDF."""

    data: bytes
    media_type: str
    filename: str = ""


Part = TextPart | ImagePart | AudioPart | FilePart


class ToolCall(msgspec.Struct, frozen=True):
    """A model's wish to have a tool called. ``arguments``: JSON text, unchecked."""

    id: str
    name: str
    arguments: str = "{}"


class Message(msgspec.Struct, frozen=True):
    """One message of a conversation.

    ``tool_calls`` belong to an assistant, ``tool_call_id`` to a tool's result. A
    provider without the role ``developer`` takes it as ``system``. ``reasoning`` is
    what an assistant thought before it said this. ``memory`` is what its vendor wants
    back with the message, in words of that vendor's adapter: it never leaves the turn.
    """

    role: Role
    content: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning: str = ""
    memory: tuple[dict[str, Any], ...] = ()

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(p.text for p in self.content if isinstance(p, TextPart))


class Tool(msgspec.Struct, frozen=True):
    """A function that the model may ask for. ``parameters``: its JSON schema."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    strict: bool | None = None


class NamedTool(msgspec.Struct, frozen=True):
    """The choice of one tool: the model has to call it."""

    name: str


class ResponseFormat(msgspec.Struct, frozen=True):
    """How the answer has to look. The other members go with ``json_schema`` only.

    An adapter whose wire has no such thing adds ``instruction`` to the system prompt,
    unless the messages say as much already: ``is_explained``.
    """

    type: Literal["json_object", "json_schema"]
    name: str = ""
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str = ""
    is_explained: bool = False

    @property
    def instruction(self) -> str:
        """The same as a sentence to a model; empty where it has been told."""
        if self.is_explained:
            return ""
        if self.schema is None:
            return "Answer with one JSON object and nothing else."
        schema = msgspec.json.encode(self.schema).decode()
        about = f"{self.description}\n" if self.description else ""
        return f"{about}Answer with one JSON value that fits this schema: {schema}"


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a model. What is None or empty was not asked for.

    ``model`` is the provider's own id. ``extras`` are further fields of the OpenAI
    request (``metadata``, ``prediction``, ...) for the adapters that take them, and
    ``suffix`` (what follows the text that is asked for: Mistral) and ``google_search``
    (true: Gemini).
    ``stop`` is applied by the caller too: an adapter that cannot send it may leave it.
    """

    model: str
    messages: tuple[Message, ...]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    extras: dict[str, Any] = {}


class ToolCallDelta(msgspec.Struct, frozen=True):
    """A piece of a tool call.

    ``index`` numbers the calls of one answer from 0. ``id`` and ``name`` come whole
    with a call's first piece, ``arguments`` is the next piece of its JSON text.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one call; the details are parts of the two sums."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None

    def __add__(self, other: Usage) -> Usage:
        """Return the usage of both; a detail that only one of them tells is its."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            _added(self.cached_tokens, other.cached_tokens),
            _added(self.reasoning_tokens, other.reasoning_tokens),
        )


class Source(msgspec.Struct, frozen=True):
    """A page of the web that an answer rests on."""

    url: str
    title: str = ""


class Chunk(msgspec.Struct, frozen=True):
    """One step of an answer; any of its members may be absent.

    An answer has one ``finish_reason``, and ``usage`` in at most one chunk, which may
    come behind it. ``logprobs``: entries of OpenAI's ``logprobs.content``. ``sources``
    come from models that were asked to search. ``memory``: see ``Message``.
    ``is_refusal``: the text says why the model does not answer, as some do where an
    answer of a given form was asked for.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    logprobs: list[dict[str, Any]] | None = None
    sources: tuple[Source, ...] = ()
    memory: tuple[dict[str, Any], ...] = ()
    is_refusal: bool = False


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Texts to be turned into vectors, of any number.

    ``model`` is the provider's own id. An input is a text, or the numbers of its
    tokens, which few providers take. ``dimensions``: how long the vectors shall be.
    """

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    user: str | None = None


class Embeddings(msgspec.Struct, frozen=True):
    """A vector for each input, in their order, all of one length.

    A vector is an array of doubles (``list(vector)`` where a list is wanted): as lists
    of numbers the largest answers would take half a gigabyte.
    """

    vectors: list[Vector]
    usage: Usage


class Moderation(msgspec.Struct, frozen=True):
    """What a vendor thinks of a text: the categories it may fall under, each 0 to 1."""

    flagged: bool
    categories: dict[str, bool] = {}
    category_scores: dict[str, float] = {}


class ModelInfo(msgspec.Struct, frozen=True):
    """A model that a provider offers. ``created``: Unix seconds, 0 if unknown.

    ``name`` is what the vendor calls it for people, empty if that is its id.
    """

    id: str
    created: int = 0
    context_tokens: int | None = None
    kind: ModelKind = "language"
    name: str = ""


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has, where nobody counts them."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _added(one: int | None, other: int | None) -> int | None:
    """Return the sum of what is known."""
    if one is None or other is None:
        return other if one is None else one
    return one + other
