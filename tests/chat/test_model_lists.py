"""``/api/models``: who can be called, and what they offer."""

import asyncio

import pytest

from chat import catalogs as catalogs_module
from chat import providers
from chat.api.model_documents import recommended
from chat.catalogs import Catalogs
from storage import vault
from storage.models import User
from tests.chat.test_providers import Vendors
from tests.jobs.http_client import HttpUser
from workflows.providers import registry
from workflows.providers.base import ProviderError
from workflows.providers.messages import ModelInfo

OFFERED = [
    "gpt-5", "gpt-4o", "text-embedding-3-small", "dall-e-3", "tts-1", "whisper-1",
    "sora-2",
]  # fmt: skip


@pytest.fixture
def vendors(monkeypatch, settings, transactional_db):
    User.objects.create(id="1", username="1")
    settings.PROVIDER_KEYS = {"OPENAI_API_KEY": "sk-server"}
    settings.PROVIDER_BASE_URLS = {}
    vendors = Vendors()
    vendors.lists = {
        "openai": OFFERED,
        "ollama": ["llama3.2:latest", "nomic-embed-text"],
    }
    monkeypatch.setattr(registry, "make_provider", vendors.make)
    remembered = Catalogs()
    monkeypatch.setattr(providers, "catalogs", lambda: remembered)
    return vendors


async def listed(path, status=200):
    answer = await HttpUser().get(f"/api/models/{path}")
    assert answer.status == status, answer.json
    return answer.json


async def ids(path):
    return [model["id"] for model in await listed(path)]


# --- Providers


async def test_providers_that_can_be_called_say_what_for(vendors):
    found = {one["provider"]: one for one in await listed("providers")}

    talk = ["generate_message", "generate_messages"]
    assert list(found) == ["ollama", "openai", "fake"]  # the default one first
    assert found["openai"] == {
        "provider": "openai",
        "title": "OpenAI",
        "capabilities": [*talk, "generate_embedding"],
        "is_configured": True,
        "missing_secret": None,
        "missing_setting": None,
    }
    assert vendors.asked == []


async def test_all_providers_say_what_they_lack(vendors):
    found = {one["provider"]: one for one in await listed("providers?all=true")}

    assert set(found) == set(registry.PROVIDERS)
    assert found["anthropic"]["capabilities"] == [
        "generate_message",
        "generate_messages",
    ]
    lacks = {
        name: (one["is_configured"], one["missing_secret"], one["missing_setting"])
        for name, one in found.items()
    }
    assert lacks["openai"] == (True, None, None)
    assert lacks["anthropic"] == (False, "ANTHROPIC_API_KEY", None)
    assert lacks["vllm"] == (False, None, "VLLM_BASE_URL")


async def test_a_provider_that_is_off_is_not_shown(vendors, settings):
    settings.FAKE_PROVIDER_CHOSEN = False

    names = [one["provider"] for one in await listed("providers?all=1")]

    assert "fake" not in names
    assert await listed("llm/fake") == []


async def test_a_stored_key_counts_for_its_owner_alone(vendors):
    await providers.db(User.objects.create, id="charlie", username="charlie")
    await providers.db(vault.set_secret, "charlie", "GROQ_API_KEY", "gsk-canary")
    vendors.lists["groq"] = ["llama-groq"]

    for owner, offered in (("charlie", ["llama-groq"]), ("1", [])):
        stands = {one.spec.id: one for one in await providers.standings(owner)}
        models = await providers.list_models_of(owner, "groq")
        assert stands["groq"].lacking == (None if offered else "GROQ_API_KEY")
        assert [model.id for model in models] == offered


async def test_all_is_true_or_false(vendors):
    assert "all" in (await listed("providers?all=perhaps", 400))["detail"]


# --- Models


@pytest.mark.parametrize(
    ("kind", "found", "more"),
    [
        ("llm", ("language_model", "gpt-5"), {}),
        ("image", ("image_model", "dall-e-3"), {}),
        ("tts", ("tts_model", "tts-1"), {"voices": [], "selected_voice": ""}),
        ("asr", ("asr_model", "whisper-1"), {}),
        ("video", ("video_model", "sora-2"), {}),
        ("embedding", ("embedding_model", "text-embedding-3-small"), {"dimensions": 0}),
    ],
)
async def test_a_model_looks_as_a_node_holds_it(vendors, kind, found, more):
    model, *_ = await listed(f"{kind}/openai")

    assert model == {
        "type": found[0],
        "provider": "openai",
        "id": found[1],
        "name": found[1],
        "path": None,
        "supported_tasks": [],
        **more,
    }


async def test_a_list_has_one_kind_only(vendors):
    assert await ids("llm/openai") == ["gpt-5", "gpt-4o"]
    assert await ids("embedding/openai") == ["text-embedding-3-small"]
    assert await ids("embedding/fake") == []


@pytest.mark.parametrize(
    "provider",
    ["anthropic", "vllm", "groq", "replicate", "huggingface_fal_ai", "fal_ai"],
)
async def test_a_provider_without_key_or_address_offers_nothing(vendors, provider):
    assert await listed(f"llm/{provider}") == []
    assert vendors.asked == []


@pytest.mark.parametrize("status", [400, 404, 429, 502, 503])
async def test_a_provider_that_fails_offers_nothing(vendors, status):
    vendors.lists["openai"] = ProviderError("no", status=status)

    assert await listed("llm/openai") == []


async def test_a_provider_that_breaks_or_is_slow_offers_nothing(vendors, monkeypatch):
    monkeypatch.setattr(catalogs_module, "PATIENCE_S", 0.05)
    vendors.lists = {"openai": RuntimeError("bug"), "ollama": asyncio.Event()}

    assert await listed("llm/openai") == []
    assert await listed("llm/ollama") == []
    vendors.lists["ollama"].set()


async def test_what_does_not_exist_is_named(vendors):
    unknown = await listed("llm/nobody", 400)
    no_kind = await listed("songs/openai", 404)
    no_task = await listed("recommended/songs", 404)

    assert "nobody" in unknown["detail"]
    assert "songs" in no_kind["detail"]
    assert "llm" in no_kind["detail"]
    assert "language" in no_task["detail"]


async def test_all_models_are_listed_by_provider_and_id(vendors):
    found = await listed("all")

    pairs = [(model["provider"], model["id"]) for model in found]
    assert pairs == sorted(pairs)
    assert ("ollama", "llama3.2:latest") in pairs
    assert {p[1] for p in pairs if p[0] == "openai"} == set(OFFERED)
    one = next(model for model in found if model["id"] == "whisper-1")
    assert one["type"] == "asr_model"
    assert one["pipeline_tag"] == "automatic-speech-recognition"
    assert one["tags"] == ["openai"]
    assert one["repo_id"] is None
    assert one["size_on_disk"] is None


def test_the_default_model_and_the_newest_of_each_kind_are_recommended(settings):
    settings.DEFAULT_MODEL = "m1"
    offered = [ModelInfo(f"m{n}", created=n) for n in range(1, 7)]
    offered += [ModelInfo(f"v{n}", kind="embedding") for n in range(5)]

    found = recommended({"openai": offered, "ollama": []})

    assert [model.id for model in found["openai"]] == [
        "m1", "m6", "m5", "v0", "v1", "v2",
    ]  # fmt: skip
    assert found["ollama"] == []


@pytest.mark.parametrize(
    ("task", "found"),
    [
        ("", ["llama3.2:latest", "nomic-embed-text"]),
        ("/language", ["llama3.2:latest"]),
        ("/language/text-generation", ["llama3.2:latest"]),
        ("/embedding", ["nomic-embed-text"]),
        ("/language/embedding", ["nomic-embed-text"]),
        ("/image", []),
        ("/tts/", []),
    ],
)
async def test_recommended_models_are_listed_by_task(vendors, settings, task, found):
    settings.FAKE_PROVIDER_CHOSEN = False
    settings.PROVIDER_KEYS = {}

    assert await ids(f"recommended{task}") == found
