"""Files in buckets: every route works through a real S3-speaking server."""

import io
import socket
import subprocess
import sys
import time
import zipfile
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from nodetool_site.checks import process_problems
from storage import orphans, stores
from storage.errors import StorageUnavailable
from storage.files import open_file
from storage.models import Asset
from storage.services import store_asset
from tests.services.ports import free_port
from tests.storage.conftest import upload
from tests.storage.test_services import drafts

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


@pytest.fixture(scope="module")
def endpoint():
    """The address of moto's server, in a process of its own."""
    port = free_port()
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "moto did not start"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def client(endpoint):
    import boto3

    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)
    for bucket in ("files", "ending"):
        client.create_bucket(Bucket=bucket)
    yield client
    for bucket in ("files", "ending"):
        for entry in client.list_objects_v2(Bucket=bucket).get("Contents", ()):
            client.delete_object(Bucket=bucket, Key=entry["Key"])
    client.close()


@pytest.fixture
def buckets(client, endpoint, settings):
    """Settings that keep files in buckets; gives what is in one."""
    settings.S3_ENDPOINT_URL = endpoint
    settings.S3_ACCESS_KEY_ID = settings.S3_SECRET_ACCESS_KEY = "test"
    settings.ASSET_BUCKET, settings.ASSET_TEMP_BUCKET = "files", "ending"

    def keys_in(bucket: str) -> list[str]:
        entries = client.list_objects_v2(Bucket=bucket).get("Contents", ())
        keys = [entry["Key"] for entry in entries]
        return [key for key in keys if not key.startswith(stores.MARKS)]

    return keys_in


async def test_an_asset_lives_in_the_bucket(mine, buckets, settings):
    asset = (await upload(mine, b"0123456789" * 50_000)).json
    key = asset["uri"].removeprefix("asset://")

    assert buckets("files") == [f"assets/{key[:2]}/{key}"]
    assert not (settings.ASSET_FOLDER / "assets").exists()
    assert drafts() == []
    whole = await mine.get(f"/storage/{key}")
    assert whole.body == b"0123456789" * 50_000
    for path in (f"/storage/{key}", f"/api/assets/{asset['id']}/download"):
        for wanted, expected in [
            ("bytes=499995-", b"56789"),
            ("bytes=3-5", b"345"),
            ("bytes=-2", b"89"),
        ]:
            part = await mine.request("GET", path, range=wanted)
            assert (part.status, part.body) == (206, expected)
        assert (await mine.request("GET", path, range="bytes=500000-")).status == 416
        tag = whole.headers["etag"]
        assert (await mine.request("GET", path, if_none_match=tag)).status == 304
    assert (await mine.request("HEAD", f"/storage/{key}")).status == 200

    changed = await mine.request("PUT", f"/api/storage/{key}", b"new")
    assert changed.status == 200
    assert (await mine.get(f"/storage/{key}")).body == b"new"
    assert len(buckets("files")) == 1

    archive = await mine.post("/api/assets/download", {"asset_ids": [asset["id"]]})
    assert zipfile.ZipFile(io.BytesIO(archive.body)).read("a.txt") == b"new"

    await mine.request("DELETE", f"/api/assets/{asset['id']}")
    assert buckets("files") == []


async def test_temporary_data_lives_in_its_own_bucket(mine, buckets):
    await mine.request("PUT", "/api/storage/temp/a.txt", b"abc")

    assert len(buckets("ending")) == 1
    assert buckets("files") == []
    assert (await mine.get("/storage/temp/a.txt")).body == b"abc"
    await mine.request("DELETE", "/api/storage/temp/a.txt")
    assert buckets("ending") == []


async def test_temporary_data_without_a_bucket_lies_with_the_rest(
    mine, buckets, settings
):
    settings.ASSET_TEMP_BUCKET = ""

    await mine.request("PUT", "/api/storage/temp/a.txt", b"abc")

    assert [key.partition("/")[0] for key in buckets("files")] == ["temp"]


async def test_an_object_that_is_gone_is_not_found(mine, buckets, client):
    asset = (await upload(mine, b"x")).json
    client.delete_object(Bucket="files", Key=buckets("files")[0])

    for method in ("GET", "HEAD"):
        answer = await mine.request(method, f"/storage/{asset['id']}.txt")
        assert answer.status == 404


async def test_a_file_is_not_handed_to_a_proxy_that_cannot_have_it(
    mine, buckets, settings
):
    settings.SENDFILE_HEADER = "x-accel-redirect"
    asset = (await upload(mine, b"x")).json

    assert (await mine.get(f"/storage/{asset['id']}.txt")).body == b"x"


def test_a_large_file_goes_in_parts(alice, buckets):
    content = bytes(range(256)) * 4096 * 20  # 20 MiB

    asset = store_asset(alice.pk, content, name="a.bin", content_type="x/y")

    with open_file(asset.key, start=len(content) - 1000) as file:
        assert file.read() == content[-1000:]


async def test_a_bucket_that_does_not_exist_is_told(mine, buckets, settings):
    settings.ASSET_BUCKET = "nowhere"

    answer = await upload(mine, b"x")

    assert (answer.status, answer.json["retryable"]) == (503, True)
    assert "NoSuchBucket" in answer.json["detail"]
    assert not await Asset.objects.aexists()
    assert drafts() == []


def test_a_server_that_is_away_is_told(alice, settings):
    settings.S3_ENDPOINT_URL = f"http://127.0.0.1:{free_port()}"
    settings.S3_ACCESS_KEY_ID = settings.S3_SECRET_ACCESS_KEY = "test"

    with pytest.raises(StorageUnavailable, match="does not answer"):
        open_file("a.txt")
    with pytest.raises(StorageUnavailable, match="does not answer"):
        store_asset(alice.pk, b"x", name="a.txt", content_type="text/plain")
    assert not Asset.objects.exists()


def test_buckets_without_their_package_are_told_with_the_cure(settings, monkeypatch):
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:1"
    monkeypatch.setattr(stores, "find_spec", lambda name: None)
    stores._bucket_store.cache_clear()

    with pytest.raises(ImproperlyConfigured, match="pip install 'nodetool"):
        open_file("a.txt")
    problems = [cure for _, _, cure in process_problems()]
    assert problems == ["pip install 'nodetool[s3]', or unset them"]


def test_objects_that_no_row_names_are_removed(alice, buckets, client, monkeypatch):
    monkeypatch.setattr(orphans, "MIN_AGE", timedelta(seconds=-60))
    monkeypatch.setattr(orphans, "LOOKED_AT_ONCE", 2)
    end = timezone.now() + timedelta(days=1)
    fields = {"name": "a.txt", "content_type": "text/plain"}
    kept = store_asset(alice.pk, b"x", **fields)
    temp = store_asset(alice.pk, b"x", expires_at=end, **fields)
    for bucket, folder in (("files", "assets"), ("ending", "temp")):
        for number in range(3):
            name = f"{number}x.txt"
            key = f"{folder}/{name[:2]}/{name}"
            client.put_object(Bucket=bucket, Key=key, Body=b"x")

    for _ in range(4):
        orphans.remove_orphans()

    assert buckets("files") == [f"assets/{kept.key[:2]}/{kept.key}"]
    assert buckets("ending") == [f"temp/{temp.key[:2]}/{temp.key}"]
