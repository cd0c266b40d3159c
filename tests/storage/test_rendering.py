"""References in events: put back, or turned into links."""

import msgspec
import pytest

from nodetool_site.lib.db import db
from storage import rendering
from storage.job_assets import JobAssetStore, write_value_sync
from storage.rendering import has_references, render_json, render_object

pytestmark = pytest.mark.django_db(transaction=True)

BASE = "http://host:7777"


@pytest.fixture
def large(alice):
    """Store a large value as the event log does, and return its reference."""

    async def store(value, owner=alice):
        is_text = isinstance(value, str)
        return await db(
            write_value_sync,
            owner.pk,
            "job-1",
            value.encode() if is_text else msgspec.json.encode(value),
            content_type="text/plain" if is_text else "application/json",
            name="value",
        )

    return store


@pytest.fixture
async def image(alice):
    store = JobAssetStore(alice.pk, "job-1")
    return await store.write(b"\x89PNG", content_type="image/png", name="a.png")


async def as_json(value, owner_id="alice"):
    body = await render_json(
        msgspec.json.encode(value), owner_id=owner_id, base_url=BASE
    )
    return msgspec.json.decode(body)


async def as_object(value, owner_id="alice", **options):
    return await render_object(value, owner_id=owner_id, base_url=BASE, **options)


both = pytest.mark.parametrize("render", [as_json, as_object])


@both
async def test_a_large_value_is_put_back(large, render):
    value = [{"n": n, "quote": '"', "uri": "asset://"} for n in range(100)]
    event = {
        "type": "output_update",
        "value": await large(value),
        "other": [await large('text with "quotes"\n')],
    }

    rendered = await render(event)

    assert rendered == {
        "type": "output_update",
        "value": value,
        "other": ['text with "quotes"\n'],
    }


@both
async def test_a_value_over_the_limit_stays_a_reference(large, render, settings):
    settings.INLINE_ASSET_LIMIT = 10
    reference = await large("x" * 11)

    rendered = await render({"value": reference})

    uri = reference["uri"].removeprefix("asset://")
    assert rendered["value"] == {
        "type": "text",
        "uri": f"{BASE}/storage/assets/{uri}",
        "asset_id": reference["asset_id"],
        "data": None,
        "metadata": {"size": 11, "inlined_data": False},
    }


@both
async def test_one_event_holds_a_bounded_sum_of_values(large, render, monkeypatch):
    monkeypatch.setattr(rendering, "MAX_RESTORED_BYTES", 25)
    event = {str(n): await large(str(n) * 10) for n in range(4)}

    rendered = await render(event)

    back = [value for value in rendered.values() if isinstance(value, str)]
    assert len(back) == 2


@both
async def test_z_03_a_strangers_value_is_not_put_back(large, render, charlie):
    reference = await large("secret")

    rendered = await render({"value": reference}, owner_id="charlie")

    assert rendered["value"]["data"] is None
    assert "secret" not in str(rendered)


@both
async def test_a_file_becomes_a_link(image, render):
    rendered = await render({"result": {"output": image, "list": [image]}})

    link = f"{BASE}/storage/assets/{image['asset_id']}.png"
    assert rendered["result"]["output"] == {**image, "uri": link}
    assert rendered["result"]["list"][0]["uri"] == link


@both
async def test_a_link_is_signed_when_reads_are_not_open(image, render, settings):
    settings.AUTH_PROVIDER = "static"

    first = await render({"value": image})
    second = await render({"value": image})

    assert "?sig=" in first["value"]["uri"]
    assert "&exp=" in first["value"]["uri"]
    assert first == second


@both
async def test_a_file_inside_of_a_large_value_becomes_a_link(image, large, render):
    rendered = await render({"value": await large([image, {"text": "x" * 100}])})

    link = f"{BASE}/storage/assets/{image['asset_id']}.png"
    assert rendered["value"] == [{**image, "uri": link}, {"text": "x" * 100}]


@both
async def test_links_go_to_the_asset_domain(image, render, settings):
    settings.ASSET_DOMAIN = "https://files.example.org/"

    rendered = await render({"value": image})

    assert rendered["value"]["uri"].startswith("https://files.example.org/storage/")


@both
async def test_text_that_speaks_of_a_uri_is_left_alone(image, render):
    event = {
        "text": '{"uri":"asset://' + "0" * 32 + '.png"}',
        "strange": {"uri": "asset://no-extension"},
        "plain": "asset://" + "0" * 32 + ".png",
        "number": {"uri": 5},
    }

    assert await render(event) == event


async def test_data_is_attached_for_message_pack(image):
    rendered = await as_object({"value": image, "again": image}, with_bytes=True)

    assert rendered["value"]["data"] == rendered["again"]["data"] == b"\x89PNG"
    assert rendered["value"]["uri"].startswith(BASE)
    assert image["data"] is None


async def test_data_over_the_limit_is_not_attached(image, settings):
    settings.INLINE_ASSET_LIMIT = 3

    rendered = await as_object({"value": image}, with_bytes=True)

    assert rendered["value"]["data"] is None


async def test_z_03_a_strangers_data_is_not_attached(image, charlie):
    rendered = await as_object({"value": image}, owner_id="charlie", with_bytes=True)

    assert rendered["value"]["data"] is None


async def test_an_event_without_references_is_not_touched():
    event = {"value": [1, {"a": "asset"}]}
    body = msgspec.json.encode(event)

    assert not has_references(body)
    assert await render_json(body, owner_id="alice", base_url=BASE) is body
    assert await as_object(event) is event


async def test_a_value_whose_file_is_gone_becomes_a_link(alice):
    reference = {
        "type": "json",
        "uri": f"asset://{'0' * 32}.json",
        "metadata": {"size": 1, "inlined_data": False},
    }

    rendered = await as_object(reference)

    link = f"{BASE}/storage/assets/{'0' * 32}.json"
    assert rendered == {**reference, "uri": link}


async def test_a_very_deep_value_does_no_harm(alice):
    value = {"uri": f"asset://{'0' * 32}.png"}
    for _ in range(900):
        value = [value]

    assert await as_object(value) == value
