"""``/api/storage``: files by key, temporary ones too."""

import re
import stat

import pytest
from django.utils import timezone

from nodetool_site.lib.db import db
from storage import upkeep
from storage.models import Asset
from tests.storage.conftest import upload
from tests.storage.test_quotas import files_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def asset(mine):
    return (await upload(mine, b"0123456789")).json


def key_of(asset: dict) -> str:
    return asset["uri"].removeprefix("asset://")


@pytest.mark.parametrize("prefix", ["", "assets/"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_the_owner_reads_a_key(mine, asset, prefix, slash):
    path = f"/api/storage/{prefix}{key_of(asset)}{slash}"

    whole, head = await mine.get(path), await mine.request("HEAD", path)
    part = await mine.request("GET", path, range="bytes=2-3")

    assert (whole.status, whole.body) == (200, b"0123456789")
    assert (head.status, head.headers["content-length"]) == (200, "10")
    assert (part.status, part.headers["content-range"]) == (206, "bytes 2-3/10")


async def test_z03_a_foreign_key_is_an_unknown_key(mine, foreign, asset, settings):
    await mine.request("PUT", "/api/storage/temp/mine.txt", b"x")
    before = files_in(settings)

    for method in ("GET", "HEAD", "PUT", "DELETE"):
        for pair in (
            (key_of(asset), "0" * 32 + ".txt"),
            ("assets/" + key_of(asset), "assets/" + "0" * 32 + ".txt"),
        ):
            answers = [
                await foreign.request(method, f"/api/storage/{key}", b"evil")
                for key in pair
            ]
            assert {answer.status for answer in answers} == {404}
            assert answers[0].body == answers[1].body
    for method in ("GET", "PUT", "DELETE"):
        answer = await foreign.request(method, "/api/storage/temp/mine.txt", b"evil")
        assert answer.status == 404
    assert files_in(settings) == before
    assert (await mine.get("/api/storage/temp/mine.txt")).body == b"x"


async def test_a_link_or_open_reads_do_not_open_this_path(mine, asset, settings):
    settings.STORAGE_PUBLIC_READ = True
    stranger = type(mine)()

    assert (await stranger.get(f"/storage/{key_of(asset)}")).status == 200
    assert (await stranger.get(f"/api/storage/{key_of(asset)}")).status == 401


async def test_a_put_replaces_the_content_of_an_own_asset(mine, asset, settings):
    path = f"/api/storage/{key_of(asset)}"

    answer = await mine.request("PUT", path, b"new")

    assert (answer.status, answer.body) == (200, b"")
    assert (await mine.get(path)).body == b"new"
    assert (await mine.get(f"/api/assets/{asset['id']}")).json["size"] == 3
    assert len(files_in(settings)) == 1


async def test_a_put_makes_no_asset(mine):
    answer = await mine.request("PUT", "/api/storage/" + "0" * 32 + ".txt", b"new")

    assert answer.status == 404
    assert not await Asset.objects.aexists()


async def test_a_delete_is_answered_with_nothing(mine, asset, settings):
    path = f"/api/storage/{key_of(asset)}"

    first, second = [await mine.request("DELETE", path) for _ in range(2)]

    assert (first.status, first.body, second.status) == (200, b"", 404)
    assert files_in(settings) == []


@pytest.mark.parametrize(
    "key", ["a.txt", "A-b_c.json", "x" * 64 + ".abcdefghij", "0.1", "-.bin", "con.txt"]
)
async def test_h07_a_temporary_key_is_any_word_with_an_extension(mine, key, settings):
    path = f"/api/storage/temp/{key}"

    assert (await mine.request("PUT", path, b"abc")).status == 200

    assert (await mine.get(path)).body == b"abc"
    link = await mine.get(f"/storage/temp/{key}")
    assert (link.status, link.body) == (200, b"abc")
    assert (await mine.get(f"/storage/assets/{key}")).status == 404
    assert (await mine.get(f"/storage/{key}")).status == 404
    assert (await mine.request("PUT", path, b"other")).status == 200
    assert (await mine.get(path)).body == b"other"
    assert (await mine.request("DELETE", path)).status == 200
    assert (await mine.get(path)).status == 404
    assert files_in(settings) == []


async def test_temporary_data_ends_at_its_time(mine, settings):
    settings.TEMP_ASSET_TTL = 3600
    await mine.request("PUT", "/api/storage/temp/a.txt", b"abc")
    row = await Asset.objects.aget()
    assert 3500 < (row.expires_at - timezone.now()).total_seconds() <= 3600

    await Asset.objects.aupdate(expires_at=timezone.now())

    assert (await mine.get("/api/storage/temp/a.txt")).status == 404
    assert (await mine.get("/storage/temp/a.txt")).status == 404
    assert (await mine.get(f"/api/assets/{row.pk}")).status == 404
    assert (await mine.request("PUT", "/api/storage/temp/a.txt", b"x")).status == 200
    assert (await mine.get("/api/storage/temp/a.txt")).body == b"x"
    assert len(files_in(settings)) == 1


async def test_temporary_data_counts(mine, alice, settings):
    settings.STORAGE_QUOTA_BYTES = 5
    await mine.request("PUT", "/api/storage/temp/a.txt", b"abc")

    refused = await mine.request("PUT", "/api/storage/temp/b.txt", b"def")

    assert refused.status == 413
    await Asset.objects.aupdate(expires_at=timezone.now())
    await db(upkeep.sweep)
    assert (await mine.request("PUT", "/api/storage/temp/b.txt", b"def")).status == 200


@pytest.mark.parametrize("header", ["x-accel-redirect", "x-sendfile"])
async def test_a_download_is_handed_to_the_proxy(mine, asset, settings, header):
    settings.SENDFILE_HEADER = header
    settings.SENDFILE_PREFIX = "/protected/"
    key = key_of(asset)
    place = f"assets/{key[:2]}/{key}"

    for path in (
        f"/storage/{key}",
        f"/api/storage/{key}",
        f"/api/assets/{asset['id']}/download",
    ):
        answer = await mine.request("GET", path, range="bytes=0-1")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-type"].startswith("text/plain")
        expected = (
            f"/protected/{place}"
            if header == "x-accel-redirect"
            else str(settings.ASSET_FOLDER / place)
        )
        assert answer.headers[header] == expected
        head = await mine.request("HEAD", path)
        assert head.headers["content-length"] == "10"
        assert header not in head.headers


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ("bytes=0-0,2-2", 200, b"0123456789"),
        ("bytes=5-2", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
        ("bytes=10-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
async def test_a_range_that_a_proxy_takes_otherwise_is_not_handed_to_it(
    mine, asset, settings, wanted, status, body
):
    settings.SENDFILE_HEADER = "x-accel-redirect"

    answer = await mine.request("GET", f"/storage/{key_of(asset)}", range=wanted)

    assert answer.status == status
    assert "x-accel-redirect" not in answer.headers
    if body is None:
        assert answer.json["detail"] == "Range not satisfiable"
        assert answer.headers["content-range"] == "bytes */10"
    else:
        assert answer.body == body


BY_THE_PROXY = {  # what nginx takes over, or says of the file that it sends
    "cache-control",
    "content-disposition",
    "content-length",
    "content-type",
    "x-accel-redirect",
}


async def test_the_proxy_is_told_to_pass_on_each_header(mine, asset, settings):
    settings.SENDFILE_HEADER = "x-accel-redirect"
    guide = (settings.BASE_DIR / "docs/operations.md").read_text()
    location = guide.partition("location /protected/ {")[2].partition("}")[0].lower()
    passed_on = set(re.findall(r"add_header ([\w-]+) ", location))

    answer = await mine.request(
        "GET", f"/storage/{key_of(asset)}", origin="https://app.example.org"
    )

    assert set(answer.headers) - BY_THE_PROXY == passed_on - {"vary"}


@pytest.mark.parametrize(
    ("header", "file_mode", "folder_mode"),
    [("none", 0o600, 0o700), ("x-accel-redirect", 0o640, 0o750)],
)
async def test_the_proxys_group_reads_what_is_handed_to_it(
    mine, settings, header, file_mode, folder_mode
):
    settings.SENDFILE_HEADER = header

    stored = (await upload(mine)).json

    key = key_of(stored)
    file = settings.ASSET_FOLDER / "assets" / key[:2] / key
    assert stat.S_IMODE(file.stat().st_mode) == file_mode
    for folder in (file.parent, file.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == folder_mode
