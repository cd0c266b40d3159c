"""Scopes as the whole application applies them: REST, streams, sockets, files."""

import json

import pytest
from asgiref.testing import ApplicationCommunicator

from jobs import process
from jobs.log_writer import writer
from nodetool_site.asgi import application
from nodetool_site.lib.db import db
from storage.api_tokens import issue_token, verified_tokens
from storage.failed_attempts import failed_attempts
from storage.models import User
from storage.services import store_asset
from tests.site_auth.test_rest import get

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def _multi_user(settings, transactional_db):
    settings.AUTH_PROVIDER = "multi_user"
    failed_attempts.clear()
    verified_tokens.clear()
    yield
    await process.stop("The test is over")
    writer.poll(None)


@pytest.fixture
def alice(transactional_db) -> User:
    return User.objects.create_user("alice", id="alice")


@pytest.fixture
async def token(alice):
    async def make(*scopes: str) -> str:
        return (await db(issue_token, alice.pk, name="t", scopes=scopes))[1]

    return make


def lacks(scope: str) -> dict:
    return {
        "detail": f"This token lacks the scope '{scope}'.",
        "code": "FORBIDDEN",
        "retryable": False,
    }


async def test_a_token_with_scopes_opens_what_they_name_and_nothing_else(token):
    read, run = await token("read"), await token("run")

    assert (await get("/api/workflows/", read))[0] == 200
    assert (await get("/api/workflows/x", read, "DELETE"))[::2] == (403, lacks("write"))
    assert (await get("/api/workflows/x/run", read, "POST"))[::2] == (403, lacks("run"))
    assert (await get("/api/workflows/", run))[::2] == (403, lacks("read"))
    assert (await get("/api/workflows/x/run", run, "POST"))[0] == 404
    assert (await get("/api/jobs/", run))[0] == 200
    assert (await get("/api/tokens/", run))[::2] == (403, lacks("admin"))


async def test_a_token_without_scopes_opens_everything(token):
    every = await token()

    for method, path in [("GET", "/api/workflows/"), ("GET", "/api/tokens/")]:
        assert (await get(path, every, method))[0] == 200


async def test_a_stream_asks_for_its_scope_too(token):
    write = await token("write")

    assert (await get(f"/api/jobs/x/stream?api_key={write}"))[::2] == (
        403,
        lacks("read"),
    )
    assert (await get("/workflows/x/run/stream", write, "POST"))[::2] == (
        403,
        lacks("run"),
    )


async def test_an_unknown_path_tells_nothing_more(token):
    assert (await get("/unknown", await token("run")))[0] == 403
    assert (await get("/unknown", await token("read")))[0] == 404


@pytest.mark.parametrize("path", ["/health", "/ready", "/api/workflows/public"])
async def test_a_public_path_needs_no_scope(token, path):
    assert (await get(path, await token("write")))[0] != 403


async def test_a_file_asks_for_read(token, alice):
    asset = await db(
        store_asset,
        alice.pk,
        b"[1,2]",
        name="a.json",
        content_type="application/json",
    )
    path = f"/storage/{asset.key}"

    assert (await get(path, await token("read")))[0] == 200
    assert (await get(path, await token("run")))[::2] == (403, lacks("read"))


async def test_lacking_a_scope_is_no_failed_attempt(token):
    read = await token("read")
    for _ in range(25):
        assert (await get("/api/tokens/", read))[0] == 403

    assert (await get("/api/workflows/", read))[0] == 200


async def ask(token: str, *messages: dict) -> list[dict]:
    """Open /ws, send the messages one by one, return a reply to each."""
    scope = {
        "type": "websocket",
        "path": "/ws",
        "headers": [(b"host", b"localhost")],
        "query_string": f"api_key={token}".encode(),
        "subprotocols": [],
        "client": ("10.0.0.9", 1),
    }
    socket = ApplicationCommunicator(application, scope)
    await socket.send_input({"type": "websocket.connect"})
    assert (await socket.receive_output(5))["type"] == "websocket.accept"
    replies = []
    for message in messages:
        await socket.send_input(
            {"type": "websocket.receive", "text": json.dumps(message)}
        )
        replies.append(json.loads((await socket.receive_output(5))["text"]))
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait(5)
    return replies


async def test_a_socket_asks_for_the_scope_of_each_command(token):
    run_job = {"command": "run_job", "data": {"job_id": "j1"}, "request_id": "r1"}
    list_workflows = {"command": "list_workflows", "request_id": "r2"}

    ran, listed, ponged, status, unknown = await ask(
        await token("read"),
        run_job,
        list_workflows,
        {"command": "ping"},
        {"command": "get_status", "data": {}},
        {"command": "nothing"},
    )

    assert ran == {
        "error": "This token lacks the scope 'run'.",
        "code": "FORBIDDEN",
        "command": "run_job",
        "job_id": "j1",
        "request_id": "r1",
    }
    assert listed["result"] == {"workflows": [], "next": None}
    assert ponged["type"] == "pong"
    assert status == {"active_jobs": []}
    assert unknown == {"error": "Unknown command", "command": "nothing"}


async def test_a_read_over_a_socket_is_refused_in_its_own_shape(token):
    [listed] = await ask(
        await token("run"), {"command": "list_workflows", "request_id": "r2"}
    )

    assert listed == {
        "type": "rpc_response",
        "request_id": "r2",
        "command": "list_workflows",
        "error": {
            "code": "FORBIDDEN",
            "message": "This token lacks the scope 'read'.",
            "retryable": False,
            "apiCode": "FORBIDDEN",
        },
    }
