"""The lists of models and their kinds, from every shape that a list has."""

import pytest

from tests.providers.calling import provider
from tests.providers.vendor import document, vendor, whole
from workflows.providers.base import ProviderError
from workflows.providers.messages import ModelInfo

KINDS = {
    "gpt-4o": "language",
    "text-embedding-3-small": "embedding",
    "tts-1": "tts",
    "whisper-1": "asr",
    "dall-e-3": "image",
    "gpt-image-1": "image",
    "sora-2": "video",
    "gpt-4o-transcribe": "asr",
    "gpt-4o-mini-tts": "tts",
}
NEVER_LISTED = ("omni-moderation-latest", "gpt-4o-realtime-preview", "rerank-2")


def openai_list(*ids, **members):
    return [{"id": i, "object": "model", "created": 5, **members} for i in ids]


ROWS = [
    (
        "openai",
        {"object": "list", "data": openai_list(*KINDS, *NEVER_LISTED)},
        "/models",
        [ModelInfo(name, 5, kind=kind) for name, kind in KINDS.items()],
    ),
    (
        "together",  # no frame, and kinds
        openai_list("llama", type="chat", context_length=9, display_name="Llama")
        + openai_list("flux", type="image")
        + openai_list("bge", type="embedding")
        + openai_list("guard", type="moderation")
        + openai_list("ranker", type="rerank")
        + openai_list("odd", type=7)
        + openai_list("new", type="a new word"),
        "/models",
        [
            ModelInfo("llama", 5, 9, name="Llama"),
            ModelInfo("flux", 5, kind="image"),
            ModelInfo("bge", 5, kind="embedding"),
            ModelInfo("odd", 5),
            ModelInfo("new", 5),
        ],
    ),
    (
        "mistral",
        {
            "data": openai_list(
                "m",
                capabilities={"completion_chat": True, "completion_fim": False},
                name="m",
                max_context_length=131072,
                aliases=[],
                type="base",
            )
            + openai_list("own", capabilities={}, type="fine-tuned")
            + openai_list("ocr", capabilities={"completion_chat": False}, type="base")
            + openai_list(
                "mistral-embed", capabilities={"completion_chat": False}, type="base"
            )
        },
        "/models",
        [
            ModelInfo("m", 5, 131072),
            ModelInfo("own", 5),
            ModelInfo("mistral-embed", 5, kind="embedding"),
        ],
    ),
    (
        "vllm",
        {"data": openai_list("qwen", max_model_len=4096)},
        "/v1/models",
        [ModelInfo("qwen", 5, 4096)],
    ),
    (
        "anthropic",
        {
            "data": [
                {
                    "type": "model",
                    "id": "claude-sonnet-4-5",
                    "display_name": "Claude",
                    "created_at": "2025-09-29T00:00:00Z",
                    "max_input_tokens": 200000,
                }
            ],
            "has_more": False,
        },
        "/v1/models?limit=1000",
        [ModelInfo("claude-sonnet-4-5", 1759104000, 200000, name="Claude")],
    ),
    (
        "gemini",
        {
            "models": [
                {
                    "name": "models/gemini-2.5-flash",
                    "displayName": "Gemini 2.5 Flash",
                    "inputTokenLimit": 1048576,
                    "supportedGenerationMethods": ["generateContent"],
                },
                {
                    "name": "models/aqa",
                    "supportedGenerationMethods": ["generateAnswer"],
                },
                {"name": "models/gemini-2.5-flash-image"},
                {
                    "name": "models/gemini-embedding-001",
                    "supportedGenerationMethods": ["embedContent", "countTokens"],
                },
                {
                    "name": "models/veo-3.0-generate-001",
                    "supportedGenerationMethods": [7, "predictLongRunning"],
                },
            ]
        },
        "/v1beta/models?pageSize=1000",
        [
            ModelInfo("gemini-2.5-flash", 0, 1048576, name="Gemini 2.5 Flash"),
            ModelInfo("gemini-2.5-flash-image", kind="image"),
            ModelInfo("gemini-embedding-001", kind="embedding"),
            ModelInfo("veo-3.0-generate-001", kind="video"),
        ],
    ),
    (
        "ollama",
        {
            "models": [
                {
                    "name": "llama3.2:latest",
                    "modified_at": "2025-05-10T08:06:48.639712648-07:00",
                    "details": {"family": "llama"},
                },
                {"name": "all-minilm:latest", "details": {"family": "bert"}},
                {"name": "nomic-embed-text:latest", "details": {"family": "x"}},
            ]
        },
        "/api/tags",
        [
            ModelInfo("llama3.2:latest", 1746889608),
            ModelInfo("all-minilm:latest", kind="embedding"),
            ModelInfo("nomic-embed-text:latest", kind="embedding"),
        ],
    ),
]


@pytest.mark.parametrize(
    ("name", "body", "path", "models"), ROWS, ids=[row[0] for row in ROWS]
)
async def test_a_list_has_the_models_with_their_kinds(name, body, path, models):
    async with vendor(document(body)) as served:
        assert await provider(name, served.url).models() == models

    assert (served.requests[0].method, served.requests[0].path) == ("GET", path)


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "ollama"])
@pytest.mark.parametrize("body", [{}, {"data": 7, "models": 7}, 7, None])
async def test_f12_a_list_of_another_shape_is_an_error(name, body):
    async with vendor(document(body)) as served:
        with pytest.raises(ProviderError, match="JSON"):
            await provider(name, served.url).models()


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "ollama"])
async def test_entries_of_another_shape_are_passed_over(name):
    body = {key: [7, None, {}, {"id": 7, "name": 7}] for key in ("data", "models")}
    async with vendor(document(body)) as served:
        assert await provider(name, served.url).models() == []


async def test_f12_a_list_that_is_no_json_is_an_error():
    for bad in (whole(b"{"), whole(b"[" * 100_000), whole(b"{}", kind="text/html")):
        async with vendor(bad) as served:
            with pytest.raises(ProviderError):
                await provider("openai", served.url).models()
