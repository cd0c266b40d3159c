"""Blocking and background runs over HTTP, each way they can turn out."""

import asyncio
from functools import partial

import pytest

from jobs.api.answers import RESERVED
from jobs.feed import feed
from jobs.models import Job
from nodetool_site.lib.db import db
from tests.jobs import graphs
from tests.jobs.graphs import save
from tests.jobs.http_client import HttpUser

pytestmark = pytest.mark.django_db(transaction=True)

API, BARE = "/api/workflows", "/workflows"


async def run(user, graph, params=None, *, path=API, **fields):
    """Save ``graph`` for user 1 and run it."""
    workflow_id = await db(save, graph)
    body = {"params": params or {}, **fields}
    return await user.post(f"{path}/{workflow_id}/run", body)


async def until_status(job_id: str, *statuses: str) -> None:
    """Return when the job's row says so."""
    async with asyncio.timeout(30):
        rows = Job.objects.filter(pk=job_id, status__in=statuses)
        while True:
            if await db(rows.exists):
                return
            await asyncio.sleep(0.01)


async def until_running_slowly(user, job_id: str) -> None:
    """Return when the first output of ``graphs.slow`` is stored."""
    async with asyncio.timeout(30):
        while True:
            answer = await user.get(f"/api/jobs/{job_id}/events")
            if b"node_progress" in answer.body:
                return
            await asyncio.sleep(0.01)


async def test_r4_outputs_stand_together_and_by_name(me):
    answer = await run(me, graphs.hello(), {"prompt": "hello"})

    body = answer.json
    assert answer.status == 200
    assert body["outputs"] == {"text": "hello world"}
    assert body["text"] == "hello world"
    assert (body["status"], body["error"]) == ("completed", None)
    assert body["duration"] > 0
    assert set(body) == {
        "job_id", "workflow_id", "status", "outputs", "error", "duration", "usage",
        "text",
    }  # fmt: skip


async def test_r4_output_named_like_a_member_stands_in_outputs_alone(me):
    names = sorted(RESERVED - {"outputs"})

    body = (await run(me, graphs.echo(*names, "free"), {"prompt": "x"})).json

    assert body["outputs"] == dict.fromkeys([*names, "free"], "x")
    assert body["status"] == "completed"
    assert body["free"] == "x"
    assert "results" not in body
    assert "detail" not in body


async def test_m7_output_named_outputs_is_an_output_like_others(me):
    body = (await run(me, graphs.echo("outputs", "b"), {"prompt": "x"})).json

    assert body["outputs"] == {"outputs": "x", "b": "x"}


async def test_results_stand_in_the_answer_of_old_clients_alone(me):
    body = (await run(me, graphs.hello(), {"prompt": "a"}, path=BARE)).json

    assert body["results"] == body["outputs"] == {"text": "a world"}


async def test_body_is_the_params_on_the_path_of_old_clients_alone(me):
    workflow_id = await db(save, graphs.hello())

    bare = await me.post(f"{BARE}/{workflow_id}/run", {"prompt": "hey"})
    api = await me.post(f"{API}/{workflow_id}/run", {"prompt": "hey"})

    assert bare.json["text"] == "hey world"
    assert api.json["text"] == " world"


@pytest.mark.parametrize("path", [API, BARE])
async def test_r1_both_slash_forms_run(me, path):
    workflow_id = await db(save, graphs.hello())

    for slash in ("", "/"):
        answer = await me.post(f"{path}/{workflow_id}/run{slash}", {"params": {}})
        assert answer.status == 200


async def test_absent_and_null_bodies_run_with_the_defaults(me):
    workflow_id = await db(save, graphs.hello())

    for body in (b"", b"null", b"{}", b" \n"):
        answer = await me.request("POST", f"{API}/{workflow_id}/run", body)
        assert answer.json["text"] == " world"


async def test_large_output_is_put_back_into_the_answer(me):
    text = "long " * 100_000

    body = (await run(me, graphs.echo("text"), {"prompt": text})).json

    assert body["text"] == text
    assert body["outputs"]["text"] == text


async def test_r5_failed_run_names_its_job_and_the_reason(me):
    answer = await run(me, graphs.failing(), {"prompt": "x"})

    body = answer.json
    assert answer.status == 500
    assert body == {
        "detail": "Fail: no luck",
        "code": "INTERNAL",
        "retryable": False,
        "job_id": body["job_id"],
        "workflow_id": body["workflow_id"],
        "status": "failed",
        "error": "Fail: no luck",
        "outputs": {},
    }
    job = (await me.get(f"/api/jobs/{body['job_id']}")).json
    assert (job["status"], job["error"]) == ("failed", "Fail: no luck")


@pytest.mark.parametrize(
    ("name", "value"), [("IS_PRODUCTION", True), ("SERVER_MODE", "public")]
)
async def test_detail_of_a_failed_run_is_generic_before_strangers(
    me, settings, name, value
):
    setattr(settings, name, value)

    body = (await run(me, graphs.failing())).json

    assert body["detail"] == "The run failed"
    assert body["error"] == "Fail: no luck"


async def test_invalid_graph_fails_the_job(me):
    graph = {"nodes": [graphs.node("a", "no.such.Type")], "edges": []}

    answer = await run(me, graph)

    assert answer.status == 500
    assert "no.such.Type" in answer.json["error"]


@pytest.mark.parametrize("suffix", ["", "/stream", "?stream=true"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"params":[]}',
        b'{"params":"x"}',
        b'{"params":',
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"[" * 5000,
        b'{"params":{},"job_id":"a b"}',
        b'{"params":{},"graph":[]}',
        b'{"params":{},"timeout":"1"}',
    ],
)
async def test_r8_s4_unusable_body_is_400_and_starts_nothing(me, body, suffix):
    path, _, query = suffix.partition("?")
    workflow_id = await db(save, graphs.hello())
    target = f"{API}/{workflow_id}/run{path}" + (f"?{query}" if query else "")

    answer = await me.request("POST", target, body)

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["code"] == "BAD_REQUEST"
    assert answer.json["detail"]
    assert not await db(Job.objects.exists)


@pytest.mark.parametrize("path", [API, BARE])
async def test_wrong_method_is_405_with_allow(me, path):
    for route in ("run", "run/stream"):
        answer = await me.get(f"{path}/w/{route}")
        assert answer.status == 405
        assert answer.headers["allow"] == "POST, OPTIONS"


async def test_r3_z03_foreign_workflow_is_answered_like_an_unknown_one(users):
    charlie = users["charlie"]
    foreign = await db(partial(save, graphs.hello(), owner_id="alice"))

    for route in ("run", "run/stream"):
        for body in ({}, {"graph": graphs.hello()}, {"background": True}):
            one = await charlie.post(f"{API}/{foreign}/{route}", body)
            other = await charlie.post(f"{API}/{'0' * 32}/{route}", body)
            assert one.status == other.status == 404
            assert one.body == other.body
    assert not await db(Job.objects.exists)


async def test_public_workflow_runs_as_the_callers_own_job(users):
    alice, charlie = users["alice"], users["charlie"]
    shared = await db(partial(save, graphs.hello(), owner_id="alice", access="public"))

    job_id = (await charlie.post(f"{API}/{shared}/run")).json["job_id"]

    assert (await charlie.get(f"/api/jobs/{job_id}")).json["user_id"] == "charlie"
    assert (await alice.get(f"/api/jobs/{job_id}")).status == 404


async def test_missing_credential_is_401(users):
    stranger = HttpUser()

    for route in ("run", "run/stream"):
        answer = await stranger.post(f"{API}/w/{route}")
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("workflow_id", ["%00", "a%20b", "x" * 65, "names"])
async def test_id_that_no_workflow_can_have_is_404(me, workflow_id):
    assert (await me.post(f"{API}/{workflow_id}/run")).status == 404


async def test_graph_in_the_body_runs_instead_of_the_stored_one(me):
    workflow_id = await db(save, graphs.hello())
    body = {"params": {"prompt": "x"}, "graph": graphs.echo("other")}

    answer = await me.post(f"{API}/{workflow_id}/run", body)

    assert answer.json["outputs"] == {"other": "x"}


async def test_j10_same_request_again_answers_the_same_job(me):
    workflow_id = await db(save, graphs.hello())
    body = {"params": {"prompt": "x"}, "job_id": "mine"}

    first = await me.post(f"{API}/{workflow_id}/run", body)
    async with asyncio.timeout(1.5):  # at once, not when a silent reader is checked
        again = await me.post(f"{API}/{workflow_id}/run", body)
    both = await asyncio.gather(
        *(
            me.post(f"{API}/{workflow_id}/run", {**body, "job_id": "ours"})
            for _ in range(10)
        )
    )

    assert first.body == again.body
    assert {answer.status for answer in both} == {200}
    assert len({answer.body for answer in both}) == 1
    assert await db(Job.objects.count) == 2


async def test_j10_other_payload_under_a_known_id_is_409(me):
    workflow_id = await db(save, graphs.hello())
    await me.post(f"{API}/{workflow_id}/run", {"job_id": "mine", "params": {}})

    answer = await me.post(
        f"{API}/{workflow_id}/run", {"job_id": "mine", "params": {"prompt": "y"}}
    )

    assert answer.status == 409
    assert answer.json["code"] == "CONFLICT"


async def test_j10_id_of_another_user_is_409_and_tells_nothing(users):
    alice, charlie = users["alice"], users["charlie"]
    shared = await db(partial(save, graphs.hello(), owner_id="alice", access="public"))
    body = {"job_id": "mine", "params": {"prompt": "secret"}}
    await alice.post(f"{API}/{shared}/run", body)

    answer = await charlie.post(f"{API}/{shared}/run", body)

    assert answer.status == 409
    assert b"secret" not in answer.body


async def test_background_run_answers_at_once_and_goes_on(me):
    answer = await run(me, graphs.hello(), {"prompt": "x"}, background=True)

    body = answer.json
    assert answer.status == 202
    assert body == {
        "job_id": body["job_id"],
        "workflow_id": body["workflow_id"],
        "status": "running",
        "outputs": None,
        "error": None,
    }
    await until_status(body["job_id"], "completed")


async def test_run_that_is_cancelled_meanwhile_is_409(me):
    waiting = asyncio.create_task(run(me, graphs.slow(), job_id="slow"))
    await until_status("slow", "running")

    cancelled = await me.post("/api/jobs/slow/cancel")

    answer = await waiting
    assert cancelled.json["status"] == "cancelled"
    assert answer.status == 409
    assert answer.json["status"] == "cancelled"
    assert answer.json["detail"] == "Job cancelled by user"


async def test_run_that_is_paused_meanwhile_is_202_with_outputs_so_far(me):
    waiting = asyncio.create_task(
        run(me, graphs.slow(), {"prompt": "so far"}, job_id="slow")
    )
    await until_running_slowly(me, "slow")

    await me.post("/api/jobs/slow/pause")

    answer = await waiting
    body = answer.json
    assert answer.status == 202
    assert body["status"] == "suspended"
    assert body["outputs"] == {"text": "so far"}
    assert body["run_state"]["status"] == "paused"
    again = await run_again(me, body["workflow_id"], "slow", "so far")
    assert (again.status, again.json["status"]) == (202, "suspended")
    await me.post("/api/jobs/slow/cancel")


async def run_again(user, workflow_id: str, job_id: str, prompt: str):
    body = {"params": {"prompt": prompt}, "job_id": job_id}
    return await user.post(f"{API}/{workflow_id}/run", body)


async def test_run_that_outlasts_its_caller_is_504_and_goes_on(me):
    answer = await run(me, graphs.slow(), job_id="slow", timeout=0.05)

    body = answer.json
    assert answer.status == 504
    assert (body["code"], body["retryable"]) == ("TIMEOUT", True)
    assert (body["job_id"], body["status"]) == ("slow", "running")
    job = (await me.get("/api/jobs/slow")).json
    assert job["status"] == "running"
    await me.post("/api/jobs/slow/cancel")


async def test_e05_job_goes_on_when_its_caller_hangs_up(me):
    workflow_id = await db(save, graphs.slow(steps=20))
    body = {"params": {}, "job_id": "left"}
    async with me.open("POST", f"{API}/{workflow_id}/run", body) as exchange:
        await until_status("left", "running")
        await exchange.hang_up()

    await until_status("left", "completed")
    assert feed.all_readers() == []


async def test_waiting_leaves_no_reader_behind(me):
    await run(me, graphs.hello())
    await run(me, graphs.slow(), job_id="slow", timeout=0.05)
    await me.post("/api/jobs/slow/cancel")

    assert feed.all_readers() == []
