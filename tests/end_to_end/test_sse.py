"""Streams over the wire of a running server, in both modes."""

import asyncio
import json
import time
from itertools import pairwise

import pytest

from tests.end_to_end import graphs
from tests.end_to_end.checker import TERMINAL, check_stream
from tests.end_to_end.client import ApiClient
from tests.end_to_end.graphs import edge, node, output
from tests.jobs.http_client import parse_sse
from tests.stalls import Stalls


def slow(steps: int, seconds: float = 0.02) -> graphs.Graph:
    return {
        "nodes": [
            node("slow", "demo.SlowSteps", steps=steps, seconds_per_step=seconds),
            output("done"),
        ],
        "edges": [edge("slow", "out")],
    }


def without_times(events):
    """Events of two runs, made comparable."""
    kept = []
    for event in events:
        event = {k: v for k, v in event.items() if k not in ("ts", "duration")}
        kept.append({**event, "job_id": "x"})
    return kept


async def test_s1_reference_request_streams_from_running_to_the_end(api):
    workflow = await api.create_workflow(graphs.hello())
    target = f"{api.base_url}/workflows/{workflow['id']}/run/stream"
    body = json.dumps({"params": {"prompt": "hi"}})
    headers = {"Content-Type": "application/json"}

    async with api.session.post(target, data=body, headers=headers) as response:
        stream = parse_sse(await response.read())

    events = [event.json for event in stream.events]
    check_stream(events, status="completed")
    assert events[-1]["result"]["text"] == "hi world"
    assert response.headers["X-Job-Id"] == events[0]["job_id"]
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert "Content-Length" not in response.headers


async def test_s2_four_forms_give_the_same_events(api):
    workflow = await api.create_workflow(graphs.hello())
    runs = []
    for path, fields in (
        ("/workflows/{}/run/stream", {}),
        ("/api/workflows/{}/run/stream/", {}),
        ("/api/workflows/{}/run?stream=true", {}),
        ("/workflows/{}/run/", {"stream": True}),
    ):
        body = {"params": {"prompt": "hi"}, **fields}
        async with api.stream(path.format(workflow["id"]), body) as stream:
            runs.append(await stream.all())

    assert all(without_times(run) == without_times(runs[0]) for run in runs)


async def test_s3_events_arrive_one_by_one(api, tmp_path):
    """Each node waits for a file, which is made when its start has arrived."""
    gates = [f"gate{number}" for number in range(5)]
    nodes = [node(gate, "tests.Gate", path=str(tmp_path / gate)) for gate in gates]
    graph = {
        "nodes": [*nodes, output()],
        "edges": [edge(*pair) for pair in pairwise([*gates, "out"])],
    }
    workflow = await api.create_workflow(graph)
    late = []

    path = f"/workflows/{workflow['id']}/run/stream"
    async with api.stream(path, {"params": {}}) as stream:
        async for event in stream:
            # ``ts`` is when an event was stored; client and server share a clock here.
            late.append(time.time() - event["ts"])
            if event["type"] == "node_update" and event["node_id"] in gates:
                (tmp_path / event["node_id"]).touch()

    stream.checker.assert_complete("completed")
    # Who misses an announcement looks after 2 s.
    assert sorted(late)[len(late) // 2] < 0.5


@pytest.mark.parametrize("cut", range(1, 12))
async def test_s5_e05_lost_client_gets_exactly_the_rest(api, cut):
    workflow = await api.create_workflow(slow(20))
    path = f"/workflows/{workflow['id']}/run/stream"
    seen = []
    async with api.stream(path, {"params": {}}) as stream:
        async for event in stream:
            seen.append(event)
            if len(seen) == cut:
                break
        last_id = stream.ids[-1]
        stream.response.close()

    async with api.stream(path, {"params": {}}, last_event_id=last_id) as stream:
        rest = await stream.all()

    check_stream([*seen, *rest], status="completed")
    job = await api.job(seen[0]["job_id"])
    assert job["status"] == "completed"


async def test_e10_socket_and_stream_carry_the_same_events(api):
    text = "one\ntwo\r\n\r\ndata: x\n\nid: 7\u2028\u2029\u0085\x0b end"
    async with api.socket() as socket:
        events = await socket.run(graph=graphs.hello(), params={"prompt": text})

    path = f"/api/jobs/{events[0]['job_id']}/stream"
    async with api.stream(path, method="GET") as stream:
        streamed = parse_sse(await stream.response.read())

    assert [event.json for event in streamed.events] == events
    assert events[-1]["result"]["text"] == f"{text} world"


async def test_s7_a_hundred_streams_leave_the_server_quick(api):
    workflow = await api.create_workflow(slow(50))
    path = f"/workflows/{workflow['id']}/run/stream"

    async def one():
        async with api.stream(path, {"params": {}}) as stream:
            return await stream.all()

    runs = [asyncio.create_task(one()) for _ in range(100)]
    worst = 0.0
    with Stalls() as stalls:
        while not all(run.done() for run in runs):
            began = time.monotonic()
            assert (await api.get("/health")).status == 200
            worst = max(worst, time.monotonic() - began)
            await asyncio.wait(runs, timeout=0.05)

    assert worst < 1 + stalls.seconds
    for run in runs:
        check_stream(await run, status="completed")


async def test_e11_many_that_hang_up_leave_nothing_behind(api):
    workflow = await api.create_workflow(slow(1000))
    path = f"/workflows/{workflow['id']}/run/stream?on_disconnect=cancel"
    job_ids = []
    for _ in range(30):
        async with api.stream(path, {"params": {}}) as stream:
            job_ids.append(stream.headers["X-Job-Id"])
            stream.response.close()

    jobs = [await api.wait_for_job(job_id) for job_id in job_ids]

    assert {job["status"] for job in jobs} == {"cancelled"}


async def test_s6_silent_job_sends_comments(impatient_server, tmp_path):
    gate = tmp_path / "gate"
    graph = {"nodes": [node("gate", "tests.Gate", path=str(gate))], "edges": []}
    async with ApiClient(impatient_server.base_url) as api:
        workflow = await api.create_workflow(graph)
        async with api.stream(
            f"/workflows/{workflow['id']}/run/stream", {"params": {}}
        ) as stream:
            reading = asyncio.create_task(stream.all())
            async with asyncio.timeout(30):
                while stream.comments.count("keep-alive") < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            gate.touch()
            check_stream(await reading, status="completed")


async def test_stopping_server_ends_streams_with_a_word(new_server):
    server = new_server()
    async with ApiClient(server.base_url) as api:
        workflow = await api.create_workflow(slow(1000))
        async with api.stream(
            f"/workflows/{workflow['id']}/run/stream", {"params": {}}
        ) as stream:
            await anext(aiter(stream))
            stopping = asyncio.create_task(asyncio.to_thread(server.web.terminate))
            text = await stream.response.text()
            assert await stopping == 0

    assert text.endswith(": shutdown\n\n")


async def test_e06_stream_that_nobody_reads_costs_a_page_and_misses_nothing(new_server):
    piece, count, mib = 64 * 1024, 1000, 1024 * 1024
    flood = {"text": "x" * piece, "chunk_size": piece, "repeat": count}
    graph = {"nodes": [node("flood", "demo.StreamText", **flood)], "edges": []}
    server = new_server()
    async with ApiClient(server.base_url) as api:
        # What a first run of many events allocates for good is not the reader's.
        await api.run((await api.create_workflow(graphs.sequence(5000)))["id"])
        workflow = await api.create_workflow(graph)
        before, worst = server.rss_bytes(), 0
        body = {"params": {}, "job_id": "flood"}
        path = f"/workflows/{workflow['id']}/run/stream"
        async with api.stream(path, body) as stream:
            while (await api.job("flood"))["status"] not in TERMINAL:
                worst = max(worst, server.rss_bytes())
                await asyncio.sleep(0.05)

            sizes = [
                len(event["content"])
                async for event in stream
                if event["type"] == "chunk"
            ]

    stream.checker.assert_complete("completed")
    assert sizes == [piece] * count
    assert worst - before < 16 * mib
