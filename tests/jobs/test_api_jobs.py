"""Jobs over HTTP: the object, lists, events, who sees what."""

import hashlib
import json
from functools import partial
from itertools import chain

import pytest
from django.utils import timezone

from jobs.models import EventBatch, Job, Status
from nodetool_site.lib.db import db
from storage.api_tokens import issue_token
from tests.jobs import graphs
from tests.jobs.conftest import hold
from tests.jobs.graphs import save
from tests.jobs.http_client import HttpUser
from workflows.engine.events import JobUpdate, OutputUpdate

pytestmark = pytest.mark.django_db(transaction=True)

FIELDS = (
    "id", "user_id", "workflow_id", "job_type", "status", "name", "created_at",
    "started_at", "finished_at", "completed_at", "error", "error_message", "cost",
    "usage", "suspended_node_id", "suspension_reason", "execution_strategy",
    "is_resumable", "run_state", "params", "result", "outputs", "progress", "duration",
    "etag",
)  # fmt: skip


async def run(user, graph, params=None, **fields) -> str:
    """Run a graph of user 1's to its end; the job's id."""
    workflow_id = await db(save, graph)
    body = {"params": params or {}, **fields}
    answer = await user.post(f"/api/workflows/{workflow_id}/run", body)
    return answer.json["job_id"]


async def store_jobs(count: int, owner_id: str = "1", **fields) -> list[str]:
    """Rows of ended jobs, the oldest first."""
    jobs = [
        Job(
            id=f"{owner_id}-{fields.get('workflow_id', '')}-{n:03}",
            owner_id=owner_id,
            created_at=timezone.now(),
            **{"status": Status.COMPLETED, "payload_hash": "", **fields},
        )
        for n in range(count)
    ]
    await db(Job.objects.bulk_create, jobs)
    return [job.id for job in jobs]


async def whole_list(user, query: str = "", *, limit: int = 10) -> list[list[str]]:
    """The ids of every page."""
    pages, cursor = [], ""
    while cursor is not None:
        target = f"/api/jobs/?limit={limit}&start_key={cursor}{query}"
        body = (await user.get(target)).json
        assert body["next"] == body["next_start_key"]
        pages.append([job["id"] for job in body["jobs"]])
        cursor = body["next"]
    return pages


async def test_job_object_tells_all_about_a_completed_run(me):
    job_id = await run(me, graphs.hello(), {"prompt": "hi"})

    job = (await me.get(f"/api/jobs/{job_id}")).json

    events = (await me.get(f"/api/jobs/{job_id}/events")).json["events"]
    assert tuple(job) == FIELDS
    assert (job["id"], job["user_id"], job["status"]) == (job_id, "1", "completed")
    assert job["name"] == "test"
    assert job["params"] == {"prompt": "hi"}
    assert job["result"] == events[-1]["result"]
    assert job["result"] == {"outputs": {"text": ["hi world"]}, "text": "hi world"}
    assert job["outputs"] == {"text": "hi world"}
    assert job["progress"] == 1.0
    assert job["finished_at"] == job["completed_at"]
    assert job["duration"] > 0
    assert not job["is_resumable"]


async def test_etag_is_the_md5_of_the_rest(me):
    job_id = await run(me, graphs.hello())

    job = (await me.get(f"/api/jobs/{job_id}")).json

    etag = job.pop("etag")
    text = json.dumps(job, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert etag == hashlib.md5(text.encode()).hexdigest()  # noqa: S324


async def test_failed_job_gives_its_error_twice_and_counts_as_resumable(me):
    job_id = await run(me, graphs.failing())

    job = (await me.get(f"/api/jobs/{job_id}")).json

    assert job["error"] == job["error_message"] == "Fail: no luck"
    assert job["run_state"]["error_message"] == "Fail: no luck"
    assert job["is_resumable"] is job["run_state"]["is_resumable"] is True


async def test_paused_job_is_suspended_on_the_wire(me):
    await store_jobs(1, status=Status.PAUSED, progress=0.25)

    job = (await me.get("/api/jobs/1--000")).json

    assert (job["status"], job["run_state"]["status"]) == ("suspended", "paused")
    assert job["suspension_reason"] == "paused by user"
    assert job["progress"] == 0.25
    assert job["finished_at"] is job["duration"] is job["result"] is None


async def test_r2_list_has_no_gap_and_no_double_though_rows_come_in_front(me):
    ids = await store_jobs(25)

    pages, cursor = [], ""
    while cursor is not None:
        body = (await me.get(f"/api/jobs?limit=10&cursor={cursor}")).json
        pages.append([job["id"] for job in body["jobs"]])
        cursor = body["next_start_key"]
        await store_jobs(1, workflow_id=f"new{len(pages)}")

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [*chain(*pages)] == ids[::-1]


async def test_list_of_equal_times_has_no_gap_and_no_double(me):
    ids = await store_jobs(7)
    moment = (await db(Job.objects.first)).created_at
    await db(partial(Job.objects.update, created_at=moment))

    pages = await whole_list(me, limit=3)

    assert [*chain(*pages)] == sorted(ids, reverse=True)


async def test_list_rows_leave_params_and_results_out(me):
    await run(me, graphs.hello(), {"prompt": "secret"})

    (job,) = (await me.get("/api/jobs/")).json["jobs"]

    assert tuple(job) == FIELDS
    assert job["params"] is job["result"] is job["outputs"] is None
    assert job["progress"] == 1.0


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("completed", ["completed"]),
        ("cancelled", ["cancelled"]),
        ("canceled", ["cancelled"]),
        ("suspended", ["paused", "suspended"]),
        ("paused", ["paused"]),
        ("", sorted(Status)),
    ],
)
async def test_list_by_status(me, word, found):
    for status in Status:
        await store_jobs(1, status=status, workflow_id=status)

    jobs = (await me.get(f"/api/jobs/?status={word}")).json["jobs"]

    assert sorted(job["workflow_id"] for job in jobs) == found


async def test_list_by_workflow(me):
    await store_jobs(2, workflow_id="a")
    await store_jobs(3, workflow_id="b")

    pages = await whole_list(me, "&workflow_id=b", limit=2)

    assert [len(page) for page in pages] == [2, 1]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("status=nonsense", 400),
        ("start_key=nonsense", 400),
        ("start_key=WyJ4IiwieSJd", 400),
        ("start_key=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjAwIiwieSJd", 400),
        ("workflow_id=%00", 400),
        ("limit=many", 422),
        ("limit=0", 200),
        ("limit=100000", 200),
    ],
)
async def test_list_answers_odd_queries(me, query, status):
    answer = await me.get(f"/api/jobs/?{query}")

    assert answer.status == status
    assert ("detail" in answer.json) is (status != 200)


async def test_running_all_lists_what_has_not_ended(me):
    for status in Status:
        await store_jobs(1, status=status, workflow_id=status)

    jobs = (await me.get("/api/jobs/running/all")).json

    assert [job["workflow_id"] for job in jobs] == [
        "suspended", "paused", "running", "scheduled",
    ]  # fmt: skip
    assert jobs[2] == {
        "job_id": "1-running-000",
        "status": "running",
        "workflow_id": "running",
        "created_at": jobs[2]["created_at"],
        "is_running": True,
        "is_completed": False,
    }
    assert not jobs[0]["is_running"]


async def test_e02_events_above_every_number(me):
    job_id = await run(me, graphs.hello())
    whole = (await me.get(f"/api/jobs/{job_id}/events")).json
    count = len(whole["events"])

    assert [event["job_seq"] for event in whole["events"]] == [*range(1, count + 1)]
    assert whole["next"] is None
    for after in range(count + 2):
        page = (await me.get(f"/api/jobs/{job_id}/events?after={after}")).json
        assert page == {"events": whole["events"][after:], "next": None}


async def test_e02_pages_of_events_join_without_gap(me):
    job_id = await run(me, graphs.hello())
    whole = (await me.get(f"/api/jobs/{job_id}/events")).json["events"]

    pieces, after = [], 0
    while after is not None:
        target = f"/api/jobs/{job_id}/events/?after={after}&limit=3"
        page = (await me.get(target)).json
        assert len(page["events"]) <= 3
        pieces += page["events"]
        after = page["next"]

    assert pieces == whole


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=1.5", "limit=x"])
async def test_events_refuse_odd_numbers(me, query):
    await store_jobs(1)

    assert (await me.get(f"/api/jobs/1--000/events?{query}")).status == 422


async def test_events_put_large_values_back(me, new_job, owner_of_held_job):
    log = await hold(new_job)
    text = "x" * 300_000
    log.emit(
        OutputUpdate(
            node_id="n", node_name="n", output_name="o", value=text, output_type="str"
        )
    )
    log.change_status(
        Status.COMPLETED, JobUpdate(status="completed", result={"a": text})
    )
    await log.stored()

    events = (await owner_of_held_job.get(f"/api/jobs/{new_job.id}/events")).json

    job = (await owner_of_held_job.get(f"/api/jobs/{new_job.id}")).json
    assert events["events"][1]["value"] == text
    assert job["result"] == events["events"][2]["result"] == {"a": text}


@pytest.fixture
def owner_of_held_job(settings, owner, engine):
    """The owner of ``new_job``, with a token."""
    settings.AUTH_PROVIDER = "multi_user"
    return HttpUser(issue_token(owner.pk, name="test")[1])


async def test_e03_events_that_retention_took_leave_no_silent_gap(me):
    job_id = await run(me, graphs.hello())
    events = f"/api/jobs/{job_id}/events"
    whole = (await me.get(events)).json["events"]
    batches = EventBatch.objects.filter(job_id=job_id)

    await db(batches.filter(first_seq=1).delete)
    rest = (await me.get(events)).json["events"]
    await db(batches.all().delete)
    rebuilt = (await me.get(events)).json

    gap = {"type": "replay_incomplete", "job_id": job_id}
    assert rest[0].items() >= {**gap, "next_seq": 2}.items()
    assert rest[1:] == whole[1:]
    assert rebuilt["next"] is None
    first, last = rebuilt["events"]
    assert first.items() >= {**gap, "next_seq": len(whole)}.items()
    for name in ("status", "result", "job_seq", "workflow_id"):
        assert last[name] == whole[-1][name]
    assert set(last) == set(whole[-1])


async def test_z03_foreign_jobs_are_answered_like_unknown_ones(users):
    await store_jobs(1, "alice")
    calls = [
        ("GET", ""), ("DELETE", ""), ("HEAD", ""), ("GET", "/events"),
        ("GET", "/stream"), ("HEAD", "/stream"), ("POST", "/cancel"),
        ("POST", "/pause"), ("POST", "/resume"),
    ]  # fmt: skip

    for method, route in calls:
        for path in (f"{route}", f"{route}/"):
            one, other = [
                await users["charlie"].request(method, f"/api/jobs/{job}{path}")
                for job in ("alice--000", "unknown")
            ]
            assert (one.status, one.body) == (other.status, other.body)
            assert one.status == 404
    assert await db(Job.objects.count) == 1
    assert (await users["charlie"].get("/api/jobs/")).json["jobs"] == []


async def test_z03_input_for_a_foreign_job_is_answered_like_one_for_none(users):
    await store_jobs(1, "alice", status=Status.RUNNING)

    for route in ("input", "end-input"):
        body = {"input": "a"}
        one = await users["charlie"].post(f"/api/jobs/alice--000/{route}", body)
        other = await users["charlie"].post(f"/api/jobs/unknown/{route}", body)
        assert (one.status, one.body) == (other.status, other.body)
        assert one.status == 404


@pytest.mark.parametrize("job_id", ["%00", "a%20b", "x" * 65, "%ff", "..%2f"])
async def test_id_that_no_job_can_have_is_404(me, job_id):
    for route in ("", "/events", "/stream"):
        assert (await me.get(f"/api/jobs/{job_id}{route}")).status == 404


async def test_wrong_method_is_405_with_allow(me):
    for method, route, allowed in (
        ("PUT", "", "GET, DELETE, HEAD, OPTIONS"),
        ("GET", "/cancel", "POST, OPTIONS"),
        ("POST", "/stream", "GET, HEAD, OPTIONS"),
    ):
        answer = await me.request(method, f"/api/jobs/x{route}")
        assert answer.status == 405
        assert answer.headers["allow"] == allowed


async def test_ended_job_is_deleted_with_its_events(me):
    job_id = await run(me, graphs.hello())

    deleted = await me.request("DELETE", f"/api/jobs/{job_id}")

    assert (deleted.status, deleted.body) == (200, b"null")
    assert (await me.get(f"/api/jobs/{job_id}")).status == 404
    assert not await db(EventBatch.objects.exists)


async def test_live_job_is_not_deleted(me):
    await store_jobs(1, status=Status.RUNNING)

    answer = await me.request("DELETE", "/api/jobs/1--000")

    assert answer.status == 409
    assert await db(Job.objects.exists)
