"""What the adapters share to turn texts into vectors: batches, and what comes back.

An adapter says how a batch looks on its wire and where the vectors are in the answer.
All of them are checked here: as many as inputs, of one length, and nothing but numbers.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
import sys
from array import array
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import msgspec

from workflows.providers import failures
from workflows.providers.adapter import Adapter, Call
from workflows.providers.messages import Embeddings, Usage, estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workflows.providers.http_client import Endpoint
    from workflows.providers.messages import EmbeddingRequest, Vector

# Of all vectors of one answer: 64 MiB as doubles, 2,048 vectors of 4,096.
MAX_NUMBERS = 8 * 1024 * 1024


class BatchSize(NamedTuple):
    """How much one call may carry.

    The answer has to stay within what is read of a document: 4,096 numbers are up to
    90 KB as text. ``tokens`` are estimated; one input goes alone if it has more.
    """

    inputs: int = 128
    tokens: int = 100_000


class VectorBatch(NamedTuple):
    """What an answer holds: a vector for each input, and the tokens if it counts."""

    vectors: Sequence[Any]  # each a list of numbers, or float32 in base64
    tokens: int | None = None


class EmbeddingAdapter(Adapter):
    """An adapter of a vendor that may have models for vectors: ``spec.embeds``."""

    takes_tokens: ClassVar[bool] = False

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Call the model, batch by batch. See ``EmbeddingProvider``.

        Raises:
            ProviderError: it is refused, breaks, is silent or makes no sense.
        """
        if not self.spec.embeds:
            raise failures.no_embeddings(self.to)
        if not self.takes_tokens and not all(
            isinstance(text, str) for text in request.inputs
        ):
            raise failures.not_taken(self.to, "tokens, only texts", param="input")
        collected = Collected(self.to, request)
        for batch in batches(request, self.batch_size):
            call = self.embedding_call(batch)
            document = await self.client.document(
                self.to, call.path, body=call.body, headers=self.headers()
            )
            # Up to a million numbers: too long for the loop.
            await asyncio.to_thread(self._collect, collected, batch, document)
        return collected.embeddings()

    def _collect(
        self, collected: Collected, batch: EmbeddingRequest, document: Any
    ) -> None:
        try:
            found = self.vectors_in(document)
        except msgspec.ValidationError as error:
            raise failures.invalid_json(self.to) from error
        collected.add(batch, found)

    @property
    def batch_size(self) -> BatchSize:
        """How much one call may carry."""
        return BatchSize()

    def embedding_call(self, request: EmbeddingRequest) -> Call:
        """Return a batch on this wire."""
        raise NotImplementedError

    def vectors_in(self, document: Any) -> VectorBatch:
        """Return what an answer holds.

        Raises:
            msgspec.ValidationError: it is not what the API promises.
        """
        raise NotImplementedError


class Collected:
    """The vectors of a request so far."""

    def __init__(self, to: Endpoint, request: EmbeddingRequest) -> None:
        self._to, self._wanted = to, request.dimensions
        self._vectors: list[Vector] = []
        self._tokens = 0

    def add(self, batch: EmbeddingRequest, found: VectorBatch) -> None:
        """Add the answer for a batch.

        Raises:
            ProviderError: it has other vectors than asked for, or too many numbers.
        """
        asked, got = len(batch.inputs), len(found.vectors)
        if got != asked:
            raise failures.wrong_vectors(self._to, f"{got} vectors for {asked} texts")
        for value in found.vectors:
            self._vectors.append(self._vector(value))
        if len(self._vectors) * len(self._vectors[0]) > MAX_NUMBERS:
            raise failures.too_large(self._to)
        tokens = estimate_input_tokens(batch) if found.tokens is None else found.tokens
        self._tokens += max(0, tokens)

    def embeddings(self) -> Embeddings:
        """Return all of them."""
        return Embeddings(self._vectors, Usage(prompt_tokens=self._tokens))

    def _vector(self, value: Any) -> Vector:
        try:
            vector = (
                decode_vector(value) if isinstance(value, str) else array("d", value)
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise failures.invalid_json(self._to) from error
        if not vector or not math.isfinite(sum(vector)):
            raise failures.wrong_vectors(self._to, "vectors without numbers")
        length = len(vector)
        if self._wanted is not None and length != self._wanted:
            what = f"'dimensions' here: this model's vectors have {length}"
            raise failures.not_taken(self._to, what, param="dimensions")
        if self._vectors and length != len(self._vectors[0]):
            raise failures.wrong_vectors(self._to, "vectors of different lengths")
        return vector


def batches(request: EmbeddingRequest, size: BatchSize) -> Iterator[EmbeddingRequest]:
    """Cut a request into pieces of this size, each of at least one input."""
    start, tokens = 0, 0
    for index, text in enumerate(request.inputs):
        more = _tokens_of(text)
        is_full = index - start >= size.inputs or tokens + more > size.tokens
        if is_full and index > start:
            yield _part(request, start, index)
            start, tokens = index, 0
        tokens += more
    if request.inputs:
        yield _part(request, start, len(request.inputs))


def estimate_input_tokens(request: EmbeddingRequest) -> int:
    """Return about how many tokens the inputs have, where nobody counts them."""
    return sum(map(_tokens_of, request.inputs))


def decode_vector(text: str) -> Vector:
    """Return a vector that is written as little-endian float32 in base64.

    Raises:
        ValueError: it is none.
    """
    numbers = array("f")
    try:
        numbers.frombytes(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if sys.byteorder == "big":
        numbers.byteswap()
    return array("d", numbers)


def encode_vector(vector: Vector) -> str:
    """Return a vector as little-endian float32 in base64."""
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


def _part(request: EmbeddingRequest, start: int, end: int) -> EmbeddingRequest:
    return msgspec.structs.replace(request, inputs=request.inputs[start:end])


def _tokens_of(text: str | tuple[int, ...]) -> int:
    return estimate_tokens(text) if isinstance(text, str) else len(text)
