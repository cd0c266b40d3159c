"""The project started as any Django project is: the engine starts on first use."""

import sys

import pytest

from tests.end_to_end import graphs
from tests.end_to_end.checker import check_stream
from tests.end_to_end.client import ApiClient
from tests.end_to_end.server import ROOT

PYTHON = sys.executable
APPLICATION = "nodetool_site.asgi:application"
STARTS = {
    "daphne": [PYTHON, "-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", APPLICATION],
    "uvicorn": [PYTHON, "-m", "uvicorn", "--port", "{port}", APPLICATION],
    "runserver": [
        *(PYTHON, str(ROOT / "manage.py"), "runserver"),
        *("--noreload", "127.0.0.1:{port}"),
    ],
}
CELERY_WORKER = [PYTHON, "-m", "celery", "-A", "nodetool_site", "worker"]
CELERY_WORKER += ["--pool", "threads", "--concurrency", "4"]


@pytest.mark.embedded
@pytest.mark.parametrize("name", STARTS)
async def test_server_started_by_another_command_runs_jobs(name, new_embedded_server):
    server = new_embedded_server(web_argv=STARTS[name], start=False)
    assert server.cli("db", "migrate").code == 0

    server.start()

    async with ApiClient(server.base_url) as api:
        workflow = await api.create_workflow(graphs.hello())
        events = await api.run_stream(workflow["id"], {"prompt": "hello"})
        check_stream(events, status="completed")
        async with api.socket() as socket:
            events = await socket.run(graph=graphs.hello(), params={"prompt": "hi"})
    assert check_stream(events).status == "completed"


@pytest.mark.scale_out
async def test_worker_started_by_celery_runs_jobs(new_scale_out_server):
    server = new_scale_out_server(worker_argv=CELERY_WORKER)

    async with ApiClient(server.base_url) as api, api.socket() as socket:
        events = await socket.run(graph=graphs.hello(), params={"prompt": "hello"})

    check_stream(events, status="completed")
