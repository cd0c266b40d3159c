"""Jobs in the database, whether a server runs or not."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Self

import msgspec
from django.conf import settings
from django.core.management.base import CommandError
from django.db.models.functions import Now

from jobs import dispatch, feed, process, services
from jobs.api.documents import job_document, live_document
from jobs.api.job_views import STATUSES
from jobs.api.reads import JobRow, list_jobs, read_job
from jobs.cli.store import JobQuery, Json
from jobs.errors import InvalidTransition, JobNotFound
from jobs.feed import Page, Reader
from jobs.liveness import VALID_S
from jobs.models import Status, Worker
from jobs.requests import JobRequest
from nodetool_site.lib.pagination import decode_position, encode_position
from storage.models import User
from storage.rendering import has_references, render_json
from workflows.errors import UnknownOwner, WorkflowNotFound
from workflows.shipped_examples import PACKAGE, find_example

END_S = 6.0
LOOK_S = 2.0


class LocalJobs:
    """One user's jobs, on a loop of its own that turns while a call waits.

    ``runs_here``: a job that is started runs in this process, where jobs are not run
    by workers. Else it is left to the server.
    """

    def __init__(self, user_id: str, *, runs_here: bool) -> None:
        self._user_id = user_id
        self._runs_here = runs_here
        self._runner = asyncio.Runner()
        self._takes_part = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._takes_part:
            self._runner.run(process.stop("The command ended"))
        self._runner.close()

    def page(self, query: JobQuery) -> Json:
        found = list_jobs(
            self._user_id,
            limit=query.limit,
            after=decode_position(query.start_key),
            workflow_id=query.workflow_id,
            statuses=STATUSES[query.status] if query.status else (),
        )
        following = encode_position(found.next_position)
        return {
            "jobs": [job_document(job) for job in found.jobs],
            "next_start_key": following,
            "next": following,
        }

    def find(self, job_id: str) -> Json | None:
        job = read_job(self._user_id, job_id)
        if job is None:
            return None
        if not job.result:
            return job_document(job)
        result = self._fit(job.result.encode())
        return job_document(job, msgspec.json.decode(result))

    def start(self, request: JobRequest) -> Json:
        if not User.objects.filter(pk=self._user_id).exists():
            raise UnknownOwner(self._user_id)
        self._take_part()
        try:
            state = self._create(request)
        except WorkflowNotFound as error:
            workflow_id = request.workflow_id
            example = find_example(PACKAGE, workflow_id)
            if example is None:
                raise CommandError(f"Workflow {workflow_id} not found") from error
            state = self._create(replace(request, graph=example.fields.graph))
        return {
            "job_id": state.job_id,
            "status": state.status,
            "workflow_id": state.workflow_id,
        }

    def cancel(self, job_id: str) -> Json:
        self._take_part()
        state = self._runner.run(services.cancel_job(self._user_id, job_id))
        ended = self._runner.run(services.wait_for_end(self._user_id, state, END_S))
        if ended is None:
            raise CommandError(
                f"Job {job_id} has not ended; whoever runs it finds the cancellation"
            )
        if ended.status != Status.CANCELLED:
            raise CommandError(f"Job {job_id} was {ended.status} before")
        return {**live_document(self._row(job_id)), "status": ended.status}

    def pause(self, job_id: str) -> Json:
        self._take_part()
        self._runner.run(services.pause_job(self._user_id, job_id))
        return self._moved(job_id, Status.PAUSED)

    def resume(self, job_id: str) -> Json:
        self._take_part()
        try:
            state = self._runner.run(services.resume_job(self._user_id, job_id))
        except InvalidTransition as error:
            raise InvalidTransition(f"Cannot resume job: {error}") from error
        if state.status == Status.RUNNING:
            raise InvalidTransition("Cannot resume job: it is running")
        return self._moved(job_id, Status.RUNNING)

    def stored(self, job_id: str) -> Iterator[bytes]:
        after = 0
        while (page := feed.read_page(job_id, after)) is not None:
            after = page.last_seq
            yield from map(self._fit, page.lines)

    def follow(
        self, job_id: str, *, after: int = 0, timeout_s: float | None = None
    ) -> Iterator[bytes]:
        self._take_part()
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        reader = self._runner.run(_open(job_id, self._user_id, after))
        try:
            while (page := self._runner.run(_next(reader, deadline))) is not None:
                yield from map(self._fit, page.lines)
        finally:
            reader.close()

    @property
    def has_server(self) -> bool:
        """Whether somebody takes the jobs that this process leaves alone."""
        if dispatch.is_remote():
            return True
        alive = Now() - timedelta(seconds=VALID_S)
        return Worker.objects.filter(kind="web", heartbeat_at__gt=alive).exists()

    def _take_part(self) -> None:
        """Hear what other processes store, and be able to run jobs."""
        if self._takes_part:
            return
        self._takes_part = True
        if not dispatch.is_remote():
            process.start("cli", places=None if self._runs_here else 0)
        self._runner.run(_listen())

    def _create(self, request: JobRequest) -> services.JobState:
        return self._runner.run(services.create_job(self._user_id, request))

    def _moved(self, job_id: str, wanted: str) -> Json:
        """Return a job that has been asked to change, once it is seen to have."""
        job = self._row(job_id)
        if job.status != wanted:
            raise CommandError(
                f"Job {job_id} is still {job.status}; whoever runs it finds the request"
            )
        return job_document(job)

    def _row(self, job_id: str) -> JobRow:
        job = read_job(self._user_id, job_id)
        if job is None:
            raise JobNotFound(f"Job {job_id} not found")
        return job

    def _fit(self, body: bytes) -> bytes:
        """Put large values back and make links of references."""
        if not has_references(body):
            return body
        base_url = settings.NODETOOL_API_URL.rstrip("/")
        return self._runner.run(
            render_json(body, owner_id=self._user_id, base_url=base_url)
        )


async def _listen() -> None:
    process.listen()


async def _open(job_id: str, user_id: str, after: int) -> Reader:
    return feed.open_reader(job_id, owner_id=user_id, after=after)


async def _next(reader: Reader, deadline: float | None) -> Page | None:
    """Return the next page, None after the last one."""
    while not reader.is_done:
        page = await reader.page()
        if page is not None:
            return page
        rest_s = LOOK_S if deadline is None else deadline - time.monotonic()
        if rest_s <= 0:
            raise TimeoutError
        if not reader.is_done:
            await reader.wait(min(LOOK_S, rest_s))
    return None
