"""A job whose events the database will not take ends all the same (J-02)."""

import json

import pytest

from jobs import feed, statements
from jobs.claims import first_batches
from jobs.creation import insert_job
from jobs.executor import Attempt
from jobs.log_writer import writer
from jobs.models import Job, Status
from jobs.ports import make_context
from jobs.settlement import Ending, end_job
from jobs.statements import ClaimedJob
from nodetool_site.lib.process_pool import BlockingPool
from tests.jobs.conftest import read_all
from tests.jobs.graphs import hello

pytestmark = pytest.mark.django_db(transaction=True)


async def claimed(new) -> ClaimedJob:
    job = ClaimedJob(
        id=new.id,
        owner_id=new.owner_id,
        workflow_id="",
        name="",
        graph=json.dumps(hello()),
        params="{}",
        attempt=1,
        last_seq=1,
        started_at=new.created_at,
        execution_strategy="threaded",
        waited=False,
    )

    def store(cursor):
        insert_job(cursor, new)
        first_batches(job, cursor)

    await writer.request(store)
    return job


def attempt_of(job: ClaimedJob) -> Attempt:
    return Attempt(
        job,
        make_context=lambda job, log: make_context(job, log, BlockingPool()),
        at_once=True,
        time_limit_s=0,
    )


@pytest.fixture
def refusing(monkeypatch):
    """A database that refuses every event of a run."""

    def refuse(*_):
        raise ValueError("a value that it does not take")

    monkeypatch.setattr(statements, "move_all", refuse)


async def test_j02_a_job_whose_events_are_refused_fails_and_says_so(new_job, refusing):
    await attempt_of(await claimed(new_job)).execute()

    job = await Job.objects.aget(pk=new_job.id)
    lines = await read_all(feed.open_reader(new_job.id, owner_id="owner"))
    assert (job.status, job.error) == (
        Status.FAILED,
        "The events of this job could not be stored",
    )
    assert json.loads(lines[-1])["error"] == job.error


async def test_j05_a_job_that_somebody_else_has_ended_is_left_alone(new_job, refusing):
    job = await claimed(new_job)
    await end_job(Ending(new_job.id, Status.CANCELLED))

    await attempt_of(job).execute()

    assert (await Job.objects.aget(pk=new_job.id)).status == Status.CANCELLED
