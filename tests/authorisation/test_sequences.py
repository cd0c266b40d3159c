"""Z-06: any sequence of what three users do, against a model of who owns what.

In CI 100 sequences of up to 20 steps; ``AUTHORISATION_SEQUENCES=2000`` makes it that
many of 50, as the guarantee says.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from chat.models import Thread
from jobs import process
from jobs.log_writer import writer
from jobs.models import Job
from nodetool_site.lib.db import db
from storage.api_tokens import verified_tokens
from storage.models import ApiToken, Asset, Secret
from tests.authorisation.model import Factory, Params
from tests.authorisation.objects import (
    canary,
    job,
    live_job,
    public_workflow,
    secret,
    thread,
    token,
    version,
    workflow,
)
from tests.authorisation.people import SETTINGS, World, populate, share_handler
from tests.authorisation.rows.storage import file, folder
from tests.jobs import graphs
from tests.workflows.graphs import request_body
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)

SEQUENCES = int(os.environ.get("AUTHORISATION_SEQUENCES", "100"))
STEPS = 50 if "AUTHORISATION_SEQUENCES" in os.environ else 20
NAMES = ("alice", "bob", "charlie")
USERS = st.sampled_from(NAMES)


@dataclass(frozen=True)
class Kind:
    """What the model knows of a kind of object, and how it is asked for.

    ``pk``: the parameter that tells objects apart. ``reads`` and ``delete``: paths;
    ``listed``: the path of one's own, and the ids in its answer.
    """

    of: Factory
    pk: str
    reads: tuple[str, ...]
    delete: str = ""
    listed: str = ""
    ids: Callable[[Any], list[str]] = list


def _ids(name: str, key: str = "id") -> Callable[[Any], list[str]]:
    return lambda answer: [found[key] for found in answer[name]]


KINDS = {
    "workflow": Kind(
        workflow,
        "workflow_id",
        ("/api/workflows/{workflow_id}",),
        "/api/workflows/{workflow_id}",
        "/api/workflows?limit=500",
        _ids("workflows"),
    ),
    "public workflow": Kind(
        public_workflow,
        "workflow_id",
        ("/api/workflows/{workflow_id}", "/api/workflows/public/{workflow_id}"),
        "/api/workflows/{workflow_id}",
        "/api/workflows/names",
    ),
    "job": Kind(
        job,
        "job_id",
        (
            "/api/jobs/{job_id}",
            "/api/jobs/{job_id}/events",
            "/api/jobs/{job_id}/stream",
        ),
        "/api/jobs/{job_id}",
        "/api/jobs?limit=500",
        _ids("jobs"),
    ),
    "live job": Kind(
        live_job,
        "job_id",
        ("/api/jobs/{job_id}", "/api/jobs/{job_id}/events"),
        listed="/api/jobs/running/all",
        ids=lambda answer: [found["job_id"] for found in answer],
    ),
    "token": Kind(
        token,
        "token_id",
        ("/api/tokens/{token_id}",),
        "/api/tokens/{token_id}",
        "/api/tokens?limit=500",
        # But for the one that they sign in with.
        lambda answer: [t["id"] for t in answer["tokens"] if t["name"] != "matrix"],
    ),
    "thread": Kind(
        thread,
        "thread_id",
        (
            "/api/threads/{thread_id}",
            "/api/messages?thread_id={thread_id}",
            "/api/messages/{message_id}",
        ),
        "/api/threads/{thread_id}",
        "/api/threads?limit=500",
        _ids("threads"),
    ),
    "version": Kind(
        version,
        "version_id",
        (
            "/api/workflows/{workflow_id}/versions/{version}",
            "/api/workflows/{workflow_id}/versions/{version}/diff",
        ),
        "/api/workflows/{workflow_id}/versions/{version_id}",
    ),
    "secret": Kind(
        secret,
        "key",
        ("/api/settings/secrets/{key}",),
        "/api/settings/secrets/{key}",
        "/api/settings/secrets?limit=500",
        lambda answer: [s["key"] for s in answer["secrets"] if s["is_configured"]],
    ),
    "file": Kind(
        file,
        "asset_id",
        (
            "/api/assets/{asset_id}",
            "/api/assets/{asset_id}/download",
            "/storage/{path}",
        ),
        "/api/assets/{asset_id}",
        "/api/assets",
        _ids("assets"),
    ),
    # What lies in a folder is in no list of the root.
    "folder": Kind(
        folder,
        "asset_id",
        ("/api/assets/{asset_id}", "/api/assets/{asset_id}/recursive"),
        "/api/assets/{asset_id}",
    ),
}
WORKFLOWS = ("workflow", "public workflow")
JOBS = ("job", "live job")
OTHERS = tuple(kind for kind in KINDS if kind not in (*WORKFLOWS, *JOBS))
LISTED = tuple(kind for kind in KINDS if KINDS[kind].listed)
# Made from a workflow, which the model knows of too.
FROM_WORKFLOW = (*JOBS, "version")


@dataclass(eq=False)
class Thing:
    """An object as the model knows it."""

    kind: str
    owner: str
    params: Params
    is_gone: bool = False

    @property
    def id(self) -> str:
        """What tells it apart."""
        return self.params[KINDS[self.kind].pk]

    def is_of(self, who: str) -> bool:
        """Whether somebody may change it."""
        return not self.is_gone and who == self.owner

    def is_open_to(self, who: str) -> bool:
        """Whether somebody may read it."""
        is_public = self.kind == "public workflow" and not self.is_gone
        return is_public or self.is_of(who)


class Users(RuleBasedStateMachine):
    """Three users at one server; the model says what each of them must be told."""

    runner: ClassVar[asyncio.Runner]
    world: ClassVar[World]
    workflows = Bundle("workflows")
    jobs = Bundle("jobs")
    others = Bundle("others")

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Thing] = []

    # --- what they do

    @initialize(target=workflows, who=USERS, kinds=st.permutations(WORKFLOWS))
    def begin(self, who: str, kinds: list[str]) -> Any:
        """Begin with a private and a public workflow, or there is little to do."""
        return multiple(*(self.new(who, kind) for kind in kinds))

    @rule(target=workflows, who=USERS, kind=st.sampled_from(WORKFLOWS))
    def make_workflow(self, who: str, kind: str) -> Thing:
        """Make a workflow."""
        return self.new(who, kind)

    @rule(target=jobs, who=USERS, kind=st.sampled_from(JOBS))
    def make_job(self, who: str, kind: str) -> Thing:
        """Run a workflow of one's own."""
        return self.new(who, kind)

    @rule(target=others, who=USERS, kind=st.sampled_from(OTHERS))
    def make(self, who: str, kind: str) -> Thing:
        """Make something else."""
        return self.new(who, kind)

    @rule(target=jobs, who=USERS, thing=workflows)
    def run_workflow(self, who: str, thing: Thing) -> Any:
        """Run what may be read; the job is the caller's, whoever's the workflow is."""
        path = f"/api/workflows/{thing.id}/run"
        body = {"params": {"prompt": canary(who)}}
        may = thing.is_open_to(who)
        answer = self.ask(who, "POST", path, body, may=may)
        if not may:
            return multiple()
        params = {**thing.params, "job_id": answer.json["job_id"]}
        return self.keep(Thing("job", who, params))

    @rule(who=USERS, thing=workflows | jobs | others, way=st.integers(0, 2))
    def read(self, who: str, thing: Thing, way: int) -> None:
        """Read an object in one of its ways."""
        reads = KINDS[thing.kind].reads
        path = reads[way % len(reads)].format(**thing.params)
        may = thing.is_open_to(who)
        if "/public/" in path:
            may = thing.kind == "public workflow" and not thing.is_gone
        self.ask(who, "GET", path, may=may)

    @rule(who=USERS, thing=workflows, is_public=st.booleans())
    def replace(self, who: str, thing: Thing, is_public: bool) -> None:
        """Replace a workflow, or take an id that is free."""
        word = "public" if is_public else canary(who)
        access = "public" if is_public else "private"
        body = request_body(word, access=access, graph=graphs.hello())
        may = thing.is_of(who) or thing.is_gone
        self.ask(who, "PUT", f"/api/workflows/{thing.id}", body, may=may)
        if may:
            thing.owner, thing.is_gone = who, False
            thing.kind = "public workflow" if is_public else "workflow"

    @rule(who=USERS, thing=workflows | jobs | others)
    def delete(self, who: str, thing: Thing) -> None:
        """Delete an object; a job that runs is not to be deleted."""
        path = KINDS[thing.kind].delete.format(**thing.params)
        may = thing.is_of(who)
        if path:
            self.ask(who, "DELETE", path, may=may)
        if path and may:
            thing.is_gone = True
            self.lose_versions(thing)

    @rule(who=USERS, thing=jobs)
    def cancel(self, who: str, thing: Thing) -> None:
        """Cancel a job, whether it runs or not."""
        self.ask(who, "POST", f"/api/jobs/{thing.id}/cancel", {}, may=thing.is_of(who))
        if thing.is_of(who):
            thing.kind = "job"

    @rule(who=USERS, thing=jobs)
    def feed(self, who: str, thing: Thing) -> None:
        """Send a value to a job, which takes it while it runs."""
        if thing.kind == "live job" or not thing.is_of(who):
            path = f"/api/jobs/{thing.id}/input"
            body = {"input": "items", "value": canary(who)}
            self.ask(who, "POST", path, body, may=thing.is_of(who))

    @rule(who=USERS, kind=st.sampled_from(LISTED))
    def look(self, who: str, kind: str) -> None:
        """List one's own."""
        answer = self.ask(who, "GET", KINDS[kind].listed, may=True)
        assert sorted(KINDS[kind].ids(answer.json)) == sorted(self.own(who, kind))

    @rule(who=USERS)
    def look_at_public(self, who: str) -> None:
        """List what is everybody's."""
        answer = self.ask(who, "GET", "/api/workflows/public?limit=500", may=True)
        public = [
            thing.id
            for thing in self.all
            if thing.kind == "public workflow" and not thing.is_gone
        ]
        assert sorted(w["id"] for w in answer.json["workflows"]) == sorted(public)

    # --- the model

    def new(self, who: str, kind: str) -> Thing:
        """Make an object of one's own; what it is made from is one's own too."""
        params = self.run(self.world.make(KINDS[kind].of, who))
        if kind in FROM_WORKFLOW:
            self.keep(Thing("workflow", who, params))
        return self.keep(Thing(kind, who, params))

    def keep(self, thing: Thing) -> Thing:
        """Know an object; the one that is known already, if it is."""
        known = [t for t in self.all if t.id == thing.id]
        if not known:
            self.all.append(thing)
            return thing
        known[0].is_gone = False  # a secret's name may come back
        return known[0]

    def lose_versions(self, thing: Thing) -> None:
        """A workflow's versions go with it; its jobs stay."""
        for other in self.all:
            is_version = thing.kind in WORKFLOWS and other.kind == "version"
            if is_version and other.params["workflow_id"] == thing.id:
                other.is_gone = True

    def own(self, who: str, kind: str) -> list[str]:
        """The ids that a list of ``kind`` shows to a user."""
        kinds = {
            "workflow": WORKFLOWS,
            "public workflow": WORKFLOWS,
            "job": JOBS,
            "file": ("file", "folder"),
        }
        wanted = kinds.get(kind, (kind,))
        return [t.id for t in self.all if t.kind in wanted and t.is_of(who)]

    def ask(self, who: str, method: str, path: str, body=None, *, may: bool):
        """Send a request: 200 or, for who may not, 404; nobody else's word in it."""
        answer = self.run(self.world.people[who].request(method, path, body))
        assert answer.status == (200 if may else 404), (who, method, path, answer.body)
        for other in NAMES:
            is_told = canary(other).encode() in answer.body
            assert other == who or not is_told, (who, method, path)
        return answer

    def run(self, work: Any) -> Any:
        """Do something on the loop of the test."""
        return self.runner.run(work)

    def teardown(self) -> None:
        """Check every list once more, and leave nothing to the next sequence."""
        for who in NAMES:
            for kind in LISTED:
                self.look(who, kind)
        for thing in self.all:
            if thing.kind == "live job" and not thing.is_gone:
                self.cancel(thing.owner, thing)
        self.run(db(_delete_all))


def _delete_all() -> None:
    for model in (Job, Workflow, Asset, Secret, Thread):
        model.objects.all().delete()
    ApiToken.objects.exclude(name="matrix").delete()


def test_z06_no_sequence_shows_anybody_what_is_not_theirs(
    transactional_db, settings, monkeypatch, tmp_path
):
    settings.SECRETS_MASTER_KEY = ""
    settings.DATA_FOLDER = tmp_path
    share_handler(monkeypatch)
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    verified_tokens.clear()
    with asyncio.Runner() as runner:
        Users.runner = runner
        Users.world = runner.run(db(populate))
        try:
            run_state_machine_as_test(Users, settings=HYPOTHESIS)
        finally:
            runner.run(process.stop("The test is over"))
            writer.poll(None)


HYPOTHESIS = settings(
    max_examples=SEQUENCES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
