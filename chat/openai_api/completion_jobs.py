"""Completions that are jobs: started, found again by their id, and stopped.

The id of the completion is that of its job behind a prefix. How its events look is kept
in the job's graph, in a node that never runs.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import msgspec
from django.conf import settings
from django.db import connection
from django.utils import timezone

from chat.openai_api.errors import UNSUPPORTED, InvalidField
from chat.openai_api.generation import Head
from chat.openai_api.job_readings import ProviderReading, WorkflowReading
from chat.openai_api.requests import Completion
from chat.providers import Found
from chat.workflow_models import WorkflowModel
from jobs import services
from jobs.errors import InvalidJobRequest, JobNotFound
from jobs.models import SHORT_LIVED
from jobs.requests import JobRequest, check_job_id
from jobs.retention import KEPT
from jobs.services import JobState
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import NotFound
from nodetool_site.lib.sql_times import aware
from storage.ids import new_id
from workflows.engine.graph import load_graph
from workflows.nodes.chat_completion import Completion as CompletionNode
from workflows.nodes.chat_completion import CompletionForm
from workflows.providers.messages import ChatRequest

PREFIX = "chatcmpl-"
_FORM_ID = "form-"
_READ = (
    "SELECT workflow_id, graph, finished_at FROM jobs_job"
    " WHERE id = %s AND owner_id = %s AND job_type = %s"
)


class CompletionNotFound(NotFound):
    """No such completion: unknown, somebody else's, not resumable, or over."""

    def __init__(self, completion_id: str) -> None:
        super().__init__(
            f"There is no resumable completion '{completion_id[:100]}'. One is kept "
            "for an hour after its end."
        )


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How the events of a completion look."""

    model: str
    created: int
    choices: int = 1
    wants_usage: bool = False
    is_legacy: bool = False

    @classmethod
    def of(cls, wanted: Completion) -> Form:
        """Return the form that a request asks for."""
        return cls(
            model=wanted.model,
            created=int(time.time()),
            choices=wanted.choices,
            wants_usage=wanted.wants_usage,
            is_legacy=wanted.is_legacy,
        )


class StoredCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A completion that is a job. ``graph``: that of its workflow, else None."""

    job_id: str
    form: Form
    graph: str | None

    @property
    def id(self) -> str:
        """The completion's id."""
        return PREFIX + self.job_id

    @property
    def head(self) -> Head:
        """What identifies it in each event."""
        return Head(self.id, self.form.created, self.form.model)

    def reading(
        self, *, owner_id: str, base_url: str
    ) -> ProviderReading | WorkflowReading:
        """Return what turns its log into what it says."""
        if self.graph is None:
            return ProviderReading()
        return WorkflowReading(
            load_graph(self.graph), owner_id=owner_id, base_url=base_url
        )


class NewCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A completion to be, and the job that it will be."""

    stored: StoredCompletion
    job: JobRequest


def wants_resumable(body: dict[str, Any], header: str, wanted: Completion) -> bool:
    """Tell whether a request asks for a stream that can be resumed.

    ``header`` is ``X-Resumable``.

    Raises:
        InvalidField: it does and is no stream, or is for a thread, or says neither yes
            nor no.
    """
    named = body.get("resumable")
    if named is not None and not isinstance(named, bool):
        raise InvalidField(
            "resumable", "Invalid type for 'resumable': expected a boolean."
        )
    if header not in ("", "0", "1"):
        raise InvalidField("X-Resumable", "The header X-Resumable must be 0 or 1.")
    is_wanted = bool(named) if named is not None else header == "1"
    if is_wanted and wanted.thread_id is not None:
        raise InvalidField(
            "thread_id",
            "'thread_id' cannot go with 'resumable'. An answer that goes on without "
            "its client and is stored is a turn: send chat_message on /ws.",
            code=UNSUPPORTED,
        )
    if is_wanted and not wanted.is_stream:
        raise InvalidField(
            "resumable",
            "The 'resumable' parameter is only allowed when 'stream' is enabled.",
        )
    return is_wanted


def of_provider(
    wanted: Completion, found: Found, request: ChatRequest
) -> NewCompletion:
    """Return the completion of a provider's model. ``request`` has its messages."""
    job_id, form = new_id(), Form.of(wanted)
    node = _completion_node(found, request, choices=wanted.choices)
    job = JobRequest(
        job_id=job_id,
        graph={"nodes": [node, _form_node(job_id, form)], "edges": []},
        job_type=SHORT_LIVED,
    )
    return NewCompletion(
        stored=StoredCompletion(job_id=job_id, form=form, graph=None), job=job
    )


def one_answer(found: Found, request: ChatRequest) -> JobRequest:
    """Return the job of one answer that nobody can find again by an id."""
    node = _completion_node(found, request, choices=1)
    return JobRequest(graph={"nodes": [node], "edges": []}, job_type=SHORT_LIVED)


def of_workflow(
    wanted: Completion, workflow: WorkflowModel, params: dict[str, Any]
) -> NewCompletion:
    """Return the completion that a workflow's run makes."""
    job_id, form = new_id(), Form.of(wanted)
    text = bytes(workflow.graph).decode()
    graph = msgspec.json.decode(text)
    graph["nodes"] = [*graph["nodes"], _form_node(job_id, form)]
    job = JobRequest(
        job_id=job_id,
        workflow_id=workflow.id,
        graph=graph,
        params=params,
        job_type=SHORT_LIVED,
    )
    return NewCompletion(
        stored=StoredCompletion(job_id=job_id, form=form, graph=text), job=job
    )


async def find_completion(owner_id: str, completion_id: str) -> StoredCompletion:
    """Return a completion of the caller's.

    Raises:
        CompletionNotFound: there is none, or it is over for more than an hour.
    """
    found = None
    job_id = completion_id.removeprefix(PREFIX)
    if job_id != completion_id and _is_job_id(job_id):
        found = await db(_read, owner_id, job_id)
    if found is None:
        raise CompletionNotFound(completion_id)
    return found


async def stop_completion(owner_id: str, completion_id: str) -> StoredCompletion:
    """End a completion; one that has ended stays as it is.

    Raises:
        CompletionNotFound: there is none.
    """
    found = await find_completion(owner_id, completion_id)
    with contextlib.suppress(JobNotFound):  # it has ended, or ends already
        await services.cancel_job(owner_id, found.job_id)
    return found


async def start(owner_id: str, new: NewCompletion) -> JobState:
    """Create the job of a completion; raises as ``create_job``."""
    return await services.create_job(owner_id, new.job, must_start=True)


def served_tools(request: ChatRequest) -> tuple[str, ...]:
    """Return the names of the server's own tools that a request goes with.

    Empty if it says itself what is to be called: nothing, or a tool of its own.
    """
    names: tuple[str, ...] = settings.SERVER_TOOLS
    return names if request.tool_choice in (None, "auto") else ()


def _completion_node(
    found: Found, request: ChatRequest, *, choices: int
) -> dict[str, Any]:
    return {
        "id": "completion",
        "type": CompletionNode.node_type,
        "data": {
            # As a text: of its values nothing may be cleaned as those of nodes are.
            "request": msgspec.json.encode(request).decode(),
            "provider": found.access.spec.id,
            "choices": choices,
            "tools": served_tools(request),
        },
    }


def _form_node(job_id: str, form: Form) -> dict[str, Any]:
    return {
        "id": _FORM_ID + job_id,
        "type": CompletionForm.node_type,
        "data": {"form": msgspec.to_builtins(form)},
    }


class _Data(msgspec.Struct):
    form: msgspec.Raw = msgspec.Raw(b"null")


class _Node(msgspec.Struct):
    id: str = ""
    data: _Data | None = None


class _Graph(msgspec.Struct):
    nodes: list[_Node] = []


_decode_graph = msgspec.json.Decoder(_Graph).decode
_decode_form = msgspec.json.Decoder(Form).decode


def _read(owner_id: str, job_id: str) -> StoredCompletion | None:
    with connection.cursor() as cursor:
        cursor.execute(_READ, (job_id, owner_id, SHORT_LIVED))
        row = cursor.fetchone()
    if row is None:
        return None
    workflow_id, graph, finished_at = row
    if finished_at is not None and aware(finished_at) < timezone.now() - KEPT:
        return None
    form = _form_of(job_id, graph)
    if form is None:
        return None
    return StoredCompletion(
        job_id=job_id,
        form=form,
        graph=graph if workflow_id else None,
    )


def _form_of(job_id: str, graph: str) -> Form | None:
    """Return the form in a graph; None where a client has made the job by itself."""
    try:
        for node in _decode_graph(graph).nodes:
            if node.id == _FORM_ID + job_id and node.data is not None:
                return _decode_form(node.data.form)
    except msgspec.DecodeError:
        pass
    return None


def _is_job_id(text: str) -> bool:
    try:
        return bool(check_job_id(text))
    except InvalidJobRequest:
        return False
