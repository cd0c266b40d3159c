"""The engine's asset port."""

import base64
from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from nodetool_site.lib.db import db
from storage import job_assets
from storage.errors import AssetNotFound, UnknownParent, UnreadableAsset
from storage.job_assets import JobAssetStore, write_value_sync
from storage.models import Asset
from storage.services import create_folder

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def assets(alice) -> JobAssetStore:
    return JobAssetStore(alice.pk, "job-1")


async def test_a_written_file_is_read_back(assets):
    value = await assets.write(b"\x89PNG", content_type="image/png", name="a.png")

    asset = await db(Asset.objects.get)
    assert value == {
        "type": "image",
        "uri": f"asset://{asset.pk}.png",
        "asset_id": asset.pk,
        "data": None,
        "metadata": None,
    }
    assert (asset.owner_id, asset.job_id) == ("alice", "job-1")
    assert asset.is_value  # goes with its job
    assert await assets.read(value) == b"\x89PNG"


def folder_of(owner, name="Pictures", **fields):
    folder = create_folder(owner.pk, name, **fields)
    return {"type": "folder", "uri": "", "asset_id": folder.pk}


async def test_a_saved_file_stays_in_its_folder_and_says_where_it_comes_from(alice):
    store = JobAssetStore(alice.pk, "job-1", "workflow-1")
    folder = await db(folder_of, alice)

    value = await store.save(
        b"hello",
        content_type="text/plain",
        name="a.txt",
        folder=folder,
        node_id="node-1",
    )

    asset = await db(Asset.objects.get, pk=value["asset_id"])
    assert (asset.parent_id, asset.name) == (folder["asset_id"], "a.txt")
    assert (asset.job_id, asset.workflow_id) == ("job-1", "workflow-1")
    assert asset.node_id == "node-1"
    assert not asset.is_value
    assert await store.read(value) == b"hello"


@pytest.mark.parametrize("named", ["", "alice"])
async def test_a_folder_that_is_not_named_is_the_root(assets, named):
    folder = {"type": "folder", "uri": "", "asset_id": named}
    await save(assets, folder)

    assert (await db(Asset.objects.get)).parent_id is None


async def save(store, folder, name="a.txt", content_type="text/plain"):
    return await store.save(
        name.encode(), content_type=content_type, name=name, folder=folder, node_id="n"
    )


async def test_z04_nothing_is_put_into_or_read_from_a_strangers_folder(alice, charlie):
    mine, foreign = JobAssetStore(alice.pk, "job-1"), JobAssetStore(charlie.pk, "job-2")
    folder = await db(folder_of, alice)
    await save(mine, folder)
    unknown = {"type": "folder", "uri": "", "asset_id": "0" * 32}
    by_uri = {"type": "folder", "uri": f"asset://{folder['asset_id']}"}

    for named in (folder, by_uri, unknown, {"asset_id": "../x"}, {"asset_id": 5}):
        with pytest.raises(UnknownParent, match="Parent folder not found"):
            await save(foreign, named)
        with pytest.raises(UnknownParent, match="Parent folder not found"):
            [each async for each in foreign.files_in(named, "text")]

    assert await db(Asset.objects.filter(owner_id="charlie").exists) is False


async def test_the_files_of_a_folder_come_by_name_and_by_kind(alice, monkeypatch):
    monkeypatch.setattr(job_assets, "FOLDER_PAGE", 2)
    store = JobAssetStore(alice.pk, "job-1")
    folder = await db(folder_of, alice)
    inner = await db(partial(folder_of, alice, parent_id=folder["asset_id"]))
    for name in ("c", "a", "b", "b"):
        await save(store, folder, name)
    await save(store, folder, "picture", "image/png")
    await save(store, inner, "deep")
    await save(store, {}, "elsewhere")
    await store.write(b"x", content_type="text/plain", name="on the way")

    found = [each async for each in store.files_in(folder, "text")]

    assert [name for name, _ in found] == ["a", "b", "b", "c"]
    assert await store.read(found[0][1]) == b"a"
    assert [name async for name, _ in store.files_in(folder, "image")] == ["picture"]
    assert [name async for name, _ in store.files_in({}, "text")] == ["elsewhere"]


async def test_a_file_over_the_inline_limit_says_so(assets, settings):
    settings.INLINE_ASSET_LIMIT = 3

    value = await assets.write(b"1234", content_type="image/png", name="a.png")

    assert value["metadata"] == {"size": 4, "inlined_data": False}


async def test_a_spill_becomes_one_asset(assets):
    spill = assets.open_spill(content_type="application/json", name="list.json")
    for piece in (b"[1", b",2", b",3]"):
        await spill.append(piece)
    value = await spill.finish()
    spill.discard()

    assert value["type"] == "json"
    assert value["uri"] == f"asset://{value['asset_id']}.json"
    assert value["data"] is None
    assert value["metadata"] == {"size": 7, "inlined_data": False}
    assert await assets.read(value) == b"[1,2,3]"


async def test_an_empty_spill_is_an_empty_asset(assets):
    value = await assets.open_spill(content_type="text/plain", name="a").finish()

    assert value["type"] == "text"
    assert await assets.read(value) == b""


async def test_a_discarded_spill_leaves_nothing(assets):
    spill = assets.open_spill(content_type="application/json", name="list.json")
    await spill.append(b"x")
    draft = spill._draft

    spill.discard()

    assert not draft.path.exists()
    assert not await db(Asset.objects.exists)


@pytest.mark.parametrize(
    "uri",
    [
        "{uri}",
        "/storage/assets/{key}",
        "http://localhost:7777/storage/assets/{key}?sig=x&exp=1",
    ],
)
async def test_a_stored_file_is_read_by_any_of_its_names(assets, uri):
    value = await assets.write(b"abc", content_type="text/plain", name="a.txt")
    key = value["uri"].removeprefix("asset://")

    text = uri.format(uri=value["uri"], key=key)

    assert await assets.read({"type": "text", "uri": text}) == b"abc"


async def test_temporary_data_whose_time_is_over_is_not_read(assets, alice, asset_of):
    over = await asset_of(alice, expires_at=timezone.now() - timedelta(seconds=1))

    with pytest.raises(AssetNotFound):
        await assets.read({"uri": f"asset://{over.key}"})


async def test_z_03_a_strangers_file_does_not_exist(assets, charlie):
    value = await assets.write(b"abc", content_type="text/plain", name="a.txt")
    foreign = JobAssetStore(charlie.pk, "job-2")

    with pytest.raises(AssetNotFound) as theirs:
        await foreign.read(value)
    unknown = value["uri"].replace(value["asset_id"], "0" * 32)
    with pytest.raises(AssetNotFound) as none:
        await foreign.read({"uri": unknown})

    shown = str(theirs.value).replace(value["asset_id"], "0" * 32)
    assert shown == str(none.value)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"data": b"raw", "uri": ""}, b"raw"),
        ({"uri": "data:text/plain,a%20b"}, b"a b"),
        ({"uri": f"data:;base64,{base64.b64encode(b'xyz').decode()}"}, b"xyz"),
    ],
)
async def test_inline_values_need_no_store(assets, value, data):
    assert await assets.read(value) == data


async def test_an_asset_id_alone_names_a_file(assets, charlie):
    value = await assets.write(b"abc", content_type="text/plain", name="a.txt")
    by_id = {"type": "text", "uri": "", "asset_id": value["asset_id"]}

    assert await assets.read(by_id) == b"abc"
    with pytest.raises(AssetNotFound):
        await JobAssetStore(charlie.pk, "job-2").read(by_id)


@pytest.mark.parametrize("asset_id", [None, "", 5, "../x", "a\0b", "x" * 65])
async def test_a_value_that_names_nothing_is_unreadable(assets, asset_id):
    with pytest.raises(UnreadableAsset):
        await assets.read({"type": "text", "uri": None, "asset_id": asset_id})


@pytest.mark.parametrize(
    "uri",
    [
        "",
        None,
        "asset://",
        "asset://../../etc/passwd",
        "asset://a\0.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "memory://x",
        "https://example.org/a.png",
        "data:nothing",
        "data:;base64,a",
        "/storage/assets/../../etc/passwd",
    ],
)
async def test_h_07_nothing_else_is_read(assets, uri):
    with pytest.raises(UnreadableAsset):
        await assets.read({"type": "image", "uri": uri})


def test_a_large_value_is_stored_under_the_id_that_its_event_names(alice):
    value = write_value_sync(
        alice.pk,
        "job-1",
        b'"text"',
        content_type="application/json",
        name="value.json",
        asset_id="a" * 32,
    )

    assert value == {
        "type": "json",
        "uri": f"asset://{'a' * 32}.json",
        "asset_id": "a" * 32,
        "data": None,
        "metadata": {"size": 6, "inlined_data": False},
    }
    assert Asset.objects.get().job_id == "job-1"
