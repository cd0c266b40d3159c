"""Conversations are their owner's, and so are workflows that answer as models.

A row: method, route as in the URL table, then what differs from: owner 200, others 404,
without a credential 401.
"""

from tests.authorisation.model import Caller, Params, Row
from tests.authorisation.objects import canary, public_workflow, thread, workflow

ASKED = {
    "model": "fake/echo",
    "messages": [{"role": "user", "content": "hi"}],
}
FOR_ALL = {"other": 200, "shows": False}


async def fake_model(owner: Caller) -> Params:
    """A model that the server itself has."""
    del owner
    return {"model_id": "fake"}


async def fake_provider(owner: Caller) -> Params:
    """The provider that the server itself has, and lists that it is in."""
    del owner
    return {"kind": "embedding", "provider": "fake", "task": "language"}


SAID = {"role": "user", "content": "hi"}
THREAD = "api/threads/<thread_id>"


def said_there(params: Params) -> dict[str, str]:
    """A message for a thread."""
    return {**SAID, "thread_id": params["thread_id"]}


async def workflow_model(owner: Caller) -> Params:
    """A workflow of the owner's, as a model."""
    made = await workflow(owner)
    return {"model_id": f"workflow:{made['workflow_id']}"}


async def public_workflow_model(owner: Caller) -> Params:
    """A workflow that everybody may use as a model."""
    made = await public_workflow(owner)
    return {"model_id": f"workflow:{made['workflow_id']}"}


def ask_workflow(made: Params) -> dict[str, object]:
    return {**ASKED, "model": made["model_id"]}


async def resumable(owner: Caller) -> Params:
    """A completion that has ended and can be read again."""
    messages = [{"role": "user", "content": canary(owner.id)}]
    body = {**ASKED, "messages": messages, "stream": True, "resumable": True}
    answer = await owner.request("POST", "/v1/chat/completions", body)
    completion_id = answer.headers["x-completion-id"]
    # The last event of the completion is not yet that of its job.
    job_id = completion_id.removeprefix("chatcmpl-")
    await owner.request("GET", f"/api/jobs/{job_id}/stream")
    return {"completion_id": completion_id}


NO_COMPLETION = {"completion_id": "chatcmpl-00000000000000000000000000000000"}
NO_MODEL = {"model_id": "workflow:00000000000000000000000000000000"}
ROWS = [
    Row("GET", "api/threads", of=thread, other=200),
    Row("POST", "api/threads", body={"title": "new"}, **FOR_ALL),
    Row("GET", THREAD, of=thread),
    Row("PUT", THREAD, of=thread, body={"title": "new"}, shows=False),
    Row("DELETE", THREAD, of=thread, shows=False),
    Row("POST", f"{THREAD}/summarize", of=thread, body={"model": "fake/echo"}),
    Row("GET", "api/messages", of=thread, query="?thread_id=<thread_id>"),
    Row("POST", "api/messages", of=thread, body=said_there, shows=False),
    Row("POST", "api/messages", body=SAID, **FOR_ALL),
    Row("GET", "api/messages/<message_id>", of=thread),
    Row("POST", "v1/chat/completions", body=ASKED, **FOR_ALL),
    Row(
        "POST",
        "v1/chat/completions",
        body={**ASKED, "stream": True},
        is_stream=True,
        **FOR_ALL,
    ),
    Row(
        "POST",
        "v1/embeddings",
        body={"model": "fake/embedding", "input": "hi"},
        **FOR_ALL,
    ),
    Row("POST", "v1/responses", body={"model": "fake/echo", "input": "hi"}, **FOR_ALL),
    Row(
        "POST",
        "v1/responses",
        body={"model": "fake/echo", "input": "hi", "stream": True},
        is_stream=True,
        **FOR_ALL,
    ),
    Row(
        "GET",
        "v1/chat/completions/<completion_id>/stream",
        of=resumable,
        is_stream=True,
        unlike=NO_COMPLETION,
    ),
    Row(
        "DELETE",
        "v1/chat/completions/<completion_id>",
        of=resumable,
        shows=False,
        unlike=NO_COMPLETION,
    ),
    Row("GET", "v1/models", **FOR_ALL),
    Row("GET", "v1/models/<model_id>", of=fake_model, **FOR_ALL),
    Row("GET", "api/models/providers", **FOR_ALL),
    Row("GET", "api/models/providers", query="?all=true", **FOR_ALL),
    Row("GET", "api/models/all", **FOR_ALL),
    Row("GET", "api/models/recommended", **FOR_ALL),
    Row("GET", "api/models/recommended/<task>", of=fake_provider, **FOR_ALL),
    Row("GET", "api/models/<kind>/<provider>", of=fake_provider, **FOR_ALL),
    Row(
        "POST",
        "v1/chat/completions",
        of=workflow_model,
        body=ask_workflow,
        shows=False,
        unlike=NO_MODEL,
    ),
    Row(
        "POST",
        "v1/chat/completions",
        of=public_workflow_model,
        body=ask_workflow,
        is_public=True,
        **FOR_ALL,
    ),
    Row(
        "GET",
        "v1/models/<model_id>",
        of=workflow_model,
        shows=False,
        unlike=NO_MODEL,
    ),
]
