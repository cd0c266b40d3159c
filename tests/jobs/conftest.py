"""What tests of jobs need: an owner, and job rows held by a made-up worker."""

import asyncio

import pytest
from django.utils import timezone

from jobs.claims import first_batches
from jobs.event_log import JobLog
from jobs.log_writer import writer
from jobs.statements import ClaimedJob, NewJob, insert_job
from storage.ids import new_id
from storage.models import User

EMPTY_GRAPH = '{"nodes":[],"edges":[]}'


@pytest.fixture
def owner(transactional_db) -> User:
    return User.objects.create(id="owner", username="owner")


@pytest.fixture
def new_job(owner) -> NewJob:
    return NewJob(
        id=new_id(),
        owner_id=owner.pk,
        workflow_id="",
        graph=EMPTY_GRAPH,
        params="{}",
        payload_hash="",
        job_type="workflow",
        execution_strategy="threaded",
        created_at=timezone.now(),
        worker_id="tester",
    )


async def hold(new: NewJob, *, at_once: bool = True, on_fenced=lambda: None) -> JobLog:
    """Insert a claimed job with its first event, and hold its log."""

    def statements(cursor):
        insert_job(cursor, new)
        job = ClaimedJob(
            id=new.id,
            owner_id=new.owner_id,
            workflow_id=new.workflow_id,
            name="",
            graph=new.graph,
            params=new.params,
            attempt=1,
            last_seq=1,
            started_at=new.created_at,
            execution_strategy="threaded",
            waited=False,
        )
        first_batches(job, cursor)

    await writer.request(statements)
    return log_of(new, at_once=at_once, on_fenced=on_fenced)


def log_of(new: NewJob, *, at_once: bool = True, on_fenced=lambda: None) -> JobLog:
    """The log of the first attempt, as its holder has it."""
    return JobLog(
        job_id=new.id,
        workflow_id=new.workflow_id,
        owner_id=new.owner_id,
        attempt=1,
        last_seq=1,
        on_fenced=on_fenced,
        at_once=at_once,
    )


async def read_all(reader) -> list[bytes]:
    """Every message to the terminal one."""
    lines: list[bytes] = []
    async with asyncio.timeout(20):
        async for page in reader.pages():
            lines += page.lines
    return lines
