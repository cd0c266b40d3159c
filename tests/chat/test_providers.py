"""Where a model id leads for a caller, with whose key, and what is listed."""

import asyncio

import pytest

from chat import catalogs as catalogs_module
from chat import providers
from chat.catalogs import Catalogs
from chat.errors import ModelNotFound, ProviderNotConfigured, UnknownProvider
from storage import vault
from storage.models import User
from tests.jobs.http_client import HttpUser
from workflows.providers import registry
from workflows.providers.base import (
    ProviderError,
    ProviderUnavailable,
    error_for_status,
)
from workflows.providers.kinds import kind_of
from workflows.providers.messages import Chunk, ModelInfo


class Vendors:
    """Stands in for all vendors: what they list, and how they were reached."""

    def __init__(self):
        self.lists = {}
        self.reached = []
        self.asked = []

    def make(self, spec, *, api_key, base_url, timeout_s):
        self.reached.append((spec.id, api_key, base_url))
        return Vendor(self, spec.id)


class Vendor:
    def __init__(self, vendors, name):
        self._vendors, self._name = vendors, name

    async def models(self):
        self._vendors.asked.append(self._name)
        found = self._vendors.lists.get(self._name, ProviderUnavailable("not there"))
        if isinstance(found, asyncio.Event):
            await found.wait()
            return []
        if isinstance(found, Exception):
            raise found
        return [ModelInfo(id=name, kind=kind_of(name) or "language") for name in found]

    async def stream(self, request):
        yield Chunk(text=f"{self._name} {request.model}")


@pytest.fixture
def vendors(monkeypatch, settings, transactional_db):
    User.objects.create(id="1", username="1")
    User.objects.create(id="bob", username="bob")
    settings.PROVIDER_KEYS = {"OPENAI_API_KEY": "sk-server", "GROQ_API_KEY": ""}
    settings.PROVIDER_BASE_URLS = {}
    settings.CHAT_PROVIDER = "ollama"
    vendors = Vendors()
    monkeypatch.setattr(registry, "make_provider", vendors.make)
    remembered = Catalogs()
    monkeypatch.setattr(providers, "catalogs", lambda: remembered)
    return vendors


async def lead(model, *, owner="1", provider=None):
    found = await providers.find(owner, model, provider=provider)
    return found.access.spec.id, found.model


async def test_an_id_leads_by_the_first_rule_that_fits(vendors):
    vendors.lists = {"openai": ["gpt-4o", "odd", "both"], "ollama": ["both", "gpt-own"]}

    assert await lead("gpt-4o", provider="ollama") == ("ollama", "gpt-4o")
    assert await lead("openai/llama:1b") == ("openai", "llama:1b")
    assert await lead("odd") == ("openai", "odd")
    assert await lead("both") == ("ollama", "both")
    assert await lead("gpt-own") == ("ollama", "gpt-own")
    assert await lead("gpt-new") == ("openai", "gpt-new")
    assert await lead("llama:1b") == ("ollama", "llama:1b")
    for nowhere in ("nowhere", "workflow:openai", "meta/llama"):
        with pytest.raises(ModelNotFound):
            await lead(nowhere)
    with pytest.raises(UnknownProvider):
        await lead("gpt-4o", provider="nobody")


async def test_the_default_provider_gets_the_rest_only_if_it_cannot_list(vendors):
    vendors.lists = {"ollama": ProviderUnavailable("off")}
    with pytest.raises(ModelNotFound):
        await lead("strange")

    anew = Catalogs()
    providers.catalogs = lambda: anew
    vendors.lists = {"ollama": ProviderError("no such route", status=404)}

    assert await lead("strange") == ("ollama", "strange")


@pytest.mark.parametrize(
    "silence",
    [asyncio.Event(), ProviderError("broken"), error_for_status(503, "overloaded")],
    ids=["slow", "broken", "overloaded"],
)
async def test_the_default_provider_gets_the_rest_until_it_has_told_its_list(
    vendors, monkeypatch, silence
):
    monkeypatch.setattr(catalogs_module, "PATIENCE_S", 0.05)
    vendors.lists = {"ollama": silence, "openai": ["gpt-4o"]}

    assert await lead("strange") == ("ollama", "strange")
    assert await lead("gpt-4o") == ("openai", "gpt-4o")


async def test_what_a_provider_has_listed_leads_to_it_though_it_fails_later(vendors):
    vendors.lists = {"openai": ["odd"], "ollama": []}
    assert await lead("odd") == ("openai", "odd")
    vendors.lists["openai"] = ProviderError("broken")
    for catalog in providers.catalogs()._kept.values():
        catalog.due_at = 0

    listed = await HttpUser().get("/v1/models")

    assert {model["owned_by"] for model in listed.json["data"]} <= {"fake"}
    assert await lead("odd") == ("openai", "odd")


@pytest.mark.parametrize(
    ("mode", "chosen", "is_on"),
    [("desktop", None, True), ("private", None, False), ("desktop", False, False),
     ("private", True, True)],
)  # fmt: skip
async def test_the_fake_provider_is_the_desktops(
    vendors, settings, mode, chosen, is_on
):
    settings.SERVER_MODE, settings.FAKE_PROVIDER_CHOSEN = mode, chosen

    for model in ("fake", "fake/echo", "fake-n20"):
        if is_on:
            assert (await lead(model))[0] == "fake"
        else:
            with pytest.raises(ModelNotFound):
                await lead(model)


async def test_a_callers_own_key_wins_over_the_servers(vendors):
    await providers.db(vault.set_secret, "1", "OPENAI_API_KEY", "sk-own")
    await providers.db(vault.set_secret, "bob", "GROQ_API_KEY", "gsk-bob")

    for owner in ("1", "bob"):
        found = await providers.find(owner, "openai/x")
        found.access.connect()
    (await providers.find("bob", "groq/x")).access.connect()

    openai = "https://api.openai.com/v1"
    groq = "https://api.groq.com/openai/v1"
    assert vendors.reached == [
        ("openai", "sk-own", openai),
        ("openai", "sk-server", openai),
        ("groq", "gsk-bob", groq),
    ]
    assert "sk-" not in repr(found)
    with pytest.raises(ProviderNotConfigured, match="GROQ_API_KEY"):
        await providers.find("1", "groq/x")


async def test_a_known_model_of_the_default_provider_costs_one_key(
    vendors, settings, monkeypatch
):
    settings.CHAT_PROVIDER = "openai"
    vendors.lists = {"openai": ["gpt-4o"], "groq": ["llama"]}
    for name in ("OPENAI_API_KEY", "GROQ_API_KEY"):
        await providers.db(vault.set_secret, "1", name, f"{name}-old")
    await providers.find("1", "gpt-4o")  # from now on the lists are known
    opened = []

    def reveal_secrets(owner_id, names):
        opened.extend(names)
        return vault.reveal_secrets(owner_id, names)

    monkeypatch.setattr(providers, "reveal_secrets", reveal_secrets)

    found = await providers.find("1", "gpt-4o")
    assert (found.access.spec.id, opened) == ("openai", ["OPENAI_API_KEY"])
    assert await lead("llama") == ("groq", "llama")
    # Whoever changed it: what is stored counts at the next request.
    await providers.db(vault.set_secret, "1", "OPENAI_API_KEY", "changed-key")
    found = await providers.find("1", "gpt-4o")
    assert found.access.api_key == "changed-key"
    await providers.db(vault.delete_secret, "1", "OPENAI_API_KEY")
    found = await providers.find("1", "gpt-4o")
    assert found.access.api_key == "sk-server"


async def test_an_address_is_the_settings(vendors, settings):
    with pytest.raises(ProviderNotConfigured, match="VLLM_BASE_URL"):
        await providers.find("1", "vllm/x")
    settings.PROVIDER_BASE_URLS = {"VLLM_BASE_URL": "http://gpu:8000/v1"}

    (await providers.find("1", "vllm/x")).access.connect()

    assert vendors.reached == [("vllm", None, "http://gpu:8000/v1")]


async def test_c03_nothing_in_a_request_is_an_address_or_a_key(vendors):
    evil = "http://evil.example/v1"
    body = {
        "model": "openai/x",
        "messages": [{"role": "user", "content": "hi"}],
        **dict.fromkeys(("api_base", "base_url", "api_key", "url", "headers"), evil),
    }

    answer = await HttpUser().post("/v1/chat/completions", body, x_base_url=evil)

    assert answer.json["choices"][0]["message"]["content"] == "openai x"
    assert vendors.reached == [("openai", "sk-server", "https://api.openai.com/v1")]


async def test_c04_a_key_in_a_vendors_words_is_not_passed_on(vendors, monkeypatch):
    await providers.db(
        vault.set_secret, "1", "OPENAI_API_KEY", "canary-0123456789abcdef"
    )

    async def stream(self, request):
        raise ProviderError("no credit for canary-0123456789abcdef", status=429)
        yield

    monkeypatch.setattr(Vendor, "stream", stream)
    body = {"model": "openai/x", "messages": [{"role": "user", "content": "hi"}]}

    answer = await HttpUser().post("/v1/chat/completions", body)

    assert answer.status == 429
    assert b"no credit" in answer.body
    assert b"canary" not in answer.body


async def test_the_list_has_language_models_by_provider_and_id(vendors):
    vendors.lists = {
        "openai": ["gpt-4o", "both", "text-embedding-3", "whisper-1", "dall-e-3"],
        "ollama": ["zephyr", "both", "zephyr"],
    }

    answer = await HttpUser().get("/v1/models")
    ids = [(model["owned_by"], model["id"]) for model in answer.json["data"]]

    assert [pair for pair in ids if pair[0] != "fake"] == [
        ("ollama", "both"), ("ollama", "zephyr"),
        ("openai", "gpt-4o"), ("openai", "openai/both"),
    ]  # fmt: skip
    for missing in ("whisper-1", "openai/whisper-1"):
        assert (await HttpUser().get(f"/v1/models/{missing}")).status == 404
    for model in ("both", "openai/both", "openai/gpt-4o", "gpt-4o"):
        one = await HttpUser().get(f"/v1/models/{model}")
        assert one.json["id"] == model.rstrip("/")


async def test_a_slow_or_broken_provider_is_left_out_in_time(vendors, monkeypatch):
    monkeypatch.setattr(catalogs_module, "PATIENCE_S", 0.2)
    slow = asyncio.Event()
    vendors.lists = {"openai": slow, "ollama": ValueError("no JSON")}
    loop = asyncio.get_running_loop()

    for patience in (1.0, 0.15):  # it is not waited for twice
        began = loop.time()
        answer = await HttpUser().get("/v1/models")
        assert {model["owned_by"] for model in answer.json["data"]} <= {"fake"}
        assert answer.status == 200
        assert loop.time() - began < patience
    slow.set()


async def test_lists_are_asked_for_once_a_minute(vendors, monkeypatch):
    vendors.lists = {"openai": ["a"], "ollama": ["b"]}

    for _ in range(3):
        await providers.list_models("1")
    first = sorted(vendors.asked)
    monkeypatch.setattr(catalogs_module, "FRESH_S", 0)
    for catalog in providers.catalogs()._kept.values():
        catalog.due_at = 0
    await providers.list_models("1")

    assert sorted(set(first)) == first
    assert sorted(vendors.asked) == sorted(first * 2)
