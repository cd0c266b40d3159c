"""A server comes up, runs a workflow on every surface, stops, and comes back."""

import pytest

from tests.end_to_end import graphs
from tests.end_to_end.checker import check_stream
from tests.end_to_end.client import ApiClient


async def test_blocking_run_answers_the_result(api):
    workflow = await api.create_workflow(graphs.hello())

    answer = await api.run(workflow["id"], {"prompt": "hello"})

    assert answer.status == 200
    assert answer.json["outputs"] == {"text": "hello world"}


async def test_sse_run_is_whole(api):
    workflow = await api.create_workflow(graphs.hello())

    events = await api.run_stream(workflow["id"], {"prompt": "hello"})

    check_stream(events, status="completed")


@pytest.mark.parametrize("encoding", ["text", "binary"])
async def test_socket_run_is_whole(api, encoding):
    async with api.socket(encoding=encoding) as socket:
        events = await socket.run(graph=graphs.hello(), params={"prompt": "hello"})

    check_stream(events, status="completed")
    assert events[-1]["result"]["text"] == "hello world"


async def test_stopped_server_exits_with_0_and_keeps_its_workflows(fresh_server):
    async with ApiClient(fresh_server.base_url) as api:
        workflow = await api.create_workflow(graphs.hello())

    assert fresh_server.stop() == 0
    fresh_server.start()

    async with ApiClient(fresh_server.base_url) as api:
        answer = await api.run(workflow["id"], {"prompt": "again"})
    assert answer.json["outputs"] == {"text": "again world"}


async def test_killed_server_keeps_the_events_that_it_had_sent(fresh_server):
    async with ApiClient(fresh_server.base_url) as api, api.socket() as socket:
        events = await socket.run(graph=graphs.hello(), params={"prompt": "hello"})

    fresh_server.kill9()
    fresh_server.start()

    async with ApiClient(fresh_server.base_url) as api:
        assert await api.events(events[0]["job_id"]) == events


@pytest.mark.scale_out
@pytest.mark.rabbitmq
async def test_jobs_run_over_rabbitmq(amqp_url, new_scale_out_server):
    server = new_scale_out_server(broker_url=amqp_url)

    async with ApiClient(server.base_url) as api:
        workflow = await api.create_workflow(graphs.hello())
        answer = await api.run(workflow["id"], {"prompt": "hello"})

    assert answer.status == 200
