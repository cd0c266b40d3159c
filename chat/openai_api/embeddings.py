"""Texts to vectors as OpenAI's clients ask for them: reading the body, the answer.

Vectors leave as numbers, or packed as float32 in base64: OpenAI's own client asks for
those unless its user says otherwise. A large answer is written piece by piece.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from chat.openai_api.fields import Fields
from chat.openai_api.schemas import Emitted, encode
from workflows.providers.embeddings import encode_vector
from workflows.providers.messages import EmbeddingRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from workflows.providers.messages import Embeddings, Vector

MAX_INPUTS = 2_048
MAX_DIMENSIONS = 65_536
FORMATS = ("float", "base64")
PIECE_BYTES = 64 * 1024
WHOLE_NUMBERS = 64 * 1024  # up to so many an answer is written at once


class Embedding(Emitted, kw_only=True):
    """A vector of a list."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Emitted, kw_only=True):
    """Tokens of all inputs."""

    prompt_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class WantedEmbeddings:
    """What a caller wants. ``model`` is the id as they wrote it."""

    model: str
    provider: str | None
    request: EmbeddingRequest
    is_packed: bool


def read_embeddings(body: dict[str, Any]) -> WantedEmbeddings:
    """Return what a request body asks for.

    Raises:
        InvalidField: a field is missing or not as it should be.
    """
    fields = Fields(body)
    inputs = _inputs(fields)
    fields.required("model")
    model = fields.text("model") or ""
    if not model.strip():
        raise fields.refused("model", "must not be empty")
    request = EmbeddingRequest(
        model=model,
        inputs=inputs,
        dimensions=fields.whole("dimensions", 1, MAX_DIMENSIONS),
        user=fields.text("user"),
    )
    return WantedEmbeddings(
        model=model,
        provider=fields.text("provider"),
        request=request,
        is_packed=fields.word("encoding_format", FORMATS) == "base64",
    )


def pieces(wanted: WantedEmbeddings, found: Embeddings) -> Iterator[bytes]:
    """Yield the JSON document, a vector at a time."""
    usage = EmbeddingUsage(
        prompt_tokens=found.usage.prompt_tokens, total_tokens=found.usage.prompt_tokens
    )
    yield b'{"object":"list","data":['
    for index, vector in enumerate(found.vectors):
        shown = encode_vector(vector) if wanted.is_packed else list(vector)
        yield (b"," if index else b"") + encode(Embedding(index=index, embedding=shown))
    yield b'],"model":%b,"usage":%b}' % (encode(wanted.model), encode(usage))


async def in_turns(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield parts joined to pieces worth sending; others have their turn between."""
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
            await asyncio.sleep(0)
    yield bytes(piece)


def is_small(vectors: list[Vector]) -> bool:
    """Tell whether an answer is written in no time."""
    return sum(map(len, vectors)) <= WHOLE_NUMBERS


def _inputs(fields: Fields) -> tuple[str | tuple[int, ...], ...]:
    """Return the texts, or the tokens of texts; one alone stands without a list."""
    fields.required("input")
    value = fields.any("input")
    if isinstance(value, str) or _is_tokens(value):
        return (_input(fields, "input", value),)
    if not isinstance(value, list):
        raise fields.wrong("input", "a string or an array of strings or tokens")
    if not 0 < len(value) <= MAX_INPUTS:
        raise fields.refused("input", f"must have 1 to {MAX_INPUTS:,} entries")
    if len({type(entry) for entry in value}) > 1:
        raise fields.refused("input", "must not mix texts with tokens")
    return tuple(_input(fields, f"input[{i}]", entry) for i, entry in enumerate(value))


def _input(fields: Fields, name: str, value: Any) -> str | tuple[int, ...]:
    if _is_tokens(value):
        return tuple(value)
    if not isinstance(value, str):
        raise fields.wrong(name, "a string or an array of tokens")
    if not value:
        raise fields.refused(name, "must not be empty")
    if not _is_unicode(value):
        raise fields.refused(name, "has half characters")
    return value


def _is_tokens(value: Any) -> bool:
    """Tell whether a value is a list of numbers of tokens, with at least one."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(type(token) is int and token >= 0 for token in value)
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
