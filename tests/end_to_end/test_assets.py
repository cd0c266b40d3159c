"""Files over the wire: large ones in little memory, links, and the reference's lines.

``LARGE_FILE_MB=1024`` makes the large file as large as the figure says; without it the
test takes a smaller one.
"""

import asyncio
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.end_to_end.client import ApiClient
from tests.end_to_end.processes import wait_until

MB = 1024**2
LARGE_BYTES = int(os.environ.get("LARGE_FILE_MB", "192")) * MB
MAX_GROWTH_BYTES = 50 * MB
TOKEN = "a-static-token-of-enough-characters"
BLOCK = os.urandom(MB)


class Peak:
    """The most memory that a process had, asked for every few milliseconds."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._is_over = threading.Event()
        self.bytes = 0

    def __enter__(self) -> "Peak":
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.01):
            self.bytes = max(self.bytes, self._server.rss_bytes())


class LargeFile:
    """A stream of pseudo-random bytes that is nowhere in memory as a whole."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.digest = hashlib.sha256()

    async def __aiter__(self) -> Any:
        left = self.size
        while left:
            piece = BLOCK[: min(left, MB)]
            self.digest.update(piece)
            left -= len(piece)
            yield piece


def form(file: LargeFile) -> tuple[Any, dict[str, str]]:
    head = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n"
    )

    async def body() -> Any:
        yield head
        async for piece in file:
            yield piece
        yield b"\r\n--b--\r\n"

    return body(), {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture
async def large_server(new_server):
    settings = {"MAX_UPLOAD_BYTES": str(LARGE_BYTES), "LOG_LEVEL": "warning"}
    server = new_server(env=settings)
    async with ApiClient(server.base_url) as client:
        small = {"data": b"x", "headers": {"Content-Type": "text/plain"}}
        await client.request("PUT", "/api/storage/temp/warm.txt", **small)
        await client.get("/api/storage/temp/warm.txt")
        yield server, client


async def test_a_large_file_comes_and_goes_in_little_memory(large_server, capsys):
    server, client = large_server
    before = server.rss_bytes()
    file = LargeFile(LARGE_BYTES)
    body, headers = form(file)
    started = time.perf_counter()
    with Peak(server) as up:
        answer = await client.request(
            "POST", "/api/assets/", data=body, headers=headers
        )
    uploaded_s = time.perf_counter() - started
    assert answer.status == 200, answer.content
    assert answer.json["size"] == LARGE_BYTES
    digest = hashlib.sha256()

    started = time.perf_counter()
    with Peak(server) as down:
        url = f"{server.base_url}/api/assets/{answer.json['id']}/download"
        async with client.session.get(url) as reply:
            async for piece in reply.content.iter_any():
                digest.update(piece)
    downloaded_s = time.perf_counter() - started

    assert digest.digest() == file.digest.digest()
    with capsys.disabled():
        sys.stdout.write(
            f"\n{LARGE_BYTES // MB} MiB: upload {uploaded_s:.1f} s, "
            f"+{(up.bytes - before) / MB:.1f} MiB; download {downloaded_s:.1f} s, "
            f"+{(down.bytes - before) / MB:.1f} MiB\n"
        )
    assert up.bytes - before < MAX_GROWTH_BYTES
    assert down.bytes - before < MAX_GROWTH_BYTES


async def test_a_raw_body_is_stored_as_it_comes_and_others_are_served(large_server):
    _, client = large_server
    file = LargeFile(32 * MB)
    headers = {"Content-Type": "application/octet-stream"}

    async def put() -> Any:
        path = "/api/storage/temp/large.bin"
        return await client.request("PUT", path, data=file.__aiter__(), headers=headers)

    upload = asyncio.create_task(put())
    waits = []
    while not upload.done():
        started = time.perf_counter()
        assert (await client.get("/health")).status == 200
        waits.append(time.perf_counter() - started)
    assert (await upload).status == 200

    stored = await client.get("/storage/temp/large.bin")
    assert hashlib.sha256(stored.content).digest() == file.digest.digest()
    assert sorted(waits)[len(waits) // 2] < 0.25


async def test_h04_a_body_over_the_limit_is_refused_while_it_comes(large_server):
    server, client = large_server
    drafts = Path(server.folder) / "assets" / ".drafts"
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < LARGE_BYTES * 3:
            sent += MB
            yield BLOCK

    path = "/api/storage/temp/endless.bin"
    try:
        answer = await client.request("PUT", path, data=endless())
        assert answer.status == 413
    except OSError:  # the client saw the connection end before the answer
        pass
    assert sent < LARGE_BYTES * 2 + 16 * MB
    assert (await client.get("/health")).status == 200
    assert (await client.get(path)).status == 404
    await wait_for(lambda: not list(drafts.glob("*")))


async def test_f10_a_client_that_hangs_up_leaves_nothing(large_server):
    server, client = large_server
    drafts = Path(server.folder) / "assets" / ".drafts"
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"PUT /api/storage/temp/half.bin HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Length: 1000000\r\n\r\n" + b"x" * 500_000
    )
    await writer.drain()
    await wait_for(lambda: list(drafts.glob("*")))

    writer.transport.abort()

    await wait_for(lambda: not list(drafts.glob("*")))
    assert (await client.get("/storage/temp/half.bin")).status == 404


async def test_a_connection_goes_on_after_an_upload(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    put = (
        b"PUT /api/storage/temp/%b.txt HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Length: %d\r\n\r\n%b"
    )
    writer.write(put % (b"one", 3, b"abc") + put % (b"two", 0, b""))
    chunked = b"PUT /api/storage/temp/three.txt HTTP/1.1\r\nHost: localhost\r\n"
    chunked += b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(chunked + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    writer.write(b"GET /storage/temp/three.txt HTTP/1.1\r\nHost: localhost\r\n")
    writer.write(b"Connection: close\r\n\r\n")

    said = await asyncio.wait_for(reader.read(), 20)

    assert said.count(b"HTTP/1.1 200 OK") == 4, said
    assert said.endswith(b"\r\n\r\nabc")
    writer.close()


@pytest.mark.embedded
async def test_f10_a_full_disk_is_told_and_the_server_goes_on(
    new_embedded_server, small_disk
):
    server = new_embedded_server(
        env={
            "ASSET_FOLDER": str(small_disk),
            "TMPDIR": str(small_disk),
            "MAX_UPLOAD_BYTES": "0",
        }
    )
    async with ApiClient(server.base_url) as client:
        kept = await client.request("PUT", "/api/storage/temp/a.bin", data=b"x" * 1000)
        assert kept.status == 200

        full = await client.request(
            "PUT", "/api/storage/temp/b.bin", data=io.BytesIO(BLOCK * 8)
        )

        assert (full.status, full.json["code"]) == (507, "INSUFFICIENT_STORAGE")
        assert (await client.get("/storage/temp/b.bin")).status == 404
        assert (await client.get("/storage/temp/a.bin")).content == b"x" * 1000
        again = await client.request("PUT", "/api/storage/temp/c.bin", data=b"y" * 1000)
        assert again.status == 200
        # The first finds no room as it comes, the second when it is handed on.
        for size in (8 * MB, 3 * MB):
            form = aiohttp.FormData()
            content = io.BytesIO(BLOCK * (size // MB))
            form.add_field("file", content, filename="b.zip")
            spooled = await client.request(
                "POST", "/api/workflows/import-bundle", data=form
            )
            assert (spooled.status, spooled.json["code"]) == (
                507,
                "INSUFFICIENT_STORAGE",
            )
        assert (await client.get("/storage/temp/c.bin")).content == b"y" * 1000


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    made = subprocess.run(mount, capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("this account cannot mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


# --- files that jobs make

ECHO = {
    "nodes": [
        {
            "id": "in",
            "type": "nodetool.input.StringInput",
            "data": {"name": "text", "value": ""},
        },
        {"id": "out", "type": "nodetool.output.Output", "data": {"name": "text"}},
    ],
    "edges": [
        {
            "source": "in",
            "sourceHandle": "output",
            "target": "out",
            "targetHandle": "value",
        }
    ],
}
LARGE_TEXT = "a large text " * 40_000


def files_of(server: Any) -> list[Path]:
    folder = Path(server.folder) / "assets"
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_a_job_put_aside_goes_with_it(fresh_server):
    async with ApiClient(fresh_server.base_url) as client:
        workflow = await client.create_workflow(ECHO)
        ran = await client.run(workflow["id"], {"text": LARGE_TEXT})
        assert ran.json["outputs"]["text"] == LARGE_TEXT
        assert files_of(fresh_server)
        assert (await client.get("/api/assets/")).json["assets"] == []

        await client.request("DELETE", f"/api/jobs/{ran.json['job_id']}")

        await wait_for(lambda: not files_of(fresh_server))


async def test_a_job_that_finds_no_room_fails_in_words(new_server):
    server = new_server(env={"STORAGE_QUOTA_BYTES": "1000"})
    async with ApiClient(server.base_url) as client:
        workflow = await client.create_workflow(ECHO)

        large = await client.run(workflow["id"], {"text": LARGE_TEXT})
        small = await client.run(workflow["id"], {"text": "small"})

        assert large.status == 500
        assert "Storage quota exceeded" in large.json["error"]
        assert small.json["outputs"]["text"] == "small"
        assert files_of(server) == []


# --- the reference's lines, in each provider


def curl(*argv: str) -> tuple[int, bytes]:
    """Status and body of a curl command."""
    command = ["curl", "-s", "-w", "\n%{http_code}", *argv]
    done = subprocess.run(command, capture_output=True, timeout=20, check=True)
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


PROVIDERS = {
    "none": ({"AUTH_PROVIDER": "none"}, True),
    "local": ({}, True),
    "static": ({"AUTH_PROVIDER": "static"}, False),
    "static, open reads": (
        {"AUTH_PROVIDER": "static", "STORAGE_PUBLIC_READ": "1"},
        True,
    ),
    "multi_user": ({"AUTH_PROVIDER": "multi_user"}, False),
    "multi_user, open reads": (
        {"AUTH_PROVIDER": "multi_user", "STORAGE_PUBLIC_READ": "1"},
        True,
    ),
    # The static token opens it as well, and the project is not asked for that.
    "supabase": (
        {
            "AUTH_PROVIDER": "supabase",
            "SUPABASE_URL": "http://127.0.0.1:9",
            "SUPABASE_KEY": "the-anon-key",
        },
        False,
    ),
}


@pytest.mark.embedded
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_references_storage_and_secrets_lines_work(
    new_embedded_server, provider
):
    env, is_open = PROVIDERS[provider]
    server = new_embedded_server(env={"SERVER_AUTH_TOKEN": TOKEN, **env})
    async with ApiClient(server.base_url, token=TOKEN) as client:
        form = {"data": b"--b\r\n" + PART + b"\r\n--b--\r\n"}
        form["headers"] = {"Content-Type": "multipart/form-data; boundary=b"}
        asset = (await client.request("POST", "/api/assets/", **form)).json
    url = f"{server.base_url}/storage/{asset['uri'].removeprefix('asset://')}"
    bearer = f"Authorization: Bearer {TOKEN}"

    head, download = curl("-I", url), curl(url)
    with_token = curl("-H", bearer, url)
    by_link = curl(asset["get_url"])

    assert head[0] == download[0] == (200 if is_open else 401)
    assert (download[1] == b"hello") is is_open
    assert with_token == by_link == (200, b"hello")
    assert ("sig=" in asset["get_url"]) is not is_open
    assert curl(f"{server.base_url}/health")[0] == 200

    stored = server.cli("secrets", "store", "OPENAI_API_KEY", stdin="sk-of-the-user\n")
    assert stored.out.endswith("Secret 'OPENAI_API_KEY' stored for user 1.\n")
    told = curl("-H", bearer, f"{server.base_url}/api/settings/secrets/OPENAI_API_KEY")
    assert told[0] == 200
    assert json.loads(told[1])["is_configured"]
    assert b"sk-of" not in told[1]
    assert curl(f"{server.base_url}/api/settings/secrets")[0] == (
        200 if env.get("AUTH_PROVIDER", "local") in ("none", "local") else 401
    )
    server.stop()  # who checks the jobs afterwards has no token


PART = b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello'


async def wait_for(condition: Any) -> None:
    await asyncio.to_thread(wait_until, condition, what="the drafts", timeout_s=10)
