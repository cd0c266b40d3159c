"""A private server as its users meet it: what it serves, refuses, and says of it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.end_to_end.client import ApiClient
from tests.end_to_end.conftest import TEST_NODES
from tests.end_to_end.graphs import edge, hello, node, output
from tests.end_to_end.server import ServerProcess, new_backend
from tests.end_to_end.stored_jobs import assert_stored_jobs_valid

TOKEN = "a-token-for-everybody-here"
REASON = "is off in private mode: it runs code that comes with a workflow"
ENVIRONMENT = {
    **TEST_NODES,
    "NODETOOL_SERVER_MODE": "private",
    "SERVER_AUTH_TOKEN": TOKEN,
}


def running_code() -> dict:
    return {
        "nodes": [node("n1", "tests.RunsCode", value="x"), output()],
        "edges": [edge("n1", "out")],
    }


@pytest.fixture(scope="module")
def _private(mode, tmp_path_factory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp(f"private-{mode}") / "data"
    with new_backend(mode, folder) as backend:
        server = ServerProcess(backend, env=ENVIRONMENT, token=TOKEN)
        try:
            yield server.start()
        finally:
            server.close()


@pytest.fixture
async def private(_private) -> AsyncIterator[ApiClient]:
    _private.mark_logs()
    async with ApiClient(_private.base_url, token=TOKEN) as client:
        yield client
    assert_stored_jobs_valid(_private)
    _private.assert_clean_log()


async def test_private_server_runs_workflows_and_brought_graphs(private):
    workflow = await private.create_workflow(hello())

    saved = await private.run(workflow["id"], {"prompt": "hello"})
    brought = await private.run(workflow["id"], {"prompt": "hi"}, graph=hello())

    assert saved.json["outputs"] == {"text": "hello world"}
    assert brought.json["outputs"] == {"text": "hi world"}


async def test_node_that_is_off_is_listed_with_the_reason(private):
    answer = await private.get("/api/nodes/metadata?node_type=tests.RunsCode")

    [listed] = answer.json
    assert (listed["is_available"], listed["unavailable_reason"]) == (False, REASON)


async def test_brought_graph_with_a_node_that_is_off_is_refused_everywhere(private):
    workflow = await private.create_workflow(hello())

    blocking = await private.run(workflow["id"], graph=running_code())
    path = f"/workflows/{workflow['id']}/run/stream"
    stream = await private.post(path, {"params": {}, "graph": running_code()})
    async with private.socket() as socket:
        reply = await socket.command("run_job", graph=running_code())

    for answer in (blocking, stream):
        assert (answer.status, answer.json["code"]) == (403, "FORBIDDEN")
        assert answer.json["detail"] == f"Node 'n1': Node type tests.RunsCode {REASON}"
    assert REASON in str(reply)
    jobs = (await private.get(f"/api/jobs/?workflow_id={workflow['id']}")).json["jobs"]
    assert jobs == []


async def test_saved_workflow_with_a_node_that_is_off_fails_with_the_reason(private):
    workflow = await private.create_workflow(running_code())

    answer = await private.run(workflow["id"])

    assert answer.status == 500
    assert REASON in answer.json["error"]
    job = await private.job(answer.json["job_id"])
    assert job["status"] == "failed"
    assert REASON in job["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/api/schema/", 404),
        ("/api/docs/", 404),
        ("/api/settings/", 403),
        ("/api/files/", 404),
        ("/api/debug/", 404),
    ],
)
async def test_what_private_mode_leaves_out_is_refused(private, path, status):
    answer = await private.get(path)

    assert answer.status == status
    assert answer.json["retryable"] is False


async def test_host_that_nobody_named_is_refused(private):
    answer = await private.get("/api/jobs/", headers={"Host": "evil.example.org"})

    assert answer.status == 400
