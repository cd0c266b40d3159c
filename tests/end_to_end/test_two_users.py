"""Two users of one server, under each provider that has users: A2, A3, A6, Z-07.

Both do everything at once over REST, SSE and ``/ws``; then each looks for what the
other has made, in every list and under every id.
"""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from tests.end_to_end import graphs
from tests.end_to_end.checker import check_stream
from tests.end_to_end.client import ApiClient
from tests.end_to_end.conftest import TEST_NODES
from tests.end_to_end.graphs import edge, node, output
from tests.end_to_end.server import ServerProcess, new_backend
from tests.end_to_end.socket_client import SocketClosed
from tests.end_to_end.stored_jobs import assert_stored_jobs_valid
from tests.end_to_end.test_isolation import (
    COMMANDS,
    JOB_REQUESTS,
    UNKNOWN,
    WORKFLOW_REQUESTS,
    both,
    told,
)
from tests.supabase_stub import ALICE, API_KEY, BOB, SECRET, StubSupabase

STATIC = "a-static-token-of-enough-characters"
PROVIDERS = ("multi_user", "supabase")
LISTS = (
    "/api/workflows/?limit=500",
    "/api/workflows/names",
    "/api/workflows/public",
    "/api/jobs/?limit=500",
    "/api/jobs/running/all",
    "/api/tokens/",
)
CLOSED_IN_S = 60.0
TIMED_S = 5
# For so long events may come after the end of a token, on a machine that is busy.
STILL_TOLD_S = {"api": 10.0, "timed": 10.0, "command": 30.0}


@dataclass
class Pair:
    """A server, and the two who share it."""

    server: ServerProcess
    tokens: dict[str, str]
    stub: StubSupabase | None = None

    def client(self, name: str) -> ApiClient:
        return ApiClient(self.server.base_url, token=self.tokens[name])


def supabase_environment(stub: StubSupabase) -> dict[str, str]:
    return {
        "SUPABASE_URL": stub.url,
        "SUPABASE_KEY": API_KEY,
        "SUPABASE_JWT_SECRET": SECRET,
        "SUPABASE_JWKS": "1",
    }


@pytest.fixture(scope="module", params=PROVIDERS)
def _pair(request, mode, tmp_path_factory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp(f"pair-{mode}") / "data"
    env = {
        **TEST_NODES,
        "AUTH_PROVIDER": request.param,
        "SERVER_AUTH_TOKEN": STATIC,
        # The tests of this file may come within one minute.
        "RATE_LIMIT_PER_MINUTE": "0",
        "RUN_LIMIT_PER_MINUTE": "0",
        "DJANGO_SECRET_KEY": "the-pair-signs-with-this-" * 3,
    }
    with ExitStack() as stack:
        stub = None
        if request.param == "supabase":
            stub = StubSupabase()
            stack.callback(stub.close)
            env |= supabase_environment(stub)
        server = ServerProcess(stack.enter_context(new_backend(mode, folder)), env=env)
        stack.callback(server.close)
        server.start()
        if stub is not None:
            # One checked by the project's secret, one by its public key.
            tokens = {"alice": stub.token(ALICE), "bob": stub.token(BOB, "ES256")}
        else:
            added = {
                name: server.cli("users", "add", name, "--json")
                for name in ("alice", "bob")
            }
            tokens = {name: json.loads(a.out)["token"] for name, a in added.items()}
        yield Pair(server, tokens, stub)


@pytest.fixture
def pair(_pair) -> Iterator[Pair]:
    _pair.server.mark_logs()
    yield _pair
    for token in _pair.tokens.values():
        _pair.server.token = token
        assert_stored_jobs_valid(_pair.server)
        # A6: whatever was sent in an address, the log does not have it.
        assert token not in _pair.server.log()
    assert STATIC not in _pair.server.log()
    _pair.server.assert_clean_log()


@dataclass
class Made:
    """What a user has made."""

    user_id: str = ""
    workflow: str = ""
    token: str = ""
    live: str = ""
    file: str = ""
    jobs: list[str] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        key = self.file.rpartition("/")[2].partition(".")[0]
        return [self.workflow, self.live, key, *self.jobs]


def gated(gate: str) -> dict[str, Any]:
    return {
        "nodes": [node("gate", "tests.Gate", path=gate), output()],
        "edges": [edge("gate", "out")],
    }


LARGE = {
    "nodes": [node("large", "tests.LargeText", size=6_000_000), output()],
    "edges": [edge("large", "out")],
}


async def journey(client: ApiClient, name: str, gate: str) -> Made:
    """Everything a user does; what is answered is theirs alone."""
    made = Made()
    workflow = await client.create_workflow(graphs.hello(), name=f"of {name}")
    made.workflow = workflow["id"]
    ran = await client.run(made.workflow, {"prompt": name})
    assert ran.json["text"] == f"{name} world"
    made.jobs.append(ran.json["job_id"])
    events = await client.run_stream(made.workflow, {"prompt": name})
    check_stream(events, status="completed")
    made.jobs.append(events[0]["job_id"])
    async with client.socket(query=f"?api_key={client.token}") as socket:
        for _ in range(3):
            job_id = await socket.run_job(
                workflow_id=made.workflow, params={"prompt": name}
            )
            made.jobs.append(job_id)
        large = await socket.run_job(graph=LARGE)
        made.live = await socket.run_job(graph=gated(gate))
        events = await socket.until_end(large)
        made.file = events[-1]["result"]["text"]["uri"].partition("?")[0]
        made.file = made.file.removeprefix(client.base_url)
        await socket.until_end(*made.jobs[2:], large)
        assert set(socket.events) <= {*made.jobs, large, made.live}
        made.jobs.append(large)
    made.user_id = (await client.job(made.jobs[0]))["user_id"]
    token = await client.post("/api/tokens/", {"name": name, "scopes": ["read"]})
    made.token = token.json["id"]
    return made


async def test_a2_each_finds_nothing_of_the_other(pair, tmp_path):
    gates = {name: tmp_path / name for name in pair.tokens}
    async with pair.client("alice") as alice, pair.client("bob") as bob:
        mine, theirs = await asyncio.gather(
            journey(alice, "alice", str(gates["alice"])),
            journey(bob, "bob", str(gates["bob"])),
        )
        assert mine.user_id != theirs.user_id
        assert {mine.user_id, theirs.user_id}.isdisjoint({"1"})

        for client, made, foreign in ((alice, mine, theirs), (bob, theirs, mine)):
            await look_around(client, made, foreign)

        for gate in gates.values():
            gate.touch()
        assert (await alice.wait_for_job(mine.live))["status"] == "completed"
        assert (await bob.wait_for_job(theirs.live))["status"] == "completed"


async def look_around(client: ApiClient, made: Made, foreign: Made) -> None:
    """Look for the other's things in lists, under their ids, and over a socket."""
    for path in LISTS:
        answer = await client.get(path)
        text = answer.content.decode()
        assert answer.status == 200, path
        assert not [id_ for id_ in [*foreign.ids, foreign.user_id] if id_ in text], path
    own = [token["id"] for token in (await client.get("/api/tokens/")).json["tokens"]]
    assert made.token in own
    assert foreign.token not in own
    for method in ("GET", "DELETE"):
        gone = await client.request(method, f"/api/tokens/{foreign.token}")
        assert gone.status == 404
    for requests, ids in (
        (WORKFLOW_REQUESTS, [foreign.workflow]),
        (JOB_REQUESTS, [foreign.jobs[0], foreign.live]),
    ):
        for request in requests:
            for id_ in ids:
                found, unknown = await both(client, request, id_)
                assert found == unknown, request
    assert (await client.get(foreign.file)).status == 404
    assert (await client.get(made.file)).status == 200
    async with client.socket() as socket:
        for command, data in COMMANDS:
            unknown = await told(socket, command, data, job=UNKNOWN, workflow="f" * 32)
            ids = {"job": foreign.live, "workflow": foreign.workflow}
            assert await told(socket, command, data, **ids) == unknown, command
        status = await socket.command("get_status")
        assert [job["job_id"] for job in status["active_jobs"]] == [made.live]


async def test_a3_an_id_in_a_payload_changes_nothing(pair):
    async with pair.client("alice") as alice, pair.client("bob") as bob:
        mine = await alice.create_workflow(graphs.hello(), user_id="2", owner_id="2")
        bobs = await bob.create_workflow(graphs.hello())
        bob_id = (await bob.job((await bob.run(bobs["id"])).json["job_id"]))["user_id"]

        path = f"/api/workflows/{mine['id']}/run?user_id={bob_id}"
        ran = await alice.post(path, {"params": {}, "user_id": bob_id})
        token = await alice.post("/api/tokens/", {"name": "x", "user_id": bob_id})
        async with alice.socket() as socket:
            events = await socket.run(
                workflow_id=mine["id"], user_id=bob_id, auth_token=pair.tokens["bob"]
            )

        for job_id in (ran.json["job_id"], events[0]["job_id"]):
            assert (await alice.job(job_id))["user_id"] != bob_id
            assert (await bob.get(f"/api/jobs/{job_id}")).status == 404
        assert token.json["user_id"] != bob_id


async def test_the_static_token_is_user_1_and_sees_neither(pair):
    async with pair.client("alice") as alice:
        made = await alice.create_workflow(graphs.hello(), name="hers")
    async with ApiClient(pair.server.base_url, token=STATIC) as owner:
        listed = (await owner.get("/api/workflows/?limit=500")).content.decode()

        assert made["id"] not in listed
        assert (await owner.get(f"/api/workflows/{made['id']}")).status == 404


TICKING = {
    "nodes": [node("slow", "demo.SlowSteps", steps=20_000, seconds_per_step=0.01)],
    "edges": [],
}


async def watch_socket(
    url: str, job_id: str, token: str, begun: asyncio.Event
) -> tuple[int | None, float]:
    """Follow the job until the socket closes: its code, and the last event's time."""
    last = time.monotonic()
    async with ApiClient(url, token=token) as client, client.socket() as socket:
        await socket.reconnect(job_id)
        try:
            while True:
                if "job_seq" in await socket.receive():
                    begun.set()
                    last = time.monotonic()
        except SocketClosed as closed:
            return closed.code, last


async def watch_stream(
    url: str, job_id: str, token: str, begun: asyncio.Event
) -> tuple[bool, float]:
    """The same over SSE; whether it ended before the job did."""
    last = time.monotonic()
    async with ApiClient(url, token=token) as client:
        path = f"/api/jobs/{job_id}/stream"
        async with client.stream(path, method="GET") as stream:
            assert stream.status == 200
            async for _ in stream:
                begun.set()
                last = time.monotonic()
            return not stream.checker.is_over, last


async def test_z07_a_connection_ends_with_its_token(pair):
    """By time, by a revocation through the server, and by one through the command."""
    url = pair.server.base_url
    async with pair.client("alice") as alice, alice.socket() as starter:
        job_id = await starter.run_job(graph=TICKING)
        # "command" in one of the two: it takes a while. "timed" last: its time runs.
        ways = ["api", "timed"] if pair.stub else ["command", "api", "timed"]
        ids, watching, begun, ended, texts = {}, {}, [], {}, {}
        for name in ways:
            body = {"name": name, "scopes": ["read"]}
            if name == "timed":
                ended[name] = time.monotonic() + TIMED_S
                end = datetime.now(UTC) + timedelta(seconds=TIMED_S)
                body["expires_at"] = end.isoformat()
            made = (await alice.post("/api/tokens/", body)).json
            texts[name] = made["token"]
            ids[name] = made["prefix"] if name == "command" else made["id"]
            both = asyncio.Event(), asyncio.Event()
            begun += both
            watching[name] = asyncio.gather(
                watch_socket(url, job_id, made["token"], both[0]),
                watch_stream(url, job_id, made["token"], both[1]),
            )
        async with asyncio.timeout(TIMED_S):
            await asyncio.gather(*(event.wait() for event in begun))
        assert not any(task.done() for task in watching.values())

        gone = await alice.request("DELETE", f"/api/tokens/{ids['api']}")
        assert gone.status == 200
        ended["api"] = time.monotonic()
        if "command" in ways:
            revoked = await asyncio.to_thread(
                pair.server.cli, "tokens", "revoke", ids["command"]
            )
            assert revoked.code == 0, revoked.err
            ended["command"] = time.monotonic()

        for name, at in ended.items():
            async with asyncio.timeout(CLOSED_IN_S):
                (code, last_event), (is_cut, last_line) = await watching[name]
            assert code == 1008, name
            assert is_cut, name
            assert max(last_event, last_line) - at < STILL_TOLD_S[name], name
            async with ApiClient(url, token=texts[name]) as late:
                assert (await late.get(f"/api/jobs/{job_id}")).status == 401
        assert (await alice.job(job_id))["status"] == "running"
        await starter.command("cancel_job", job_id=job_id)
        await starter.until_end(job_id)


async def test_z07_a_jwt_that_expires_closes_its_socket(pair):
    if pair.stub is None:
        return  # its tokens are rows
    token = pair.stub.token(ALICE, exp=int(time.time()) - 5)  # 5 s of leeway are left
    async with ApiClient(pair.server.base_url, token=token) as client:
        async with client.socket() as socket:
            await socket.command("ping")
            with pytest.raises(SocketClosed) as closed:
                await socket.receive(timeout_s=30)
        assert closed.value.code == 1008
        assert (await client.get("/api/jobs/")).status == 401


CSRF = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


async def test_a_page_session_reads_ones_own_files_and_no_api(pair):
    async with pair.client("alice") as alice, alice.socket() as socket:
        events = await socket.run(graph=LARGE, job_id=uuid.uuid4().hex)
        path = events[-1]["result"]["text"]["uri"].partition("?")[0]
        path = path.removeprefix(alice.base_url)
    url = pair.server.base_url
    for name, status in (("alice", 200), ("bob", 404)):
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as browser:
            _, page = await fetch(browser.get(f"{url}/sign-in/"))
            form = {
                "csrfmiddlewaretoken": CSRF.search(page)[1],
                "token": pair.tokens[name],
                "next": "/sign-in/",
            }
            _, signed = await fetch(browser.post(f"{url}/sign-in/", data=form))
            assert "You are signed in as" in signed

            assert (await fetch(browser.get(url + path)))[0] == status
            assert (await fetch(browser.get(f"{url}/api/workflows/")))[0] == 401
            _, admin = await fetch(browser.get(f"{url}/admin/"))
            assert 'id="login-form"' in admin


async def fetch(asking: Any) -> tuple[int, str]:
    async with asking as answer:
        return answer.status, (await answer.read()).decode(errors="replace")
