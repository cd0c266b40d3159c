"""Splitting a document where its subject changes."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Annotated, Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.engine.values import DocumentRef, is_blank
from workflows.nodes import registry
from workflows.nodes.embeddings import vectors_of
from workflows.nodes.llm import reach
from workflows.nodes.structured import LanguageModel, gemma_for_vectors, no_asset
from workflows.providers.messages import Vector

MAX_SENTENCES = 10_000

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@registry.register("nodetool.document.SplitDocument")
class SplitDocument(Node):
    """Splits a text document where the meaning of its sentences changes most.

    Each sentence is turned into a vector together with its neighbours; a part ends
    where the distance to the next vector is above the ``threshold`` in percent of all
    distances.
    """

    outputs = {"text": "str", "source_id": "str", "start_index": "int"}
    streaming_output = True

    embed_model: Annotated[
        LanguageModel, Meta(description="A model for vectors, of any provider.")
    ] = gemma_for_vectors()
    document: Annotated[DocumentRef, Meta(description="A text in UTF-8.")] = no_asset(
        "document"
    )
    buffer_size: Annotated[
        int, Meta(description="How many neighbours count.", min=1, max=100)
    ] = 1
    threshold: Annotated[
        int, Meta(description="The share of distances below, in %.", min=0, max=100)
    ] = 95

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        text = await self._text(context)
        starts = await asyncio.to_thread(sentence_starts, text)
        if not starts:
            return
        if len(starts) > MAX_SENTENCES:
            raise ValueError(f"The document has more than {MAX_SENTENCES} sentences")
        reached = await reach(context, self.embed_model)
        neighbours = with_neighbours(text, starts, self.buffer_size)
        vectors = await vectors_of(context, reached, neighbours)
        firsts = await context.run_blocking(breaks, vectors, self.threshold)
        source = self.document.get("uri") or self.document.get("asset_id") or ""
        for start, end in pairwise([*(starts[first] for first in firsts), len(text)]):
            part = text[start:end].strip()
            yield {"text": part, "source_id": source, "start_index": start}

    async def _text(self, context: NodeContext) -> str:
        if is_blank(self.document):
            raise ValueError("There is no document: connect one, or choose one")
        data = await context.assets.read(self.document)
        try:
            return await asyncio.to_thread(data.decode)
        except UnicodeDecodeError as error:
            raise ValueError("The document is no text in UTF-8") from error


def sentence_starts(text: str) -> list[int]:
    """Return where the sentences of a text begin."""
    begin = len(text) - len(text.lstrip())
    if begin == len(text):
        return []
    ends = (match.end() for match in _SENTENCE_END.finditer(text, begin))
    return [begin, *(end for end in ends if end < len(text))]


def with_neighbours(text: str, starts: Sequence[int], count: int) -> list[str]:
    """Return each sentence with as many before and after it."""
    edges = [*starts, len(text)]
    last = len(starts)
    return [
        text[edges[max(at - count, 0)] : edges[min(at + count + 1, last)]].strip()
        for at in range(last)
    ]


def breaks(vectors: Sequence[Vector], threshold: int) -> list[int]:
    """Return the numbers of the sentences that begin a part; the first one does."""
    distances = [_distance(a, b) for a, b in pairwise(vectors)]
    if not distances:
        return [0]
    limit = _percentile(sorted(distances), threshold)
    after = (at for at, each in enumerate(distances, 1) if each > limit)
    return [0, *after]


def _distance(first: Vector, second: Vector) -> float:
    """Return 1 - the cosine of the angle between two vectors."""
    product = sum(a * b for a, b in zip(first, second, strict=True))
    length = math.hypot(*first) * math.hypot(*second)
    return 1 - product / length if length else 1.0


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the value that so many percent lie below, between two if it must be."""
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
