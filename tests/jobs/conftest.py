"""What tests of jobs need: an owner, and job rows held by a made-up worker."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from django.utils import timezone

from jobs import feed, process
from jobs.claims import first_batches
from jobs.creation import NewJob, insert_job
from jobs.event_log import JobLog
from jobs.log_writer import writer
from jobs.statements import ClaimedJob
from storage.api_tokens import issue_token, verified_tokens
from storage.ids import new_id
from storage.models import User
from tests.jobs.http_client import HttpUser

EMPTY_GRAPH = '{"nodes":[],"edges":[]}'


@pytest.fixture(autouse=True)
def _no_reader_is_left() -> Iterator[None]:
    """A reader that a test leaves open is not the next test's."""
    yield
    for reader in feed.feed.all_readers():
        reader.close()


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


@pytest.fixture
async def engine(transactional_db) -> AsyncIterator[None]:
    """Jobs run in this process, until the test is over."""
    yield
    await process.stop("The test is over")
    writer.poll(None)


@pytest.fixture
def me(engine) -> HttpUser:
    """The one user of a server that does not tell its callers apart."""
    User.objects.create(id="1", username="1")
    return HttpUser()


@pytest.fixture
def users(engine, settings) -> dict[str, HttpUser]:
    """Alice owns, bob shares, charlie must get 404; each proves it by a token."""
    settings.AUTH_PROVIDER = "multi_user"
    verified_tokens.clear()
    found = {}
    for name in ("alice", "bob", "charlie"):
        User.objects.create(id=name, username=name)
        found[name] = HttpUser(issue_token(name, name="test")[1])
    return found


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
