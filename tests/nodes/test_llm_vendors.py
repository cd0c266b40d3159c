"""What the nodes of single vendors ask for, and what they make of the answer."""

from array import array
from typing import Any

import pytest

from tests.agents.scripted import Answers, said
from tests.nodes.harness import OfflineModels, reference, run_node
from workflows.engine.context import ReachedModel
from workflows.engine.events import LogUpdate
from workflows.providers.base import ProviderError, error_for_status
from workflows.providers.messages import (
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Embeddings,
    ImagePart,
    Source,
    TextPart,
    Usage,
)


async def asked_by(node_type: str, provider: str, **data: Any) -> ChatRequest:
    models = OfflineModels(provider)

    outcome = await run_node(node_type, data, models=models)

    assert outcome.error is None
    assert outcome.usage is not None
    (request,) = models.played.requests
    return request


@pytest.mark.parametrize(
    ("node_type", "provider", "data", "model", "extras"),
    [
        (
            "mistral.text.CodeComplete",
            "mistral",
            {"prompt": "a", "suffix": "b"},
            "codestral-latest",
            {"suffix": "b"},
        ),
        (
            "openai.text.WebSearch",
            "openai",
            {"query": "a"},
            "gpt-4o-search-preview",
            {"web_search_options": {}},
        ),
        (
            "gemini.text.GroundedSearch",
            "gemini",
            {"query": "a", "model": "gemini-2.5-pro"},
            "gemini-2.5-pro",
            {"google_search": True},
        ),
    ],
)
async def test_what_only_one_vendor_has_is_asked_for_by_name(
    node_type, provider, data, model, extras
):
    request = await asked_by(node_type, provider, **data)

    assert (request.model, request.extras) == (model, extras)
    assert request.messages == (said("user", "a"),)


async def test_the_options_of_a_node_go_to_the_vendor():
    request = await asked_by(
        "mistral.text.ChatComplete",
        "mistral",
        prompt="Hi",
        system_prompt="Be brief.",
        temperature=0.1,
        max_tokens=9,
    )

    assert request.messages == (said("system", "Be brief."), said("user", "Hi"))
    assert (request.temperature, request.max_tokens) == (0.1, 9)


async def test_a_picture_goes_with_the_question():
    request = await asked_by(
        "mistral.vision.ImageToText", "mistral", image=reference(b"png"), prompt="?"
    )

    (message,) = request.messages
    assert message.content == (TextPart("?"), ImagePart(b"png", "image/png"))


async def test_the_pages_that_an_answer_rests_on_are_told_once_each():
    page, other = Source("http://a", "A"), Source("http://b")
    vendor = Answers([Chunk(text="Yes", sources=(page,)), Chunk(sources=(page, other))])

    class Gemini(OfflineModels):
        async def find(self, model, provider=None):
            return ReachedModel(vendor, provider, model)

    outcome = await run_node(
        "gemini.text.GroundedSearch", {"query": "?"}, models=Gemini()
    )

    assert outcome.outputs == {
        "results": [["Yes"]],
        "sources": [
            [
                {"type": "source", "title": "A", "url": "http://a"},
                {"type": "source", "title": "", "url": "http://b"},
            ]
        ],
    }


async def test_a_long_text_is_cut_and_its_vectors_are_averaged():
    model = {"type": "embedding_model", "provider": "played", "id": "e"}

    async def vector(text: str) -> list[float]:
        data = {"model": model, "input": text, "chunk_size": 4}
        outcome = await run_node("nodetool.text.Embedding", data)
        assert outcome.usage is not None
        return outcome.outputs["output"][0]["value"]

    first, second = await vector("one "), await vector("two ")

    mean = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
    assert await vector("one two ") == mean


class Retired:
    """A vendor that has switched off some models; it keeps what it was asked for."""

    def __init__(self, error: ProviderError, *gone: str) -> None:
        self._error, self._gone = error, gone
        self.asked: list[Any] = []

    async def find(self, model: str, provider: str | None = None) -> ReachedModel:
        return ReachedModel(self, provider or "", model)

    async def image(self, value: Any) -> ImagePart:
        return ImagePart(b"png", "image/png")

    def _note(self, request: Any) -> None:
        self.asked.append(request)
        if request.model in self._gone:
            raise self._error

    async def stream(self, request: ChatRequest):
        self._note(request)
        yield Chunk(text="ok", finish_reason="stop")

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        self._note(request)
        return Embeddings([array("d", [1.0])], Usage(prompt_tokens=1))


NOT_FOUND = error_for_status(404, "no such model", code="model_not_found")
INVALID = error_for_status(400, "Mistral: Invalid model: pixtral", code="1500")
PICTURE = {"image": reference(b"png")}


@pytest.mark.parametrize(
    ("node_type", "data", "error", "models"),
    [
        (
            "openai.text.WebSearch",
            {"query": "a"},
            NOT_FOUND,
            ["gpt-4o-search-preview", "gpt-5-search-api"],
        ),
        (
            "gemini.text.GroundedSearch",
            {"query": "a"},
            NOT_FOUND,
            ["gemini-2.0-flash", "gemini-flash-latest"],
        ),
        (
            "mistral.vision.OCR",
            PICTURE,
            INVALID,
            ["pixtral-large-latest", "mistral-medium-latest"],
        ),
        (
            "gemini.text.Embedding",
            {"input": "a"},
            NOT_FOUND,
            ["text-embedding-004", "gemini-embedding-001"],
        ),
    ],
)
async def test_the_successor_of_a_model_that_is_gone_answers(
    node_type, data, error, models
):
    vendor = Retired(error, models[0])

    outcome = await run_node(node_type, data, models=vendor)

    assert outcome.error is None
    assert [request.model for request in vendor.asked] == models
    (log,) = outcome.recorder.of(LogUpdate)
    assert log.content.endswith(f"{models[1]} answers in its place")


async def test_vectors_of_a_successor_have_the_length_of_the_old_ones():
    vendor = Retired(NOT_FOUND, "text-embedding-004")

    await run_node("gemini.text.Embedding", {"input": "a"}, models=vendor)

    assert [request.dimensions for request in vendor.asked] == [None, 768]


@pytest.mark.parametrize(
    ("node_type", "data", "error"),
    [
        (
            "openai.text.WebSearch",
            {"query": "a"},
            error_for_status(400, "too long", code="context_length_exceeded"),
        ),
        ("mistral.text.ChatComplete", {"prompt": "a"}, NOT_FOUND),
    ],
)
async def test_any_other_failure_is_the_models_own(node_type, data, error):
    models = {"openai.text.WebSearch": "gpt-4o-search-preview"}
    vendor = Retired(error, models.get(node_type, "mistral-small-latest"))

    outcome = await run_node(node_type, data, models=vendor)

    assert str(outcome.error) == error.message
    assert len(vendor.asked) == 1
