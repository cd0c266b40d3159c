"""Commands to jobs over HTTP: cancel, pause, resume, input."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from jobs import feed
from jobs.models import Status
from nodetool_site.lib.db import db
from tests.jobs import graphs
from tests.jobs.graphs import save

pytestmark = pytest.mark.django_db(transaction=True)

JOB = "/api/jobs/j1"


@asynccontextmanager
async def running(user, graph, owner_id: str = "1"):
    """Start job ``j1``; yields what follows its events. It is cancelled afterwards."""
    workflow_id = await db(save, graph)
    reader = feed.open_reader("j1", owner_id=owner_id, is_new=True)
    body = {"params": {}, "job_id": "j1", "background": True}
    answer = await user.post(f"/api/workflows/{workflow_id}/run", body)
    assert answer.status == 202, answer.body
    try:
        yield Follower(reader)
    finally:
        reader.close()
        await user.post(f"{JOB}/cancel")


class Follower:
    """Reads a job's events in their order."""

    def __init__(self, reader) -> None:
        self._pages = reader.pages()
        self.seen = []

    async def until(self, **wanted):
        """The next event with these members."""
        async with asyncio.timeout(30):
            while True:
                for event in self.seen:
                    if wanted.items() <= event.items():
                        self.seen = self.seen[self.seen.index(event) + 1 :]
                        return event
                page = await anext(self._pages)
                self.seen = [json.loads(line) for line in page.lines]


async def test_cancel_answers_when_the_job_has_ended(me):
    async with running(me, graphs.slow()) as events:
        await events.until(type="node_progress")

        answer = await me.post(f"{JOB}/cancel")

        job = (await me.get(JOB)).json
        body = answer.json
        assert answer.status == 200
        assert body == {
            "job_id": "j1",
            "status": "cancelled",
            "workflow_id": job["workflow_id"],
            "created_at": job["created_at"],
            "is_running": False,
            "is_completed": True,
        }
        assert job["status"] == "cancelled"
        end = await events.until(type="job_update", status="cancelled")
        assert end["message"] == "Job cancelled by user"


async def test_cancel_of_an_ended_job_says_so(me):
    async with running(me, graphs.hello()) as events:
        await events.until(type="job_update", status="completed")

        body = (await me.post(f"{JOB}/cancel")).json

        assert body["status"] == "not_found_or_completed"
        assert (body["is_running"], body["is_completed"]) == (False, True)


async def test_two_cancels_at_once_both_find_the_job_cancelled(me):
    async with running(me, graphs.slow()) as events:
        await events.until(type="node_progress")

        answers = await asyncio.gather(*(me.post(f"{JOB}/cancel") for _ in range(3)))

        words = {answer.json["status"] for answer in answers}
        assert "cancelled" in words
        assert all(answer.json["is_completed"] for answer in answers)


async def test_pause_and_resume_answer_the_job_as_it_stands(me):
    async with running(me, graphs.slow()) as events:
        await events.until(type="node_progress")

        paused = await me.post(f"{JOB}/pause")
        again = await me.post(f"{JOB}/pause")
        resumed = await me.post(f"{JOB}/resume")
        once_more = await me.post(f"{JOB}/resume")

        assert (paused.status, paused.json["status"]) == (200, "suspended")
        assert paused.json["run_state"]["status"] == "paused"
        assert again.status == 409
        assert "status is 'paused', must be 'running'" in again.json["detail"]
        assert (resumed.status, resumed.json["status"]) == (200, "running")
        assert once_more.status == 409


async def test_paused_job_can_be_cancelled(me):
    async with running(me, graphs.slow()) as events:
        await events.until(type="node_progress")
        await me.post(f"{JOB}/pause")

        body = (await me.post(f"{JOB}/cancel")).json

        assert (body["status"], body["is_completed"]) == ("cancelled", True)


@pytest.mark.parametrize("route", ["pause", "resume"])
async def test_ended_job_neither_pauses_nor_resumes(me, route):
    async with running(me, graphs.hello()) as events:
        await events.until(type="job_update", status="completed")

        answer = await me.post(f"{JOB}/{route}")

        assert answer.status == 409
        assert "'completed'" in answer.json["detail"]


async def test_resume_takes_what_a_suspended_node_is_to_get(me):
    async with running(me, graphs.slow()) as events:
        await events.until(type="node_progress")
        await me.post(f"{JOB}/pause")

        answer = await me.post(f"{JOB}/resume", {"data": {"any": "thing"}})

        assert answer.status == 200


async def test_items_arrive_in_order_and_the_job_ends_with_its_input(me):
    async with running(me, graphs.streamed_input()) as events:
        for item in ("a", None, {"b": 1}):
            body = {"input": "items", "value": item, "handle": "chunk"}
            answer = await me.post(f"{JOB}/input", body)
            assert answer.json == {"job_id": "j1", "status": "running"}
        ended = await me.post(f"{JOB}/end-input", {"input": "items"})
        twice = await me.post(f"{JOB}/end-input", {"input": "items"})

        end = await events.until(type="job_update", status="completed")

        assert ended.status == 200
        assert twice.status in (200, 409)  # harmless, or the job has ended by now
        assert end["result"]["outputs"]["items"] == ["a", None, {"b": 1}]


async def test_item_after_the_end_is_409(me):
    async with running(me, graphs.slow_streamed_input()) as events:
        await events.until(type="node_progress")
        await me.post(f"{JOB}/end-input", {"input": "items"})

        answer = await me.post(f"{JOB}/input", {"input": "items", "value": 1})

        assert answer.status == 409
        assert answer.json["detail"] == "Input stream already ended"


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"input": "nobody"}, 409, "Input 'nobody' not found"),
        ({"input": "items", "handle": "nowhere"}, 409, "Input 'items' not found"),
        ({"input": " "}, 400, "Invalid input name"),
        ({"input": 5}, 400, "Invalid input name"),
        ({}, 400, "Invalid input name"),
        ({"input": "items", "handle": 5}, 400, "handle must be a string"),
    ],
)
@pytest.mark.parametrize("route", ["input", "end-input"])
async def test_input_that_is_not_there_is_refused(me, route, body, status, detail):
    async with running(me, graphs.streamed_input()):
        answer = await me.post(f"{JOB}/{route}", body)

        assert (answer.status, answer.json["detail"]) == (status, detail)


async def test_input_of_an_ended_job_is_409(me):
    async with running(me, graphs.hello()) as events:
        await events.until(type="job_update", status=Status.COMPLETED.value)

        answer = await me.post(f"{JOB}/input", {"input": "prompt", "value": 1})

        assert answer.status == 409
