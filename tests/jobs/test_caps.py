"""A user's jobs have caps that no number of requests passes (A-11)."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.utils import timezone

from jobs import services
from jobs.creation import Caps, NewJob, insert_job
from jobs.errors import TooManyJobs
from jobs.log_writer import writer
from jobs.models import Job, Status
from jobs.requests import JobRequest
from storage.ids import new_id
from storage.models import User
from workflows.errors import WorkflowNotFound

ROOT = Path(__file__).resolve().parents[2]
CAP = 20
GRAPH = '{"nodes":[],"edges":[]}'
pytestmark = pytest.mark.django_db(transaction=True)


def job_of(owner_id: str, *, caps: Caps, claimed: bool = True, **fields) -> NewJob:
    values = {
        "id": new_id(),
        "owner_id": owner_id,
        "workflow_id": "",
        "graph": GRAPH,
        "params": "{}",
        "payload_hash": "",
        "job_type": "workflow",
        "execution_strategy": "threaded",
        "created_at": timezone.now(),
        "worker_id": "tester" if claimed else "",
        "caps": caps,
    }
    return NewJob(**{**values, **fields})


async def insert(new: NewJob) -> bool:
    row = await writer.request(
        lambda cursor: insert_job(cursor, new), creator=new.owner_id
    )
    return row is not None


# --- one process after the other


@pytest.mark.parametrize(
    ("status", "counts"),
    [(status, status not in ("suspended", *services.TERMINAL)) for status in Status],
)
async def test_a11_what_has_ended_or_is_suspended_holds_no_place(owner, status, counts):
    caps = Caps(live=2)
    assert await insert(job_of(owner.pk, caps=caps))
    assert await insert(job_of(owner.pk, caps=caps, claimed=False))
    assert not await insert(job_of(owner.pk, caps=caps))
    job = await Job.objects.afirst()

    await Job.objects.filter(pk=job.pk).aupdate(status=status)

    assert await insert(job_of(owner.pk, caps=caps)) is not counts


async def test_a11_jobs_born_claimed_do_not_wait(owner):
    caps = Caps(waiting=1)
    assert await insert(job_of(owner.pk, caps=caps, claimed=False))
    assert not await insert(job_of(owner.pk, caps=caps, claimed=False))

    assert await insert(job_of(owner.pk, caps=caps))
    assert await insert(job_of(owner.pk, caps=Caps(), claimed=False))


async def test_a11_nobody_fills_another_users_places(owner):
    await User.objects.acreate(id="other", username="other")
    caps = Caps(live=1, waiting=1)
    assert await insert(job_of("other", caps=caps))

    assert await insert(job_of(owner.pk, caps=caps))


# --- the service


@pytest.fixture
def capped(settings, owner, monkeypatch) -> User:
    """A user with places for two jobs, which nobody runs."""
    settings.AUTH_PROVIDER = "multi_user"
    settings.MAX_RUNNING_JOBS_PER_USER = 2
    settings.RUN_LIMIT_PER_MINUTE = 0
    monkeypatch.setattr(services.process, "host", lambda: None)
    monkeypatch.setattr(services, "_offer", lambda *args, **kwargs: None)
    return owner


def request(**fields) -> JobRequest:
    return JobRequest(graph=json.loads(GRAPH), **fields)


async def test_a11_the_same_request_again_is_not_refused(capped):
    job = request(job_id="first")
    await services.create_job(capped.pk, job)
    await services.create_job(capped.pk, request())

    with pytest.raises(TooManyJobs):
        await services.create_job(capped.pk, request())
    again = await services.create_job(capped.pk, job)

    assert not again.is_new
    assert await Job.objects.acount() == 2


async def test_a11_a_refused_id_is_free_again(capped):
    for _ in range(2):
        await services.create_job(capped.pk, request())
    with pytest.raises(TooManyJobs):
        await services.create_job(capped.pk, request(job_id="again"))

    await Job.objects.aupdate(status=Status.COMPLETED)

    assert (await services.create_job(capped.pk, request(job_id="again"))).is_new


async def test_a_workflow_that_is_not_there_is_not_found_over_the_cap_too(
    capped,
):
    for _ in range(2):
        await services.create_job(capped.pk, request())

    with pytest.raises(WorkflowNotFound):
        await services.create_job(capped.pk, JobRequest(workflow_id="nowhere"))


async def test_a11_a_refusal_gives_the_engines_place_back(settings, owner):
    settings.AUTH_PROVIDER = "multi_user"
    settings.MAX_RUNNING_JOBS_PER_USER = 1
    await insert(job_of(owner.pk, caps=Caps()))
    host = services.process.host()
    before = host._free

    for _ in range(5):
        with pytest.raises(TooManyJobs):
            await services.create_job(owner.pk, request())

    assert host._free == before
    await services.process.stop("The test is over")
    writer.poll(None)


@pytest.mark.parametrize(
    ("provider", "is_refused"),
    [("none", False), ("local", False), ("static", False), ("multi_user", True)],
)
async def test_a11_running_jobs_are_capped_where_users_differ(
    capped, settings, provider, is_refused
):
    settings.AUTH_PROVIDER = provider
    for _ in range(2):
        await services.create_job(capped.pk, request())

    if is_refused:
        with pytest.raises(TooManyJobs):
            await services.create_job(capped.pk, request())
    else:
        await services.create_job(capped.pk, request())


async def test_a11_waiting_jobs_are_capped_for_everybody(capped, settings):
    settings.AUTH_PROVIDER = "local"
    settings.MAX_QUEUED_JOBS_PER_USER = 3
    for _ in range(3):
        await services.create_job(capped.pk, request())

    with pytest.raises(TooManyJobs):
        await services.create_job(capped.pk, request())


# --- several processes at once

PROGRAM = """
import asyncio, sys, django
django.setup()
from tests.jobs.test_caps import race
asyncio.run(race(int(sys.argv[1]), int(sys.argv[2])))
"""
REQUESTS = 250
OWNERS = ("ann", "ben")


async def race(seed: int, cap: int) -> None:
    """Ask for many jobs of two users, saved and inline, claimed and waiting."""
    caps = Caps(live=cap)
    made = await asyncio.gather(
        *(
            insert(job_of(OWNERS[(n + seed) % 2], caps=caps, claimed=n % 3 > 0))
            for n in range(REQUESTS)
        )
    )
    sys.stdout.write(f"{sum(made)}\n")


def test_a11_1000_requests_of_4_processes_pass_the_cap_by_0(mode, request, tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "DB_PATH": str(tmp_path / "nodetool.sqlite3"),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    if mode == "scale_out":
        environment["DATABASE_URL"] = request.getfixturevalue("postgres_database")
    prepare = (
        "import django; django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('migrate', verbosity=0)\n"
        "from storage.models import User\n"
        f"[User.objects.create(id=n, username=n) for n in {OWNERS!r}]\n"
    )
    options = {"cwd": ROOT, "env": environment, "text": True}
    subprocess.run([sys.executable, "-c", prepare], check=True, timeout=60, **options)

    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(seed), str(CAP)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )
        for seed in range(4)
    ]
    ended = [program.communicate(timeout=60) for program in programs]

    assert [p.returncode for p in programs] == [0] * 4, ended
    assert "deadlock" not in str(ended)
    assert sum(int(out) for out, _ in ended) == CAP * len(OWNERS)
