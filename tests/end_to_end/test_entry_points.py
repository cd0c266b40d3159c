"""The commands of other projects' servers and workers, in either mode.

Each serves REST, streams and sockets, and runs jobs; the engine starts on first use.
"""

import sys
from pathlib import Path

import pytest

from tests.end_to_end import graphs
from tests.end_to_end.checker import check_stream
from tests.end_to_end.client import ApiClient
from tests.end_to_end.processes import wait_until
from tests.end_to_end.server import ROOT, ServerProcess

BIN = Path(sys.executable).parent
APPLICATION = "nodetool_site.asgi:application"
SERVERS = {
    "daphne": [str(BIN / "daphne"), "-v", "0", "-p", "{port}", APPLICATION],
    "uvicorn": [str(BIN / "uvicorn"), "--port", "{port}", APPLICATION],
    # Without its reloader: a source that somebody saves meanwhile would restart it.
    "runserver": [
        *(sys.executable, str(ROOT / "manage.py"), "runserver"),
        *("--noreload", "{port}"),
    ],
    "manage.py serve": [
        *(sys.executable, str(ROOT / "manage.py"), "serve"),
        *("--port", "{port}"),
    ],
}
WORKERS = {
    "celery": [str(BIN / "celery"), "-A", "nodetool_site", "worker"],
    "manage.py worker": [sys.executable, str(ROOT / "manage.py"), "worker"],
}


async def assert_serves(api: ApiClient) -> None:
    """Blocking, streamed, in the background and over a socket: all come to an end."""
    workflow = await api.create_workflow(graphs.hello())
    path = f"/api/workflows/{workflow['id']}/run"
    params = {"prompt": "hello"}

    blocking = await api.post(path, {"params": params})
    streamed = await api.run_stream(workflow["id"], params)
    background = await api.post(path, {"params": params, "background": True})
    async with api.socket(encoding="binary") as socket:
        events = await socket.run(graph=graphs.hello(), params=params)
        await socket.reconnect(events[0]["job_id"], last_seq=3)
        rest = await socket.until_end(events[0]["job_id"])

    assert blocking.json["outputs"] == {"text": "hello world"}
    check_stream(streamed, status="completed")
    check_stream(events, status="completed")
    assert rest == events[3:]
    job = await api.wait_for_job(background.json["job_id"])
    assert job["outputs"] == {"text": "hello world"}


@pytest.mark.parametrize("name", SERVERS)
async def test_another_servers_command_serves_and_runs_jobs(name, new_server):
    server = new_server(web_argv=SERVERS[name], start=False)
    assert server.cli("db", "migrate").code == 0

    server.start()

    async with ApiClient(server.base_url) as api:
        await assert_serves(api)
        await assert_a05_tokens_of_addresses_stay_out_of_the_log(api, server)


async def assert_a05_tokens_of_addresses_stay_out_of_the_log(
    api: ApiClient, server: ServerProcess
) -> None:
    """Whatever a server writes of requests itself."""
    query = "?api_key=seen-by-nobody-01&token=seen-by-nobody-02"
    assert (await api.get(f"/api/jobs/nothing/stream{query}")).status == 404
    assert (await api.get(f"/nothing{query}")).status == 404
    async with api.socket(query=query) as socket:
        await socket.command("ping")
    await api.get("/the/last")

    wait_until(lambda: "/the/last" in server.log(), what="the last line of the log")
    assert "seen-by-nobody" not in server.log()


@pytest.mark.scale_out
@pytest.mark.parametrize("name", WORKERS)
async def test_another_workers_command_runs_jobs(name, new_scale_out_server):
    server = new_scale_out_server(worker_argv=WORKERS[name])

    async with ApiClient(server.base_url) as api:
        await assert_serves(api)

    assert server.workers[0].terminate() == 0
