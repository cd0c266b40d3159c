"""Large bundles through a real server: everything arrives, memory does not grow."""

import asyncio
import io
import json
import os
import random
import zipfile
from contextlib import asynccontextmanager, suppress

import aiohttp

from tests.end_to_end.client import ApiClient

MIB = 1024**2
FILES = int(os.environ.get("BUNDLE_MIB", "96")) // 16
MOST_GROWTH = 50 * MIB
QUIET_S = 30


@asynccontextmanager
async def watched_memory(server):
    """Samples the server's memory while the body runs; gives the list of samples."""
    samples = [server.rss_bytes()]

    async def sample():
        while True:
            await asyncio.sleep(0.02)
            samples.append(server.rss_bytes())

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()
        samples.append(server.rss_bytes())


def write_bundle(path, files):
    noise = random.Random(3).randbytes(16 * MIB)
    nodes = []
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(files):
            key = f"old{number}.png"
            archive.writestr(f"assets/{key}", number.to_bytes(4, "big") + noise)
            value = {"type": "image", "uri": f"asset://{key}"}
            data = {"name": key, "value": value}
            nodes.append({"id": key, "type": "nodetool.constant.Image", "data": data})
        graph = {"nodes": nodes, "edges": []}
        archive.writestr("workflow.json", json.dumps({"name": "B", "graph": graph}))


def checksums(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return sorted(
            info.CRC
            for info in archive.infolist()
            if info.filename.startswith("assets/")
        )


async def test_a_large_bundle_comes_and_goes_in_bounded_memory(
    fresh_server, tmp_path, record_property
):
    server = fresh_server
    sent, received = tmp_path / "sent.zip", tmp_path / "received.zip"
    write_bundle(sent, FILES)
    async with ApiClient(server.base_url) as client:
        await client.get("/api/workflows/")
        async with watched_memory(server) as memory:
            with sent.open("rb") as file:
                form = aiohttp.FormData({"file": file})
                answer = await client.request(
                    "POST", "/api/workflows/import-bundle", data=form
                )
            assert answer.status == 200, answer.content
            path = f"/api/workflows/{answer.json['id']}/export-bundle"
            async with client.session.get(server.base_url + path) as reply:
                assert reply.status == 200
                with received.open("wb") as file:
                    async for piece in reply.content.iter_chunked(MIB):
                        file.write(piece)

    growth = max(memory) - memory[0]
    record_property("growth_mib", round(growth / MIB, 1))
    assert growth < MOST_GROWTH
    assert checksums(received) == checksums(sent)
    values = [node["data"]["value"]["uri"] for node in answer.json["graph"]["nodes"]]
    assert not [uri for uri in values if "old" in uri]


async def test_a_client_who_leaves_leaves_nothing_half_done(fresh_server, tmp_path):
    """Whenever they leave: all files and the workflow are there, or none."""
    sent = tmp_path / "sent.zip"
    write_bundle(sent, 2)
    body = sent.read_bytes()
    async with ApiClient(fresh_server.base_url) as client:
        for patience_s in (0.01, 0.05, 0.1, 0.2, 0.4):
            form = aiohttp.FormData()
            form.add_field("file", io.BytesIO(body), filename="b.zip")
            try:
                async with asyncio.timeout(patience_s):
                    await client.request(
                        "POST", "/api/workflows/import-bundle", data=form
                    )
            except TimeoutError:
                pass

        # What is under way ends, or is taken back, though nobody waits for it.
        before, kept = None, await named_and_there(client, fresh_server)
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET_S):
                while kept != before or kept[0] != kept[1]:
                    await asyncio.sleep(1)
                    before, kept = kept, await named_and_there(client, fresh_server)

    assert kept[0] == kept[1]


async def named_and_there(client, server):
    """The files that imported workflows name, and those that there are."""
    workflows = (await client.get("/api/workflows/?limit=500")).json["workflows"]
    imported = [each for each in workflows if each["name"] == "B"]
    uris = [
        node["data"]["value"]["uri"]
        for each in imported
        for node in each["graph"]["nodes"]
    ]
    folder = server.backend.folder / "assets" / "assets"
    files = {path.name for path in folder.rglob("*") if path.is_file()}
    return {uri.removeprefix("asset://") for uri in uris}, files
