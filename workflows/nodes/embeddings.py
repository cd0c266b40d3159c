"""Nodes that turn a text into a vector."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from workflows.engine.context import NodeContext, ReachedModel
from workflows.engine.node import Meta, Node
from workflows.nodes import registry
from workflows.nodes.llm import reach
from workflows.nodes.structured import EmbeddingModel, choice, small_embedding_model
from workflows.nodes.successors import ask_or_successor
from workflows.providers.messages import EmbeddingRequest, Vector

TextIn = Annotated[str, Meta(description="The text.")]
ChunkSize = Annotated[
    int,
    Meta(
        description="A longer text is cut into pieces of so many characters, and the "
        "mean of their vectors is the result.",
        min=1,
        max=8192,
    ),
]


@registry.register("nodetool.text.Embedding")
class Embedding(Node):
    """Turns a text into a vector, with a model of any provider."""

    outputs = {"output": "np_array"}
    expose_as_tool = True

    model: Annotated[EmbeddingModel, Meta(description="The model for vectors.")] = (
        small_embedding_model()
    )
    input: TextIn = ""
    chunk_size: ChunkSize = 4096

    async def process(self, context: NodeContext) -> dict[str, Any]:
        reached = await reach(context, self.model)
        length = self.model.get("dimensions") or None
        pieces = cut(self.input, self.chunk_size)
        return await vector_of(context, reached, pieces, dimensions=length)


OpenAIModel = Literal["text-embedding-3-large", "text-embedding-3-small"]


@registry.register("openai.text.Embedding")
class OpenAIEmbedding(Node):
    """Turns a text into a vector, with a model of OpenAI."""

    outputs = {"output": "np_array"}
    expose_as_tool = True
    required_settings = ("OPENAI_API_KEY",)

    input: TextIn = ""
    model: Annotated[
        OpenAIModel,
        choice(OpenAIModel, "nodetool.nodes.openai.text.Embedding.EmbeddingModel"),
    ] = "text-embedding-3-small"
    chunk_size: Annotated[
        int, Meta(description="As of the node nodetool.text.Embedding.")
    ] = 4096

    async def process(self, context: NodeContext) -> dict[str, Any]:
        if self.chunk_size < 1:
            raise ValueError("chunk_size must be 1 or more")
        reached = await context.models.find(self.model, "openai")
        return await vector_of(context, reached, cut(self.input, self.chunk_size))


GeminiModel = Literal["text-embedding-004", "gemini-embedding-001"]
OLD_LENGTH = 768  # of the vectors of text-embedding-004


@registry.register("gemini.text.Embedding")
class GeminiEmbedding(Node):
    """Turns a text into a vector, with a model of Gemini."""

    outputs = {"output": "np_array"}
    expose_as_tool = True
    required_settings = ("GEMINI_API_KEY",)

    input: TextIn = ""
    model: Annotated[
        GeminiModel, choice(GeminiModel, "nodetool.nodes.gemini.text.EmbeddingModel")
    ] = "text-embedding-004"

    async def process(self, context: NodeContext) -> dict[str, Any]:
        async def ask(name: str) -> dict[str, Any]:
            reached = await context.models.find(name, "gemini")
            return await vector_of(
                context,
                reached,
                [self.input] if self.input else [],
                dimensions=None if name == self.model else OLD_LENGTH,
            )

        return await ask_or_successor(context, self.model, ask)


MistralModel = Literal["mistral-embed"]


@registry.register("mistral.embeddings.Embedding")
class MistralEmbedding(Node):
    """Turns a text into a vector, with a model of Mistral."""

    outputs = {"output": "np_array"}
    expose_as_tool = True
    required_settings = ("MISTRAL_API_KEY",)

    input: TextIn = ""
    model: Annotated[
        MistralModel,
        choice(MistralModel, "nodetool.nodes.mistral.embeddings.EmbeddingModel"),
    ] = "mistral-embed"
    chunk_size: ChunkSize = 4096

    async def process(self, context: NodeContext) -> dict[str, Any]:
        reached = await context.models.find(self.model, "mistral")
        return await vector_of(context, reached, cut(self.input, self.chunk_size))


def cut(text: str, size: int) -> list[str]:
    """Return a text in pieces of ``size`` characters."""
    return [text[start : start + size] for start in range(0, len(text), size)]


async def vectors_of(
    context: NodeContext,
    reached: ReachedModel,
    texts: Sequence[str],
    *,
    dimensions: int | None = None,
) -> list[Vector]:
    """Return a vector for each text, and count the tokens.

    Raises:
        ProviderError: the model cannot be called.
    """
    found = await reached.provider.embed(
        EmbeddingRequest(
            model=reached.model, inputs=tuple(texts), dimensions=dimensions
        )
    )
    context.run.usage.add(found.usage.prompt_tokens, found.usage.completion_tokens)
    return found.vectors


async def vector_of(
    context: NodeContext,
    reached: ReachedModel,
    pieces: Sequence[str],
    *,
    dimensions: int | None = None,
) -> dict[str, Any]:
    """Return the mean of the pieces' vectors, as it travels along edges.

    Raises:
        ValueError: there is no piece.
        ProviderError: the model cannot be called.
    """
    if not pieces:
        raise ValueError("The text is empty: there is nothing to turn into a vector")
    vectors = await vectors_of(context, reached, pieces, dimensions=dimensions)
    # The vectors of a book have millions of numbers, and the loop is shared.
    return await asyncio.to_thread(_mean, vectors)


def _mean(vectors: Sequence[Vector]) -> dict[str, Any]:
    count = len(vectors)
    numbers = [sum(each) / count for each in zip(*vectors, strict=True)]
    return {
        "type": "np_array",
        "value": numbers,
        "dtype": "<f8",
        "shape": [len(numbers)],
    }
