"""Bundles: what an export holds, what an import makes of it, and what it refuses."""

import io
import json
import time
import tracemalloc
import zipfile

import pytest

from nodetool_site.lib.errors import ApplicationError, PayloadTooLarge
from storage import services as storage
from storage.errors import QuotaExceeded
from storage.files import FileRef
from storage.models import Asset, User
from tests.workflows import archive_corpus
from tests.workflows.archive_corpus import MIB, asset, with_workflow, workflow
from tests.workflows.graphs import echo_graph, node
from tests.workflows.zip_bytes import Entry, make_zip
from workflows import archives, bundle_imports, bundles, services
from workflows.api.serializers import read_request
from workflows.archives import UnusableArchive
from workflows.documents import WorkflowFields
from workflows.errors import WorkflowNotFound
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = list(archive_corpus.hostile())
CONTROLS = list(archive_corpus.controls())


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.ASSET_FOLDER = tmp_path / "assets"
    return settings.ASSET_FOLDER


@pytest.fixture(autouse=True)
def users():
    for name in ("alice", "bob"):
        User.objects.create(id=name, username=name)


def import_as(owner_id, archive):
    return bundle_imports.import_bundle(
        io.BytesIO(archive), owner_id=owner_id, read=read_request
    )


def export_as(user_id, workflow_id):
    plan = bundles.plan_export(workflow_id, user_id=user_id)
    return b"".join(bundles.bundle_pieces(plan))


def save(graph, owner_id="alice", workflow_id="w", **fields):
    request = WorkflowFields(name="Näme", graph=graph, **fields)
    return services.save_workflow(workflow_id, request, owner_id=owner_id)


def store(owner_id="alice", data=b"pixels", name="x.png", content_type="image/png"):
    return storage.store_asset(owner_id, data, name=name, content_type=content_type)


def content_of(stored):
    with storage.open_asset(stored) as file:
        return file.read()


def stored_files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def manifest_of(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return json.loads(file.read("manifest.json"))


def image(stored):
    uri = f"asset://{stored.key}"
    return {"type": "image", "uri": uri, "asset_id": stored.pk, "data": None}


# --- Hostile archives


def test_h06_the_corpus_is_wide():
    names = [name for name, *_ in HOSTILE]

    assert len(names) == len(set(names))
    assert len(names) >= 90
    assert len(CONTROLS) >= 20


@pytest.mark.parametrize(
    ("make", "reason"), [pytest.param(*rest, id=name) for name, *rest in HOSTILE]
)
def test_h06_hostile_archive_is_refused_and_nothing_is_stored(make, reason, folder):
    archive = make()
    started = time.monotonic()

    with pytest.raises(UnusableArchive) as refusal:
        import_as("alice", archive)

    assert time.monotonic() - started < 30
    assert refusal.value.status == 400
    assert reason in refusal.value.message
    assert len(refusal.value.message) < 300
    assert refusal.value.message.isprintable()
    assert stored_files(folder) == []
    assert not Asset.objects.exists()
    assert not Workflow.objects.exists()
    assert User.objects.get(pk="alice").stored_bytes == 0


def test_h06_no_archive_takes_much_memory():
    archive_bytes = [(name, make()) for name, make, _ in HOSTILE]
    peaks = {}

    for name, archive in archive_bytes:
        file = io.BytesIO(archive)
        tracemalloc.start()
        with pytest.raises(UnusableArchive):
            bundle_imports.check_bundle(file, read=read_request)
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    most = max(peaks, key=peaks.__getitem__)
    assert peaks[most] < 160 * MIB, most


@pytest.mark.parametrize(
    ("archive", "files"), [pytest.param(*rest, id=name) for name, *rest in CONTROLS]
)
def test_h06_valid_archive_is_taken(archive, files, folder):
    stored = import_as("alice", archive)

    assert (stored.owner_id, stored.access) == ("alice", "private")
    assert Workflow.objects.count() == 1
    assets = {each.pk: content_of(each) for each in Asset.objects.all()}
    assert sorted(assets.values()) == sorted(files)
    assert len(stored_files(folder)) == len(files)
    total = sum(map(len, files))
    assert User.objects.get(pk="alice").stored_bytes == total


def test_h06_reading_ends_in_time(monkeypatch, folder):
    monkeypatch.setattr(archives, "MAX_SECONDS", -1.0)

    with pytest.raises(UnusableArchive, match="s to read"):
        import_as("alice", with_workflow())

    assert stored_files(folder) == []


# --- Export


def test_bundle_holds_the_workflow_and_the_files_it_names():
    by_uri, by_id, by_link, thumbnail, in_text = (
        store(data=name.encode(), name=f"{name}.png") for name in "abcde"
    )
    unnamed = store(data=b"unnamed")
    graph = {
        "nodes": [
            node("uri", "t", value={"type": "image", "uri": f"asset://{by_uri.key}"}),
            node("id", "t", value={"type": "image", "uri": "", "asset_id": by_id.pk}),
            node("list", "t", value=[[f"/storage/assets/{by_link.key}?sig=x&exp=1"]]),
        ],
        "edges": [],
    }
    html = f'<img src="/storage/assets/{in_text.key}">'
    stored = save(graph, thumbnail=thumbnail.pk, html_app=html)

    with zipfile.ZipFile(io.BytesIO(export_as("alice", "w"))) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert json.loads(archive.read("workflow.json")) == json.loads(stored.document)
        contents = {archive.read(name) for name in names if name.startswith("assets/")}

    named = (by_uri, by_id, by_link, thumbnail, in_text)
    assert contents == {b"a", b"b", b"c", b"d", b"e"}
    assert set(names) == {
        "workflow.json",
        "manifest.json",
        *(f"assets/{each.key}" for each in named),
    }
    assert f"assets/{unnamed.key}" not in names


def test_files_of_others_and_missing_ones_are_left_out_and_told():
    foreign = store("bob", b"bob's own")
    gone = store(data=b"gone")
    lost = store(data=b"lost")
    home = storage.create_folder("alice", "Folder")
    graph = {
        "nodes": [
            node("a", "t", value=image(foreign)),
            node("b", "t", value=image(gone)),
            node("c", "t", value=image(lost)),
            node("d", "t", folder={"type": "folder", "asset_id": home.pk}),
        ],
        "edges": [],
    }
    save(graph)
    storage.delete_asset(gone)
    bundles.open_asset(lost).close()
    storage.delete_files([FileRef(lost.key, is_temp=False)])

    archive = export_as("alice", "w")

    assert b"bob's own" not in archive
    manifest = manifest_of(archive)
    assert manifest["assets"] == []
    told = {each["reference"]: each["reason"] for each in manifest["left_out"]}
    not_yours = dict.fromkeys(
        (foreign.key, foreign.pk, gone.key, gone.pk), "not among your files"
    )
    assert told == {
        **not_yours,
        home.pk: "a folder",
        lost.key: "its file is missing",
    }


def test_a_public_workflow_is_exported_without_its_owners_files():
    save({"nodes": [node("a", "t", value=image(store()))]}, access="public")

    assert manifest_of(export_as("bob", "w"))["assets"] == []


def test_z01_a_private_workflow_of_another_user_is_not_exported():
    save(echo_graph())

    with pytest.raises(WorkflowNotFound):
        bundles.plan_export("w", user_id="bob")


@pytest.mark.parametrize("limit", ["MAX_ENTRY_BYTES", "MAX_TOTAL_BYTES", "MAX_ENTRIES"])
def test_what_no_import_would_take_is_not_exported(limit, monkeypatch):
    most = {"MAX_TOTAL_BYTES": bundles.OTHER_BYTES + 5, "MAX_ENTRIES": 2}
    monkeypatch.setattr(bundles, limit, most.get(limit, 5))
    save({"nodes": [node("a", "t", value=image(store()))]})

    with pytest.raises(PayloadTooLarge, match="workflows export"):
        bundles.plan_export("w", user_id="alice")


def test_export_holds_one_piece_at_a_time():
    stored = store(data=bytes(20 * MIB))
    save({"nodes": [node("a", "t", value=image(stored))]})
    plan = bundles.plan_export("w", user_id="alice")

    tracemalloc.start()
    size = sum(map(len, bundles.bundle_pieces(plan)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert size > 20 * MIB
    assert peak < 2 * MIB


# --- Import


def test_import_speaks_of_files_of_its_own():
    first, second = store(data=b"1", name="photo.png"), store(data=b"2")
    elsewhere = f"https://old.example/storage/assets/{second.key}?sig=x&exp=1"
    markdown = f"See ![it](/storage/assets/{first.key}) and asset://{second.key}."
    graph = {
        "nodes": [
            node("a", "t", value=image(first), url=elsewhere, text=markdown),
            node("b", "t", value="asset://unknown.png", asset_id="unknown"),
        ],
        "edges": [],
    }
    original = save(graph, thumbnail=second.pk, tags=["x"])

    copy = import_as("bob", export_as("alice", "w"))

    assert copy.pk != original.pk
    one, two = Asset.objects.filter(owner_id="bob").order_by("size", "sha256")
    one, two = (one, two) if content_of(one) == b"1" else (two, one)
    assert not {one.pk, two.pk} & {first.pk, second.pk}
    assert (one.name, one.content_type) == ("photo.png", "image/png")
    assert one.workflow_id == two.workflow_id == copy.pk
    document = json.loads(copy.document)
    values = document["graph"]["nodes"][0]["data"]
    assert values["value"] == image(one)
    assert values["url"] == f"/storage/assets/{two.key}"
    assert values["text"] == (
        f"See ![it](/storage/assets/{one.key}) and asset://{two.key}."
    )
    assert document["graph"]["nodes"][1]["data"] == graph["nodes"][1]["data"]
    assert (document["thumbnail"], document["tags"]) == (two.pk, ["x"])
    assert first.key not in copy.document
    assert second.key not in copy.document


def test_a_bundle_comes_back_as_it_went():
    stored = store()
    save({"nodes": [node("a", "t", value=image(stored))]}, settings={"x": 1})

    once = import_as("alice", export_as("alice", "w"))
    twice = import_as("bob", export_as("alice", once.pk))

    def comparable(workflow):
        document = json.loads(workflow.document)
        document["graph"]["nodes"][0]["data"] = None
        own = ("id", "created_at", "updated_at", "etag")
        return {name: document[name] for name in document if name not in own}

    assert comparable(once) == comparable(twice)
    assert Asset.objects.filter(owner_id="bob").get().sha256 == stored.sha256


def test_a_published_workflow_comes_in_as_a_private_one():
    request = {**archive_corpus.REQUEST, "access": "public"}

    assert import_as("alice", make_zip(workflow(request))).access == "private"


def test_a_manifest_makes_no_folder_of_a_file():
    told = {"path": "assets/a.png", "content_type": "folder", "name": "x\r\ny"}
    manifest = json.dumps({"assets": [told]}).encode()

    import_as(
        "alice", with_workflow(asset(), Entry(name=b"manifest.json", data=manifest))
    )

    stored = Asset.objects.get()
    assert (stored.content_type, stored.name) == ("image/png", "xy")


@pytest.mark.parametrize(
    "request_",
    [
        {"name": 1, "graph": {}},
        {"name": "x"},
        {"graph": {"nodes": [{}]}},
        {"graph": {"nodes": [{"id": str(n)} for n in range(5001)]}},
        {"graph": {}, "tags": "x"},
    ],
)
def test_a_workflow_is_checked_as_any_other(request_, folder):
    with pytest.raises(Exception) as refusal:  # noqa: PT011 - of REST framework, too
        import_as("alice", make_zip(workflow(request_), asset()))

    error = refusal.value
    status = getattr(error, "status", None) or error.status_code
    assert status in (400, 422)
    assert not isinstance(error, UnusableArchive)
    assert stored_files(folder) == []
    assert not Asset.objects.exists()


def test_no_room_for_the_files_is_told_before_anything_is_written(settings, folder):
    settings.STORAGE_QUOTA_BYTES = 11

    with pytest.raises(QuotaExceeded):
        import_as("alice", with_workflow(asset(), asset("b.png")))

    assert stored_files(folder) == []
    assert not Workflow.objects.exists()
    assert import_as("alice", with_workflow(asset())).name == "Bundled"


@pytest.mark.parametrize("failing", ["keep_file", "record_file", "save_workflow"])
def test_a_failure_midway_leaves_nothing(failing, monkeypatch, folder):
    calls = []
    real = getattr(bundle_imports, failing)

    def second_fails(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2 or failing == "save_workflow":
            raise ApplicationError("midway")
        return real(*args, **kwargs)

    monkeypatch.setattr(bundle_imports, failing, second_fails)

    with pytest.raises(ApplicationError, match="midway"):
        import_as("alice", with_workflow(asset(), asset("b.png"), asset("c.png")))

    assert calls
    assert stored_files(folder) == []
    assert not Asset.objects.exists()
    assert not Workflow.objects.exists()
    assert User.objects.get(pk="alice").stored_bytes == 0
