"""Reads over /ws: one answer each, under the caller's ``request_id``."""

import asyncio
import json
from functools import partial

import pytest

from jobs.sessions import Session
from jobs.socket_reads import READS
from nodetool_site.lib.db import db
from storage.identity import Identity
from storage.models import User
from storage.services import store_asset
from tests.jobs import graphs
from tests.jobs.graphs import save

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(transactional_db):
    for name in ("alice", "charlie"):
        User.objects.create(id=name, username=name)


async def ask(command, data=None, *, user="alice", request_id="r1"):
    """What one socket of ``user`` replies to one command."""
    sent: asyncio.Queue = asyncio.Queue()
    scope = {
        "identity": Identity(user),
        "query_string": b"",
        "headers": [(b"host", b"here:7777")],
        "scheme": "ws",
    }
    session = Session(scope, sent.put, READS)
    writing = asyncio.create_task(session.write())
    frame = {"command": command, "data": data, "request_id": request_id}
    try:
        await session.on_frame(json.dumps(frame))
        async with asyncio.timeout(30):
            reply = await sent.get()
    finally:
        session.close()
        writing.cancel()
    assert sent.empty()
    return json.loads(reply["text"])


async def result_of(command, data=None, **options):
    reply = await ask(command, data, **options)
    assert set(reply) == {"type", "request_id", "command", "result"}, reply
    assert (reply["type"], reply["request_id"]) == ("rpc_response", "r1")
    assert reply["command"] == command
    return reply["result"]


async def error_of(command, data=None, **options):
    reply = await ask(command, data, **options)
    assert set(reply) == {"type", "request_id", "command", "error"}, reply
    assert reply["error"]["apiCode"] == reply["error"]["code"]
    return reply["error"]


@pytest.mark.parametrize("command", sorted(READS))
@pytest.mark.parametrize("request_id", [None, "", 5])
async def test_without_request_id_a_read_is_refused(people, command, request_id):
    reply = await ask(command, {"id": "x"}, request_id=request_id)

    assert reply == {"error": "request_id is required for RPC commands"}


async def test_workflow_is_the_one_of_rest(people):
    workflow_id = await db(partial(save, graphs.hello(), owner_id="alice"))

    workflow = await result_of("get_workflow", {"id": workflow_id})

    assert workflow["id"] == workflow_id
    assert [node["id"] for node in workflow["graph"]["nodes"]] == ["in", "cat", "out"]


async def test_workflows_are_listed_by_cursor(people):
    ids = {await db(partial(save, graphs.hello(), owner_id="alice")) for _ in range(5)}

    found, cursor = [], None
    while True:
        page = await result_of("list_workflows", {"limit": 2, "cursor": cursor})
        found += [workflow["id"] for workflow in page["workflows"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert len(found) == 5
    assert set(found) == ids
    assert (await result_of("list_workflows", user="charlie"))["workflows"] == []


async def test_z03_foreign_objects_are_answered_like_unknown_ones(people):
    workflow_id = await db(partial(save, graphs.hello(), owner_id="alice"))
    asset = await db(
        partial(store_asset, "alice", b"x", name="x.txt", content_type="text/plain")
    )

    for command, foreign in (("get_workflow", workflow_id), ("get_asset", asset.pk)):
        one = await error_of(command, {"id": foreign}, user="charlie")
        other = await error_of(command, {"id": "0" * 32}, user="charlie")
        assert one == other
        assert one["code"] == "NOT_FOUND"
        assert one["retryable"] is False


async def test_node_types_are_listed_whole_or_slim(people):
    whole = (await result_of("list_nodes"))["nodes"]
    slim = (await result_of("list_nodes", {"fields": "slim"}))["nodes"]

    assert [node["node_type"] for node in whole] == [n["node_type"] for n in slim]
    assert "properties" in whole[0]
    assert "properties" not in slim[0]


async def test_one_node_type_is_found(people):
    node = await result_of("get_node", {"node_type": "nodetool.text.Concat"})

    assert node["node_type"] == "nodetool.text.Concat"


async def test_asset_has_a_link_that_works_as_it_stands(people):
    stored = await db(
        partial(store_asset, "alice", b"abc", name="a.txt", content_type="text/plain")
    )

    asset = await result_of("get_asset", {"id": stored.pk})

    assert (asset["id"], asset["name"], asset["size"]) == (stored.pk, "a.txt", 3)
    assert asset["uri"] == f"asset://{stored.key}"
    assert asset["get_url"].startswith(f"http://here:7777/storage/assets/{stored.key}")
    assert asset["parent_id"] == asset["user_id"] == "alice"


async def test_assets_are_listed_by_cursor_and_filter(people):
    kinds = ["text/plain", "image/png", "text/plain", "image/png", "image/png"]
    for number, kind in enumerate(kinds):
        store = partial(
            store_asset, "alice", b"x", name=f"f{number}", content_type=kind
        )
        await db(partial(store, job_id=f"j{number}"))

    first = await result_of("list_assets", {"page_size": 3})
    rest = await result_of("list_assets", {"page_size": 3, "cursor": first["next"]})
    images = await result_of("list_assets", {"content_type": "image"})
    of_job = await result_of("list_assets", {"job_id": "j2"})
    elsewhere = await result_of("list_assets", {"parent_id": "folder"})

    names = [asset["name"] for asset in first["assets"] + rest["assets"]]
    assert names == ["f4", "f3", "f2", "f1", "f0"]
    assert rest["next"] is None
    assert [asset["name"] for asset in images["assets"]] == ["f4", "f3", "f1"]
    assert [asset["name"] for asset in of_job["assets"]] == ["f2"]
    assert elsewhere["assets"] == []
    assert (await result_of("list_assets", user="charlie"))["assets"] == []


@pytest.mark.parametrize(
    ("command", "data", "code"),
    [
        ("list_workflows", {"limit": "x"}, "VALIDATION_ERROR"),
        ("list_workflows", {"limit": [1]}, "VALIDATION_ERROR"),
        ("list_workflows", {"cursor": "nonsense"}, "BAD_REQUEST"),
        ("get_workflow", {}, "BAD_REQUEST"),
        ("get_workflow", {"id": 5}, "BAD_REQUEST"),
        ("get_workflow", {"id": "a\0b"}, "NOT_FOUND"),
        ("list_nodes", {"fields": "some"}, "BAD_REQUEST"),
        ("list_nodes", {"fields": []}, None),
        ("list_nodes", {"fields": ["slim"]}, "BAD_REQUEST"),
        ("get_node", {"node_type": "no.such"}, "NOT_FOUND"),
        ("get_node", {}, "BAD_REQUEST"),
        ("list_assets", {"page_size": "x"}, "VALIDATION_ERROR"),
        ("list_assets", {"cursor": "WyJ4IiwieSJd"}, "BAD_REQUEST"),
        ("list_assets", {"content_type": "a\0b"}, "BAD_REQUEST"),
        ("get_asset", {"id": "../x"}, "NOT_FOUND"),
    ],
)
async def test_h01_odd_data_is_answered_in_the_form_of_an_rpc(
    people, command, data, code
):
    if code is None:
        await result_of(command, data)
    else:
        assert (await error_of(command, data))["code"] == code
