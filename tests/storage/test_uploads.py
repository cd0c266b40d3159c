"""Uploads: what arrives is what is stored, and what is no upload is refused."""

import asyncio
import json
import threading
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from nodetool_site.handler import Handler
from nodetool_site.lib import threads
from storage import quotas, services
from storage.models import Asset
from storage.services import open_asset
from tests.nodetool_site.asgi_client import scope_of
from tests.storage.conftest import form_of, upload
from tests.storage.test_quotas import files_in
from tests.storage.test_services import drafts

pytestmark = pytest.mark.django_db(transaction=True)


def stored_bytes_of(asset_id: str) -> bytes:
    with open_asset(Asset.objects.get(pk=asset_id)) as file:
        return file.read()


async def bytes_of(user, asset: dict) -> bytes:
    answer = await user.get(f"/api/assets/{asset['id']}/download")
    assert answer.status == 200
    return answer.body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"\r\n",
        b"--",
        b"\r\n------boun",
        b"\r\n------bound\r",
        b"\0" * 70_000,
        bytes(range(256)) * 2_000,
    ],
    ids=[
        "empty",
        "one",
        "line end",
        "dashes",
        "half a boundary",
        "more",
        "zeros",
        "all",
    ],
)
async def test_an_uploaded_file_is_stored_byte_for_byte(mine, content):
    answer = await upload(mine, content, file_name="b.bin", content_type="x/y")

    assert answer.status == 200
    assert answer.json["size"] == len(content)
    assert await bytes_of(mine, answer.json) == content
    assert drafts() == []


async def test_a_file_alone_tells_its_name_and_type(mine, alice):
    asset = (
        await upload(mine, b"x", file_name="C:\\pics\\café.PNG", content_type="")
    ).json

    assert (asset["name"], asset["content_type"]) == ("café.PNG", "image/png")
    assert asset["parent_id"] == asset["user_id"] == alice.pk
    assert asset["uri"] == f"asset://{asset['id']}.png"


@pytest.mark.parametrize("member", ["json", "asset"])
async def test_a_described_file_is_what_the_description_says(mine, member):
    said = {
        "name": "Report",
        "content_type": "text/csv",
        "workflow_id": "w",
        "node_id": "n",
        "job_id": "j",
        "metadata": {"a": [1, None]},
        "duration": 2,
        "size": 999,
    }

    asset = (await upload(mine, b"a,b", fields={member: said})).json

    assert {name: asset[name] for name in said} == {**said, "size": 3}
    assert asset["uri"].endswith(".csv")


async def test_z05_what_the_server_decides_is_not_taken_from_a_body(mine, alice):
    forged = {
        "id": "x" * 32,
        "user_id": "bob",
        "owner": "bob",
        "owner_id": "bob",
        "key": "../x",
        "sha256": "0",
        "created_at": "2001-01-01",
        "expires_at": "2001-01-01",
        "is_value": True,
        "file_name": "x",
        "stored_bytes": 1,
    }

    asset = (await upload(mine, b"x", fields={"json": {**forged, "name": "a"}})).json

    assert asset["user_id"] == "alice"
    assert asset["id"] != forged["id"]
    assert not asset["created_at"].startswith("2001")
    changed = await mine.request("PUT", f"/api/assets/{asset['id']}", forged)
    assert changed.json == asset


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
        ("application/octet-stream", 415),
        ("image/png", 415),
        ("application/jsonx", 415),
        ("multipart/mixed; boundary=----bound", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data; boundary=other", 400),
        ("multipart/form-data; boundary=" + "b" * 5_000, 400),
        ("application/json", 400),
    ],
)
async def test_h05_a_form_under_another_type_stores_nothing(
    mine, settings, content_type, status
):
    body, _ = form_of(b"x")

    answer = await mine.request("POST", "/api/assets", body, content_type=content_type)

    assert answer.status == status
    assert "detail" in answer.json
    assert not await Asset.objects.aexists()
    assert files_in(settings) == []


@pytest.mark.parametrize(
    "body",
    [
        {"file": {"filepath": "/etc/passwd"}, "name": "a", "content_type": "a/b"},
        {"files": {"file": {"filepath": "/etc/passwd"}}, "name": "a"},
        {"files": [{"path": "/etc/passwd", "size": 10}]},
        {"filepath": "/etc/passwd", "name": "a", "content_type": "text/plain"},
        {"path": "/etc/passwd", "name": "a", "content_type": "text/plain"},
    ],
)
async def test_h05_a_forged_path_opens_no_file(mine, monkeypatch, body):
    opened = []
    real = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda self, *a, **k: opened.append(str(self)) or real(self, *a, **k),
    )

    answer = await mine.post("/api/assets/", body)

    assert answer.status == 400
    assert "multipart/form-data" in answer.json["detail"]
    assert opened == []
    assert not await Asset.objects.aexists()


@pytest.mark.parametrize(
    "fields",
    [
        {"file": '{"filepath": "/etc/passwd"}'},
        {"json": "[1]"},
        {"json": '"x"'},
        {"json": "{"},
        {"json": "{}", "asset": "{}", "x": "y" * 300_000},
    ],
    ids=["text as file", "list", "text", "cut off", "too long"],
)
async def test_h05_texts_that_are_no_description_are_refused(mine, fields):
    answer = await upload(mine, b"x", fields=fields)

    assert answer.status in (400, 413)
    assert not await Asset.objects.aexists()
    assert drafts() == []


def raw(*parts: str, end: str = "--b--\r\n") -> bytes:
    return ("".join(f"--b\r\n{part}\r\n" for part in parts) + end).encode()


FILE = 'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\nx'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x" * 100,
        raw(FILE, end=""),
        raw(FILE)[:-6],
        raw(FILE, FILE),
        raw(
            *[
                f'Content-Disposition: form-data; name="a{n}"\r\n\r\nx'
                for n in range(40)
            ]
        ),
        raw(
            'Content-Disposition: form-data; name="a"\r\n\r\nx',
            FILE.replace("file", "a", 1),
        ),
        raw(FILE.replace('name="file"', 'name="other"')),
        raw(FILE.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n")),
        raw(FILE.replace("\r\n\r\n", "\r\n" + "X-A: b\r\n" * 50 + "\r\n")),
        raw(FILE.replace("\r\n\r\n", "\r\nX-A: " + "b" * 9_000 + "\r\n\r\n")),
        raw("No header at all"),
        raw('Content-Disposition: form-data; name="json"\r\n\r\n{}').replace(
            b"{}", b"\xff\xfe"
        ),
    ],
    ids=range(13),
)
async def test_h04_a_malformed_form_is_refused(mine, body):
    answer = await mine.request(
        "POST", "/api/assets/", body, content_type="multipart/form-data; boundary=b"
    )

    assert answer.status == 400
    assert not await Asset.objects.aexists()
    assert drafts() == []


async def test_a_file_over_the_limit_is_refused_and_one_at_the_limit_is_not(
    mine, settings
):
    settings.MAX_UPLOAD_BYTES = 1000

    over = await upload(mine, b"x" * 1001)
    at = await upload(mine, b"x" * 1000)

    assert (over.status, over.json["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert "MAX_UPLOAD_BYTES" in over.json["detail"]
    assert at.status == 200
    assert drafts() == []


async def test_a_body_without_a_length_is_cut_at_the_limit(mine, settings):
    settings.MAX_UPLOAD_BYTES = 1000
    taken = 0

    async def receive():
        nonlocal taken
        taken += 100_000
        return {"type": "http.request", "body": b"x" * 100_000, "more_body": True}

    sent = []

    async def send(message):
        sent.append(message)

    scope = scope_of(
        "PUT", "/api/storage/temp/a.bin", {"authorization": f"Bearer {mine.token}"}
    )
    await Handler()(scope, receive, send)

    assert sent[0]["status"] == 413
    assert taken <= 2_000_000
    assert drafts() == []


async def test_a_file_over_the_quota_is_refused(mine, settings):
    settings.STORAGE_QUOTA_BYTES = 1500

    first, second = await upload(mine, b"x" * 1000), await upload(mine, b"x" * 501)

    assert (first.status, second.status) == (200, 413)
    assert second.json["quota_bytes"] == 1500
    assert second.json["stored_bytes"] == 1000
    assert len(files_in(settings)) == 1


async def test_uploads_at_once_count_together(mine, settings):
    settings.STORAGE_QUOTA_BYTES = 1500
    is_taken, hang_up = asyncio.Event(), asyncio.Event()
    pieces = [{"type": "http.request", "body": b"x" * 1000, "more_body": True}]

    async def receive():
        if pieces:
            return pieces.pop()
        is_taken.set()
        await hang_up.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        pass

    headers = {"authorization": f"Bearer {mine.token}"}
    scope = scope_of("PUT", "/api/storage/temp/a.bin", headers)
    slow = asyncio.create_task(Handler()(scope, receive, send))
    await asyncio.wait_for(is_taken.wait(), 20)

    beside = await upload(mine, b"x" * 501)
    hang_up.set()
    await slow
    after = await upload(mine, b"x" * 501)

    assert (beside.status, after.status) == (413, 200)
    assert quotas._coming == {}


async def test_f10_an_upload_to_a_full_disk_gets_507(mine, monkeypatch, settings):
    real = Path.open

    def open_full(path, mode="r", *args, **kwargs):
        if mode == "xb":
            real(path, "xb").close()
            return real(Path("/dev/full"), "wb")
        return real(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_full)

    for size in (10, 500_000):
        answer = await upload(mine, b"x" * size)
        assert (answer.status, answer.json["code"]) == (507, "INSUFFICIENT_STORAGE")

    monkeypatch.undo()
    assert (await mine.get("/api/assets/")).json["assets"] == []
    assert files_in(django_settings) == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_f10_an_upload_that_is_cut_off_leaves_nothing(mine, settings, method):
    body, headers = form_of(b"x" * 300_000)
    path = "/api/assets/" if method == "POST" else "/api/storage/temp/a.bin"
    messages = [{"type": "http.request", "body": body[:200_000], "more_body": True}]

    async def receive():
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message):
        pass

    sent = {"authorization": f"Bearer {mine.token}"}
    sent["content-type"] = headers["content_type"]
    await Handler()(scope_of(method, path, sent), receive, send)

    assert not await Asset.objects.aexists()
    assert files_in(settings) == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_f10_a_client_who_leaves_between_file_and_row_leaves_both_or_none(
    mine, settings, monkeypatch, method
):
    body, headers = form_of(b"x" * 1000)
    path = "/api/assets/" if method == "POST" else "/api/storage/temp/a.bin"
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    is_kept, hang_up, go_on = threading.Event(), asyncio.Event(), threading.Event()
    keep_file = services.keep_file

    def keep_slowly(*args, **kwargs):
        kept = keep_file(*args, **kwargs)
        is_kept.set()
        go_on.wait(20)
        return kept

    async def receive():
        if messages:
            return messages.pop()
        await hang_up.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        pass

    monkeypatch.setattr(services, "keep_file", keep_slowly)
    sent = {"authorization": f"Bearer {mine.token}"}
    sent["content-type"] = headers["content_type"]
    request = asyncio.create_task(
        Handler()(scope_of(method, path, sent), receive, send)
    )
    assert await asyncio.to_thread(is_kept.wait, 20)
    hang_up.set()
    await request
    assert len(files_in(settings)) == 1

    go_on.set()

    await asyncio.gather(*threads._running)
    assert await Asset.objects.aexists()
    assert len(files_in(settings)) == 1


async def test_an_upload_needs_a_credential_before_its_body(alice, api):
    stranger = type(await api(alice))()
    asked = []

    async def receive():
        asked.append(1)
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    sent = []

    async def send(message):
        sent.append(message)

    await Handler()(scope_of("PUT", "/api/storage/temp/a.txt", {}), receive, send)

    assert sent[0]["status"] == 401
    assert asked == []
    assert (await upload(stranger)).status == 401


async def test_a_folder_is_made_of_json(mine):
    made = await mine.post(
        "/api/assets/", {"name": "f", "content_type": "folder", "parent_id": None}
    )

    assert made.status == 200
    assert made.json["content_type"] == "folder"
    assert (made.json["size"], made.json["get_url"]) == (0, None)
    inside = await upload(mine, b"x", fields={"json": {"parent_id": made.json["id"]}})
    assert inside.json["parent_id"] == made.json["id"]


async def test_a_folder_is_made_of_a_form_without_a_file(mine):
    said = {"json": {"name": "f", "content_type": "folder"}}

    assert (await upload(mine, None, fields=said)).json["content_type"] == "folder"
    assert (await upload(mine, b"x", fields=said)).status == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "a"}, "content_type"),
        ({"name": 1, "content_type": "a/b"}, "name"),
        ({"name": "a\0", "content_type": "a/b"}, "name"),
        ({"name": "a", "content_type": "text"}, "content_type"),
        ({"name": "a", "content_type": "text/html\r\nX: y"}, "content_type"),
        ({"name": "a", "content_type": "a/b", "parent_id": 1}, "parent_id"),
        ({"name": "a", "content_type": "a/b", "metadata": [1]}, "metadata"),
        ({"name": "a", "content_type": "a/b", "metadata": {"a": "\0"}}, "metadata"),
        (
            {"name": "a", "content_type": "a/b", "metadata": {"a": "x" * 70_000}},
            "metadata",
        ),
        ({"name": "a", "content_type": "a/b", "duration": "1"}, "duration"),
        ({"name": "a", "content_type": "a/b", "duration": -1}, "duration"),
        ({"name": "a", "content_type": "a/b", "duration": True}, "duration"),
    ],
)
async def test_wrong_types_are_told_by_field(mine, body, field):
    answer = await mine.post("/api/assets/", body)

    assert answer.status == 422
    assert answer.json["errors"][0]["loc"][:2] == ["body", field]


async def test_a_long_json_is_refused(mine, settings):
    settings.MAX_BODY_BYTES = 1000
    body = json.dumps({"name": "a" * 2000, "content_type": "folder"}).encode()

    assert (await mine.request("POST", "/api/assets", body)).status == 413
