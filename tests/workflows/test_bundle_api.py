"""Bundles over HTTP: headers, who may, what is refused."""

import asyncio
import errno
import io
import json
import zipfile

import pytest
from django.core.files import uploadhandler
from django.core.files.uploadedfile import SimpleUploadedFile

from storage import services as storage
from storage.models import Asset
from tests.workflows.archive_corpus import asset, with_workflow, workflow
from tests.workflows.graphs import echo_graph, node, request_body
from tests.workflows.zip_bytes import make_zip
from workflows.models import Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("workflows.api.urls"),
]
FLOW = "/api/workflows/w"
EXPORT = f"{FLOW}/export-bundle"
IMPORT = "/api/workflows/import-bundle"


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.ASSET_FOLDER = tmp_path / "assets"
    return settings.ASSET_FOLDER


def send(user, archive, **form):
    upload = SimpleUploadedFile("b.zip", archive, content_type="application/zip")
    return user.client.post(IMPORT, {"file": upload, **form})


def body_of(response):
    async def read():
        return b"".join([piece async for piece in response.streaming_content])

    return asyncio.run(read())


def test_a_bundle_goes_out_and_comes_in(api):
    alice, bob = api("alice"), api("bob")
    stored = storage.store_asset(
        "alice", b"pixels", name="photo.png", content_type="image/png"
    )
    value = {"type": "image", "uri": f"asset://{stored.key}"}
    graph = {"nodes": [node("a", "t", value=value)], "edges": []}
    alice.put(FLOW, request_body('My "workflow"/\r\nü', graph=graph))

    exported = alice.get(EXPORT)
    archive = body_of(exported)
    imported = send(bob, archive)

    assert exported.status_code == 200
    assert exported["Content-Type"] == "application/zip"
    assert exported["Content-Disposition"] == (
        "attachment; filename*=utf-8''My%20_workflow_%C3%BC.zip"
    )
    assert exported["X-Content-Type-Options"] == "nosniff"
    assert imported.status_code == 200
    workflow = imported.json()
    assert workflow == bob.get(f"/api/workflows/{workflow['id']}").json()
    copy = Asset.objects.get(owner_id="bob")
    assert workflow["graph"]["nodes"][0]["data"]["value"]["uri"] == (
        f"asset://{copy.key}"
    )
    assert bob.get(FLOW).status_code == 404


def test_z01_a_private_workflow_of_another_user_is_not_exported(api):
    api("alice").put(FLOW, request_body())
    charlie = api("charlie")

    answer = charlie.get(EXPORT)

    assert answer.status_code == 404
    assert answer.json() == charlie.get("/api/workflows/nowhere/export-bundle").json()


def test_h06_a_hostile_archive_is_a_400_in_words(api, folder):
    alice = api("alice")

    answer = send(alice, with_workflow(asset("../../evil")))

    assert answer.status_code == 400
    assert answer.json() == {
        "detail": "The archive has an entry of unsafe name 'assets/../../evil'",
        "code": "BAD_REQUEST",
        "retryable": False,
    }
    assert not Workflow.objects.exists()
    assert not list(folder.rglob("*.png"))


@pytest.mark.parametrize("text", ["archive", ""])
def test_a_form_without_a_file_is_refused(api, text):
    answer = api("alice").client.post(IMPORT, {"file": text})

    assert answer.status_code == 400
    assert "'file'" in answer.json()["detail"]


@pytest.mark.parametrize("content_type", ["application/json", "application/zip"])
def test_h05_an_import_is_a_form(api, content_type):
    body = json.dumps({"file": "/etc/passwd", "filepath": "/etc/passwd"})

    answer = api("alice").client.post(IMPORT, body, content_type=content_type)

    assert answer.status_code == 415


def test_no_room_is_a_413_that_says_so(api, settings):
    settings.STORAGE_QUOTA_BYTES = 5

    answer = send(api("alice"), with_workflow(asset()))

    assert answer.status_code == 413
    assert "quota" in answer.json()["detail"]


def test_f10_a_full_disk_is_a_507(api, settings, monkeypatch):
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0
    monkeypatch.setattr(uploadhandler, "TemporaryUploadedFile", full)

    answer = send(api("alice"), with_workflow(asset()))

    assert answer.status_code == 507
    assert answer.json()["code"] == "INSUFFICIENT_STORAGE"


def test_a_wrong_workflow_is_a_422_that_names_the_field(api):
    entry = workflow({"name": 1, "graph": echo_graph()})

    answer = send(api("alice"), make_zip(entry))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"][-1] == "name"


def test_z05_claims_in_the_form_or_the_file_change_no_owner(api):
    alice = api("alice")
    api("bob")

    answer = send(alice, with_workflow(), user_id="bob", owner_id="bob", id="chosen")

    assert Workflow.objects.get().owner_id == "alice"
    assert answer.json()["id"] != "chosen"


def test_no_workflow_may_take_the_words_of_the_import(api):
    assert api("alice").put(IMPORT, request_body()).status_code == 405


def test_the_manifest_is_part_of_the_bundle(api):
    alice = api("alice")
    alice.put(FLOW, request_body())

    with zipfile.ZipFile(io.BytesIO(body_of(alice.get(EXPORT)))) as archive:
        manifest = json.loads(archive.read("manifest.json"))

    assert manifest == {
        "format": "nodetool-bundle",
        "version": 1,
        "assets": [],
        "left_out": [],
    }
