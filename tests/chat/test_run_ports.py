"""What a run reaches of models: where ids lead, and the pictures that it may show."""

import base64

import pytest

from chat import providers
from chat.catalogs import Catalogs
from chat.errors import ThreadNotFound
from chat.models import Thread
from chat.run_ports import RunModels, RunThreads
from nodetool_site.lib.db import db
from storage.models import User
from storage.services import store_asset
from workflows.engine.errors import UnusableMedia
from workflows.providers import registry
from workflows.providers.base import ProviderError
from workflows.providers.messages import ModelInfo

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)

pytestmark = pytest.mark.django_db(transaction=True)


class Vendor:
    """Stands in for every vendor: it has one model, and tells of its size."""

    def __init__(self, api_key: str | None) -> None:
        self.api_key = api_key

    async def models(self):
        return [ModelInfo(id="m", context_tokens=8_192)]


@pytest.fixture
def keys(monkeypatch, settings):
    """The keys that were told before they were used."""
    User.objects.create(id="alice", username="alice")
    User.objects.create(id="bob", username="bob")
    settings.PROVIDER_KEYS = {"OPENAI_API_KEY": "sk-server"}
    settings.PROVIDER_BASE_URLS = {}
    make = lambda spec, *, api_key, base_url, timeout_s: Vendor(api_key)  # noqa: E731
    monkeypatch.setattr(registry, "make_provider", make)
    remembered = Catalogs()
    monkeypatch.setattr(providers, "catalogs", lambda: remembered)
    return []


async def test_a_key_is_told_before_it_is_used(keys):
    reached = await RunModels("alice", keys.append).find("m", "openai")

    assert (reached.provider_id, reached.model) == ("openai", "m")
    assert keys == [reached.provider.api_key] == ["sk-server"]


async def test_the_size_of_a_model_is_known_once_its_provider_has_told(keys):
    models = RunModels("alice", keys.append)

    first = await models.find("m", "openai")
    await next(iter(providers.catalogs()._kept.values())).asking
    second = await models.find("m", "openai")

    assert (first.context_tokens, second.context_tokens) == (None, 8_192)


@pytest.mark.parametrize(
    ("model", "provider", "cure"),
    [
        ("m", "anthropic", "ANTHROPIC_API_KEY"),
        ("m", "nobody", "nobody"),
        ("workflow:x", None, "workflow:x"),
    ],
)
async def test_what_cannot_be_reached_says_what_is_missing(keys, model, provider, cure):
    with pytest.raises(ProviderError, match=cure):
        await RunModels("alice", keys.append).find(model, provider)

    assert keys == []


async def test_a_picture_is_read_for_its_owner_alone(keys):
    asset = await db(store_asset, "alice", PNG, name="a", content_type="image/png")
    value = {"type": "image", "uri": "", "asset_id": asset.pk}

    part = await RunModels("alice", keys.append).image(value)

    assert (part.data, part.media_type) == (PNG, "image/png")
    with pytest.raises(UnusableMedia, match="no such file"):
        await RunModels("bob", keys.append).image(value)


async def test_a_picture_may_be_in_the_reference_itself(keys):
    models = RunModels("alice", keys.append)
    uri = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"

    assert (await models.image({"uri": uri})).data == PNG
    assert (await models.image({"data": PNG})).media_type == "image/png"
    for unfit in ({"data": b"text"}, {"uri": "data:,a"}, {"asset_id": None}):
        with pytest.raises(UnusableMedia):
            await models.image(unfit)


async def test_a_thread_is_made_and_added_to_by_its_owner_alone(keys):
    hers, his = RunThreads("alice"), RunThreads("bob")
    thread_id = await hers.ensure(title="Notes")
    message = {"id": "m1", "role": "user", "content": "Hi"}

    await hers.add(thread_id, [message])
    await hers.add(thread_id, [message])

    assert await hers.ensure(thread_id) == thread_id
    assert [each["content"] for each in await hers.history(thread_id)] == ["Hi"]
    thread = await db(Thread.objects.get, pk=thread_id)
    assert (thread.owner_id, thread.title) == ("alice", "Notes")
    assert await his.history(thread_id) == []
    for foreign in (his.ensure(thread_id), his.add(thread_id, [message])):
        with pytest.raises(ThreadNotFound):
            await foreign
