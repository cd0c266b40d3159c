"""What one user learns of another: nothing (Z-03, Z-05, E-12, J-10).

A server with named users; alice asks, bob owns. A foreign object is answered as one
that does not exist, in status, headers, body and time.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.end_to_end import graphs
from tests.end_to_end.checker import check_stream
from tests.end_to_end.client import Answer, ApiClient
from tests.end_to_end.conftest import TEST_NODES
from tests.end_to_end.graphs import edge, node, output
from tests.end_to_end.server import ServerProcess, new_backend
from tests.end_to_end.stored_jobs import assert_stored_jobs_valid
from tests.equal_times import least_ratio

UNKNOWN = "0" * 32
VARYING_HEADERS = ("date", "x-request-id", "x-job-id")


@dataclass
class Users:
    server: ServerProcess
    tokens: dict[str, str]

    def client(self, name: str) -> ApiClient:
        return ApiClient(self.server.base_url, token=self.tokens[name])


@pytest.fixture(scope="module")
def _users(mode, tmp_path_factory) -> Iterator[Users]:
    folder = tmp_path_factory.mktemp(f"users-{mode}") / "data"
    # More is asked here than a user may ask in a minute.
    no_limits = {"RATE_LIMIT_PER_MINUTE": "0", "RUN_LIMIT_PER_MINUTE": "0"}
    environment = {**TEST_NODES, "AUTH_PROVIDER": "multi_user", **no_limits}
    with new_backend(mode, folder) as backend:
        server = ServerProcess(backend, env=environment)
        try:
            server.start()
            added = {
                name: server.cli("users", "add", name, "--json")
                for name in ("alice", "bob", "charlie")
            }
            tokens = {name: json.loads(a.out)["token"] for name, a in added.items()}
            yield Users(server, tokens)
        finally:
            server.close()


@pytest.fixture
def users(_users) -> Iterator[Users]:
    _users.server.mark_logs()
    yield _users
    for token in _users.tokens.values():
        _users.server.token = token
        assert_stored_jobs_valid(_users.server)
    _users.server.assert_clean_log()


@pytest.fixture
async def alice(users) -> AsyncIterator[ApiClient]:
    async with users.client("alice") as client:
        yield client


@pytest.fixture
async def bob(users) -> AsyncIterator[ApiClient]:
    async with users.client("bob") as client:
        yield client


@dataclass
class Owned:
    """What bob has."""

    workflow: str
    done: str
    live: str
    file: str


@pytest.fixture
async def owned(bob, tmp_path) -> AsyncIterator[Owned]:
    """A workflow, a job that has ended, one that runs, and a stored large value."""
    gate = tmp_path / "gate"
    graph = {
        "nodes": [node("gate", "tests.Gate", path=str(gate)), output()],
        "edges": [edge("gate", "out")],
    }
    large = {
        "nodes": [node("large", "tests.LargeText", size=6_000_000), output()],
        "edges": [edge("large", "out")],
    }
    workflow = await bob.create_workflow(large, name="bob's secret")
    async with bob.socket() as socket:
        events = await socket.run(workflow_id=workflow["id"])
        live = await socket.run_job(graph=graph)
        await socket.until(live, "node_update")
        link = events[-1]["result"]["text"]["uri"]
        path = link.removeprefix(bob.base_url).partition("?")[0]
        yield Owned(workflow["id"], events[0]["job_id"], live, path)
        gate.touch()
        check_stream(await socket.until_end(live), status="completed")


def seen(answer: Answer, *ids: str) -> tuple:
    """What a caller can tell answers apart by, but for the id that they asked for."""
    text = answer.content.decode()
    for own_id in ids:
        text = text.replace(own_id, "<id>")
    headers = {
        name.lower(): value
        for name, value in answer.headers.items()
        if name.lower() not in VARYING_HEADERS
    }
    return answer.status, headers, text


WORKFLOW_REQUESTS = [
    ("GET", "/api/workflows/{}", None),
    ("HEAD", "/api/workflows/{}", None),
    ("DELETE", "/api/workflows/{}", None),
    ("POST", "/api/workflows/{}/run", {"params": {}}),
    ("POST", "/api/workflows/{}/run", {"params": {}, "graph": graphs.hello()}),
    ("POST", "/api/workflows/{}/run", {"params": {}, "background": True}),
    ("POST", "/api/workflows/{}/run?stream=true", {"params": {}}),
    ("POST", "/api/workflows/{}/run/stream", {"params": {}}),
    ("POST", "/workflows/{}/run", {}),
    ("POST", "/workflows/{}/run/stream/", {}),
    ("GET", "/api/workflows/public/{}", None),
    ("POST", "/api/workflows/{}/nothing", {}),
]
JOB_REQUESTS = [
    ("GET", "/api/jobs/{}", None),
    ("HEAD", "/api/jobs/{}", None),
    ("DELETE", "/api/jobs/{}", None),
    ("GET", "/api/jobs/{}/events", None),
    ("GET", "/api/jobs/{}/stream", None),
    ("HEAD", "/api/jobs/{}/stream", None),
    ("POST", "/api/jobs/{}/cancel", {}),
    ("POST", "/api/jobs/{}/pause", {}),
    ("POST", "/api/jobs/{}/resume", {}),
    ("POST", "/api/jobs/{}/input", {"input": "x", "value": 1}),
    ("POST", "/api/jobs/{}/end-input", {"input": "x"}),
    ("GET", "/api/jobs/?start_key={}", None),
]


async def both(api: ApiClient, request: tuple, foreign: str) -> tuple:
    """The answers to a request about a foreign id and about an unknown one."""
    method, path, body = request
    answers = []
    for id_ in (foreign, UNKNOWN):
        answer = await api.request(method, path.format(id_), json=body)
        answers.append(seen(answer, id_))
    return tuple(answers)


async def test_z03_a_foreign_workflow_is_answered_as_an_unknown_one(alice, bob, owned):
    for request in WORKFLOW_REQUESTS:
        foreign, unknown = await both(alice, request, owned.workflow)

        assert foreign == unknown, request
        assert foreign[0] == 404, request
    assert (await bob.get(f"/api/workflows/{owned.workflow}")).status == 200


async def test_z03_a_foreign_job_is_answered_as_an_unknown_one(alice, bob, owned):
    for job_id in (owned.done, owned.live):
        for request in JOB_REQUESTS:
            foreign, unknown = await both(alice, request, job_id)

            assert foreign == unknown, request
            assert foreign[0] in (400, 404), request
        last = {"Last-Event-ID": f"{job_id}:1"}
        attach = await alice.post(f"/workflows/{UNKNOWN}/run/stream", {}, headers=last)
        assert attach.status == 404
        assert job_id not in attach.content.decode()
    assert (await bob.job(owned.live))["status"] == "running"


async def test_z03_a_foreign_file_is_answered_as_an_unknown_one(alice, bob, owned):
    name = owned.file.rpartition("/")[2]
    key = name.partition(".")[0]
    for method in ("GET", "HEAD"):
        foreign, unknown = await both(
            alice, (method, owned.file.replace(key, "{}"), None), key
        )
        assert foreign == unknown
        assert foreign[0] == 404
    assert (await bob.get(owned.file)).status == 200


async def test_z03_lists_show_only_ones_own(alice, owned):
    await alice.create_workflow(graphs.hello(), name="alice's")
    for path in (
        "/api/workflows/?limit=500",
        "/api/workflows/names",
        "/api/workflows/public",
        f"/api/workflows/?cursor={owned.workflow}",
        "/api/jobs/?limit=500",
        f"/api/jobs/?workflow_id={owned.workflow}",
        "/api/jobs/running/all",
    ):
        text = (await alice.get(path)).content.decode()
        for id_ in (owned.workflow, owned.done, owned.live, "bob"):
            assert id_ not in text, path


COMMANDS = [
    ("cancel_job", {"job_id": "{job}"}),
    ("pause_job", {"job_id": "{job}"}),
    ("resume_job", {"job_id": "{job}"}),
    ("reconnect_job", {"job_id": "{job}"}),
    ("reconnect_job", {"job_id": "{job}", "last_seq": 1}),
    ("stream_input", {"job_id": "{job}", "input": "x", "value": 1}),
    ("end_input_stream", {"job_id": "{job}", "input": "x"}),
    ("get_status", {"job_id": "{job}"}),
    ("get_workflow", {"id": "{workflow}"}),
    ("run_job", {"workflow_id": "{workflow}", "job_id": "mine"}),
]


async def told(socket, command: str, data: dict, **ids: str) -> str:
    """All that a command is answered, to the next ping, but for the ids asked for."""
    filled = {
        name: value.format(**ids) if isinstance(value, str) else value
        for name, value in data.items()
    }
    await socket.send({"command": command, "data": filled, "request_id": "r"})
    await socket.send({"command": "ping", "request_id": "behind"})
    frames = []
    while (frame := await socket.receive()).get("request_id") != "behind":
        frame.pop("ts", None)
        frames.append(frame)
    # What follows a reply may come behind the ping.
    if command in ("reconnect_job", "resume_job", "run_job") and len(frames) < 2:
        frames.append(await socket.receive())
    text = json.dumps(frames, sort_keys=True)
    for name, id_ in ids.items():
        text = text.replace(id_, f"<{name}>")
    return text


async def test_z03_sockets_answer_foreign_as_unknown(alice, bob, owned):
    async with alice.socket() as socket:
        for command, data in COMMANDS:
            unknown = await told(socket, command, data, job=UNKNOWN, workflow="f" * 32)
            for job in (owned.done, owned.live):
                foreign = await told(
                    socket, command, data, job=job, workflow=owned.workflow
                )
                assert foreign == unknown, command
        listed = await socket.command("get_status")
        assert listed == {"active_jobs": []}
    assert (await bob.job(owned.live))["status"] == "running"


async def test_z03_foreign_takes_as_long_as_unknown(alice, owned):
    """Medians, with a bound that allows for a busy machine."""
    paths = {
        f"/api/jobs/{owned.done}": f"/api/jobs/{UNKNOWN}",
        f"/api/workflows/{owned.workflow}": f"/api/workflows/{UNKNOWN}",
    }

    async def ask(path: str) -> None:
        assert (await alice.get(path)).status == 404

    for pair in paths.items():
        foreign, unknown = (partial(ask, path) for path in pair)
        assert await least_ratio(foreign, unknown, enough=1.5, tries=100) < 1.5, pair


async def test_j10_a_job_id_of_somebody_else_is_taken_and_tells_nothing(alice, bob):
    workflow = await bob.create_workflow(graphs.hello(), access="public")
    body = {"params": {"prompt": "x"}, "job_id": uuid.uuid4().hex}
    path = f"/api/workflows/{workflow['id']}/run"
    await bob.post(path, body)
    mine = {**body, "job_id": uuid.uuid4().hex}
    await alice.post(path, mine)

    foreign = await alice.post(path, body)
    own = await alice.post(path, {**mine, "params": {"prompt": "other"}})
    async with alice.socket() as socket:
        over_ws = await socket.command("run_job", workflow_id=workflow["id"], **body)

    assert foreign.status == 409
    assert seen(foreign, body["job_id"]) == seen(own, mine["job_id"])
    assert over_ws == {"error": "job_id already used", "job_id": body["job_id"]}


async def test_e12_another_users_idle_socket_hears_nothing(alice, bob):
    """Whatever alice does, the next frames that bob gets answer his own pings."""
    examples = (await alice.get("/api/workflows/examples")).json["workflows"]
    async with bob.socket() as idle, alice.socket() as own_idle, alice.socket() as busy:
        for socket in (idle, own_idle):
            await socket.command("ping")
        for example in examples:
            graph = example["graph"]
            job_id = await busy.run_job(graph=graph, params={"steps": 1})
            if example["id"] == "stream-input-echo":
                await busy.command("end_input_stream", input="stream", job_id=job_id)
            await busy.until_end(job_id)
            await busy.reconnect(job_id)
            await busy.until_end(job_id)
        cancelled = await busy.run_job(graph=SLOW)
        await busy.until(cancelled, "node_progress")
        await busy.command("pause_job", job_id=cancelled)
        await busy.command("resume_job", job_id=cancelled)
        await busy.command("cancel_job", job_id=cancelled)
        await busy.until_end(cancelled)
        workflow = await alice.create_workflow(graphs.sequence(2000))
        await alice.run_stream(workflow["id"])

        for socket in (idle, own_idle, idle, own_idle):
            await socket.send({"command": "ping", "request_id": "anything?"})
            assert (await socket.receive())["request_id"] == "anything?"


SLOW = {
    "nodes": [node("slow", "demo.SlowSteps", steps=2000, seconds_per_step=0.01)],
    "edges": [],
}


async def test_w12_users_at_once_get_their_own_events_alone(users):
    """Three users, 10 jobs each, all at once: nobody sees another's."""

    async def work(name: str) -> None:
        async with users.client(name) as client, client.socket() as socket:
            jobs = {
                await socket.run_job(
                    graph=graphs.hello(), params={"prompt": f"{name} {number}"}
                ): f"{name} {number} world"
                for number in range(10)
            }
            await socket.until_end(*jobs)
            assert set(socket.events) == set(jobs)
            for job_id, expected in jobs.items():
                assert socket.events[job_id][-1]["result"]["text"] == expected
                assert (await client.job(job_id))["user_id"] != "1"

    await asyncio.gather(*(work(name) for name in users.tokens))


# --- Z-05: what a body may not set


FORGED = {
    "user_id": "1",
    "owner": "1",
    "owner_id": "1",
    "user": {"id": "1"},
    "is_admin": True,
    "is_staff": True,
    "auth_token": "x",
    "api_url": "http://192.0.2.1/",
    "status": "completed",
    "state": "completed",
    "error": "forged",
    "result": {"outputs": {"text": ["forged"]}},
    "outputs": {"text": "forged"},
    "progress": 1.0,
    "attempt": 7,
    "worker_id": "forged",
    "last_seq": 99,
    "created_at": "1999-01-01T00:00:00+00:00",
    "updated_at": "1999-01-01T00:00:00+00:00",
    "started_at": "1999-01-01T00:00:00+00:00",
    "finished_at": "1999-01-01T00:00:00+00:00",
    "etag": "f" * 32,
    "input_schema": {"forged": True},
    "output_schema": {"forged": True},
    "package_name": None,
}


async def test_z05_a_workflow_takes_nothing_that_is_not_its_owners_to_set(alice, bob):
    forged = {**FORGED, "id": "chosen-by-the-client"}
    honest = await alice.create_workflow(graphs.hello())
    created = await alice.create_workflow(graphs.hello(), **forged)
    path = f"/api/workflows/{honest['id']}"
    body = {"name": "test", "access": "private", "graph": graphs.hello(), **forged}
    replaced = (await alice.request("PUT", path, json=body)).json

    for workflow in (created, replaced):
        assert "1999" not in workflow["created_at"] + workflow["updated_at"]
        assert workflow["etag"] != forged["etag"]
        assert workflow["input_schema"] == honest["input_schema"]
        assert workflow["output_schema"] == honest["output_schema"]
        assert set(workflow) == set(honest)
        path = f"/api/workflows/{workflow['id']}"
        assert (await alice.get(path)).json == workflow
        assert (await bob.get(path)).status == 404
    assert (created["id"], replaced["id"]) != (forged["id"],) * 2
    assert replaced["created_at"] == honest["created_at"]


async def test_z05_a_run_belongs_to_its_caller_whatever_it_says(alice, bob, users):
    workflow = await alice.create_workflow(graphs.hello())
    me = (await alice.run(workflow["id"])).json["job_id"]
    my_id = (await alice.job(me))["user_id"]
    bobs_id = (await _any_job(bob))["user_id"]
    forged = {**FORGED, "user_id": bobs_id, "auth_token": users.tokens["bob"]}
    path = f"/api/workflows/{workflow['id']}/run?user_id={bobs_id}"

    blocking = await alice.post(path, {"params": {"prompt": "x"}, **forged})
    streamed = await alice.run_stream(workflow["id"], {"prompt": "x"}, **forged)
    async with alice.socket() as socket:
        data = {"workflow_id": workflow["id"], "params": {"prompt": "x"}}
        events = await socket.run(**forged, **data)

    for job_id in (
        blocking.json["job_id"],
        streamed[0]["job_id"],
        events[0]["job_id"],
    ):
        job = await alice.job(job_id)
        assert job["user_id"] == my_id
        assert job["outputs"] == {"text": "x world"}
        assert (job["error"], job["status"]) == (None, "completed")
        assert "1999" not in job["created_at"] + job["started_at"]
        assert (await bob.get(f"/api/jobs/{job_id}")).status == 404


async def _any_job(api: ApiClient) -> dict:
    workflow = await api.create_workflow(graphs.hello())
    return await api.job((await api.run(workflow["id"])).json["job_id"])


@pytest.mark.parametrize(
    "uri",
    ["asset://{}", "/storage/assets/{}", "http://x/storage/assets/{}", ""],
)
@pytest.mark.parametrize("source", ["input.ImageInput", "constant.Image"])
async def test_z04_a_foreign_asset_in_params_and_graphs_does_not_exist(
    alice, owned, uri, source
):
    """A reference in a parameter, or in the graph itself."""
    key = owned.file.rpartition("/")[2]
    asset_id = key.partition(".")[0]

    async def error(key: str) -> str:
        named = {"uri": uri.format(key), "asset_id": key.partition(".")[0]}
        value = {"type": "image", "data": None, "metadata": None, **named}
        is_input = source.startswith("input")
        data = {"name": "image"} if is_input else {"value": value}
        graph = {
            "nodes": [
                node("in", f"nodetool.{source}", **data),
                node("resize", "nodetool.image.Resize"),
            ],
            "edges": [edge("in", "resize", "image")],
        }
        workflow = await alice.create_workflow(graph)
        answer = await alice.run(workflow["id"], {"image": value} if is_input else {})
        assert answer.status == 500
        return answer.json["error"]

    theirs, unknown = await error(key), await error(key.replace(asset_id, UNKNOWN))

    assert theirs.replace(asset_id, UNKNOWN) == unknown
    assert "not found" in unknown
