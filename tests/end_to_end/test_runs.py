"""Blocking and background runs over the wire of a running server, in both modes."""

import asyncio
import time

import pytest

from tests.end_to_end import graphs
from tests.end_to_end.client import ApiClient
from tests.end_to_end.graphs import edge, node, output
from tests.services.ports import free_port
from tests.stalls import Stalls


def slow(steps: int = 1000, seconds: float = 0.02) -> graphs.Graph:
    return {
        "nodes": [
            node("slow", "demo.SlowSteps", steps=steps, seconds_per_step=seconds),
            output("done"),
        ],
        "edges": [edge("slow", "out")],
    }


@pytest.mark.parametrize("path", ["/api/workflows/{}/run", "/workflows/{}/run/"])
async def test_r4_run_answers_its_outputs_together_and_by_name(api, path):
    workflow = await api.create_workflow(graphs.hello())

    answer = await api.post(
        path.format(workflow["id"]), {"params": {"prompt": "hello"}}
    )

    assert answer.status == 200
    assert answer.json["outputs"] == {"text": "hello world"}
    assert answer.json["text"] == "hello world"


async def test_r5_failing_node_is_500_and_the_job_agrees(api):
    graph = {"nodes": [node("bad", "demo.Fail", message="no luck")], "edges": []}
    workflow = await api.create_workflow(graph)

    answer = await api.run(workflow["id"])

    assert (answer.status, answer.json["error"]) == (500, "Fail: no luck")
    job = await api.job(answer.json["job_id"])
    assert (job["status"], job["error"]) == ("failed", "Fail: no luck")


async def test_many_runs_at_once_each_get_their_own_answer(api):
    workflow = await api.create_workflow(graphs.hello())

    answers = await asyncio.gather(
        *(api.run(workflow["id"], {"prompt": str(n)}) for n in range(100))
    )

    assert [answer.json["text"] for answer in answers] == [
        f"{n} world" for n in range(100)
    ]


async def test_run_of_many_events_answers_its_result_alone(api):
    workflow = await api.create_workflow(graphs.sequence(5000))

    answer = await api.run(workflow["id"])

    assert answer.json["outputs"] == {"numbers": 4999}
    job = await api.job(answer.json["job_id"])
    assert job["result"]["outputs"]["numbers"] == [*range(5000)]


async def test_run_goes_on_when_its_caller_does_not_wait(api):
    workflow = await api.create_workflow(slow(20))

    late = await api.run(workflow["id"], timeout=0.1, job_id=None)
    background = await api.run(workflow["id"], background=True)

    assert (late.status, late.json["status"]) == (504, "running")
    assert (background.status, background.json["status"]) == (202, "running")
    for answer in (late, background):
        job = await api.wait_for_job(answer.json["job_id"])
        assert job["status"] == "completed"


async def test_j12_cancel_over_rest_answers_when_the_job_has_ended(api):
    workflow = await api.create_workflow(slow())
    job_id = (await api.run(workflow["id"], background=True)).json["job_id"]
    await api.wait_for_job(job_id, "running")

    answer = await api.post(f"/api/jobs/{job_id}/cancel")
    again = await api.post(f"/api/jobs/{job_id}/cancel")

    assert answer.json["status"] == "cancelled"
    assert answer.json["is_completed"]
    assert (await api.job(job_id))["status"] == "cancelled"
    assert again.json["status"] == "not_found_or_completed"


async def test_pause_and_resume_over_rest(api):
    workflow = await api.create_workflow(slow(60))
    job_id = (await api.run(workflow["id"], background=True)).json["job_id"]
    await api.wait_for_job(job_id, "running")

    paused = await api.post(f"/api/jobs/{job_id}/pause")
    resumed = await api.post(f"/api/jobs/{job_id}/resume")

    assert (paused.json["status"], resumed.json["status"]) == ("suspended", "running")
    assert (await api.wait_for_job(job_id))["status"] == "completed"


async def test_s9_callers_that_hang_up_leave_the_server_quick(api):
    workflow = await api.create_workflow(graphs.hello())
    slow_one = await api.create_workflow(slow(50))
    for _ in range(20):
        async with ApiClient(api.base_url) as leaving:
            call = asyncio.create_task(leaving.run(slow_one["id"]))
            await asyncio.wait([call], timeout=0.05)
            call.cancel()

    async with asyncio.timeout(20):
        answer = await api.run(workflow["id"], {"prompt": "next"})

    assert answer.json["text"] == "next world"


@pytest.mark.scale_out
async def test_r10_without_broker_who_waits_gets_503_and_the_rest_is_stored(
    new_scale_out_server,
):
    port = free_port()
    server = new_scale_out_server(
        broker_url=f"redis://127.0.0.1:{port}/0", start=False, worker_count=0
    )
    server.web.spawn()
    server.wait_for("/health")
    async with ApiClient(server.base_url) as api:
        workflow = await api.create_workflow(graphs.hello())
        for number, path in enumerate(("run", "run/stream")):
            began = time.monotonic()
            with Stalls() as stalls:
                answer = await api.post(
                    f"/api/workflows/{workflow['id']}/{path}",
                    {"params": {}, "job_id": f"j{number}"},
                )
            assert time.monotonic() - began < 2 + stalls.seconds
            assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert answer.json["retryable"]
            assert "Retry-After" in answer.headers
            assert (await api.job(f"j{number}"))["status"] == "cancelled"
        stored = await api.run(workflow["id"], background=True)
        job = await api.job(stored.json["job_id"])

        assert (stored.status, job["status"]) == (202, "scheduled")
        assert (await api.get("/health")).status == 200
