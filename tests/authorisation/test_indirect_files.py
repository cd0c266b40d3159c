"""Z-04 for files: folders, archives, bundles and thumbnails hold one's own alone.

Alice owns; bob names her ids. What he is answered is what he would be for an id that
nobody has, and no byte of hers is in it.
"""

import io
import zipfile
from typing import Any

import pytest

from tests.authorisation.model import Params
from tests.authorisation.objects import canary, must, workflow
from tests.authorisation.people import Person, World
from tests.authorisation.rows.storage import file, folder, picture, temp_file
from tests.jobs import graphs
from tests.workflows.graphs import request_body

pytestmark = pytest.mark.django_db(transaction=True)

HERS = canary("alice").encode()
NOBODYS = "0" * 32


@pytest.fixture
async def hers(world) -> Params:
    """A folder of alice's, a file, a picture and a temporary file."""
    drawn = await world.make(picture, "alice")
    lent = await world.make(temp_file, "alice")
    return {
        **await world.make(file, "alice"),
        "folder_id": (await world.make(folder, "alice"))["asset_id"],
        "picture_id": drawn["asset_id"],
        "temp_path": lent["path"],
    }


@pytest.fixture
def bob(world: World) -> Person:
    return world.people["bob"]


READS = [
    "/api/assets?parent_id={folder_id}",
    "/api/assets?parent_id=alice",
    "/api/assets?content_type=text",
    "/api/assets/search?query=canary",
    "/api/assets/search?query=canary-of-alice&content_type=text",
    "/api/assets/{folder_id}/recursive",
    "/api/assets/alice/recursive",
    "/api/assets/{folder_id}",
    "/api/assets/{picture_id}/thumbnail?width=64",
    "/api/assets/{asset_id}/download",
    "/api/storage/{path}",
    "/api/storage/{temp_path}",
    "/storage/{temp_path}",
    "/storage/assets/{picture_id}_thumb.jpg",
]


async def test_z04_no_list_and_no_path_leads_to_her_files(bob, hers):
    for path in READS:
        answer = await bob.request("GET", path.format(**hers))

        assert answer.status in (200, 400, 404), path
        assert HERS not in answer.body, path
        if answer.status == 200:
            found = answer.json.get("assets")
            assert found == [], path


def _of_a_kind(answer: Any, *ids: str) -> tuple[int, bytes]:
    """What tells two answers apart, but for the ids that were sent."""
    body = answer.body
    for value in ids:
        body = body.replace(value.encode(), b"<id>")
    return answer.status, body


async def test_z04_nothing_of_his_can_be_put_into_her_folder(world, bob, hers):
    own = await world.make(file, "bob")
    for parent in (hers["folder_id"], hers["asset_id"], "alice"):
        for method, path, body in (
            ("POST", "/api/assets", {"name": "x", "content_type": "folder"}),
            ("PUT", f"/api/assets/{own['asset_id']}", {}),
        ):
            answers = [
                _of_a_kind(
                    await bob.request(method, path, {**body, "parent_id": wanted}),
                    wanted,
                )
                for wanted in (parent, NOBODYS)
            ]

            assert answers[0] == answers[1], (method, parent)
            assert answers[0][0] in (400, 404)
    tree = f"/api/assets/{hers['folder_id']}/recursive"
    assert b"bob" not in (await world.people["alice"].request("GET", tree)).body


async def test_z04_an_archive_holds_none_of_hers(world, bob, hers):
    own = await world.make(file, "bob")
    for foreign in ("asset_id", "folder_id", "picture_id"):
        wanted = {"asset_ids": [own["asset_id"], hers[foreign]]}
        answer = await bob.request("POST", "/api/assets/download", wanted)

        assert answer.status == 404
        assert HERS not in answer.body


async def test_z04_a_thumbnail_of_hers_on_his_workflow_opens_nothing(bob, hers):
    wanted = request_body("x", thumbnail=hers["picture_id"])
    made = await must(bob, "POST", "/api/workflows", wanted)

    link = made.get("thumbnail_url")
    if link:
        answer = await bob.request("GET", link[link.index("/storage") :])
        assert answer.status in (401, 404)


async def test_z04_a_bundle_of_his_holds_none_of_her_files(world, bob, hers):
    key, asset_id = hers["key"], hers["asset_id"]
    value = {"type": "text", "uri": f"asset://{key}", "asset_id": asset_id}
    graph = {
        "nodes": [graphs.node("held", "nodetool.constant.List", value=[value])],
        "edges": [],
    }
    wanted = request_body("his", graph=graph, thumbnail=hers["picture_id"])
    made = await must(bob, "POST", "/api/workflows", wanted)

    path = f"/api/workflows/{made['id']}/export-bundle"
    answer = await bob.request("GET", path)

    assert answer.status == 200
    with zipfile.ZipFile(io.BytesIO(answer.body)) as bundle:
        for name in bundle.namelist():
            assert HERS not in bundle.read(name), name


async def test_z04_a_public_workflow_lends_no_file(world, bob, hers):
    """Who may read and export a workflow gets no file that its graph names."""
    key, asset_id = hers["key"], hers["asset_id"]
    value = {"type": "text", "uri": f"asset://{key}", "asset_id": asset_id}
    graph = {
        "nodes": [
            graphs.node("held", "nodetool.constant.List", value=[value]),
            graphs.output("held"),
        ],
        "edges": [graphs.edge("held", "out")],
    }
    wanted = request_body("shared", graph=graph, access="public")
    alice = world.people["alice"]
    made = await must(alice, "POST", "/api/workflows", wanted)
    path = f"/api/workflows/{made['id']}"

    bundle = await bob.request("GET", f"{path}/export-bundle")
    run = await must(bob, "POST", f"{path}/run", {"params": {}})

    assert bundle.status == 200
    with zipfile.ZipFile(io.BytesIO(bundle.body)) as packed:
        for name in packed.namelist():
            assert HERS not in packed.read(name), name
    link = run["outputs"]["held"][0]["uri"]
    answer = await bob.request("GET", link[link.index("/storage") :])
    assert answer.status == 404


async def test_z04_her_workflow_may_not_be_exported_by_others(world, bob):
    made = await world.make(workflow, "alice")

    path = f"/api/workflows/{made['workflow_id']}/export-bundle"
    assert (await bob.request("GET", path)).status == 404


async def test_z04_a_message_shows_a_model_none_of_her_files(
    world, bob, hers, settings
):
    settings.FAKE_PROVIDER_CHOSEN = True

    def asked(picture_id: str, path: str) -> list[dict[str, Any]]:
        parts = [
            {"type": "file", "file": {"file_id": picture_id}},
            {"type": "image_url", "image_url": f"asset://{picture_id}"},
            {"type": "image_url", "image_url": {"url": f"/storage/{path}"}},
        ]
        messages = [[{"role": "user", "content": [part]}] for part in parts]
        return [{"model": "fake/echo", "messages": found} for found in messages]

    nobodys = asked(NOBODYS, f"temp/{NOBODYS}.png")
    for foreign, unknown in zip(
        asked(hers["picture_id"], hers["temp_path"]), nobodys, strict=True
    ):
        answers = [
            await bob.request("POST", "/v1/chat/completions", body)
            for body in (foreign, unknown)
        ]

        assert answers[0].status == 400
        assert answers[0].body == answers[1].body
    own = asked(hers["picture_id"], hers["temp_path"])[1]
    alice = world.people["alice"]
    assert (await alice.request("POST", "/v1/chat/completions", own)).status == 200
