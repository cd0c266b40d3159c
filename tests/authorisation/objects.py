"""Objects of a user, made as the user would: over the API.

Whatever text they hold contains the user's canary: nobody else's answer may have it.
"""

import asyncio

from nodetool_site.lib.db import db
from storage.vault import set_secret
from tests.authorisation.model import Caller, Params
from tests.jobs import graphs
from tests.workflows.graphs import request_body


def canary(user_id: str) -> str:
    """The word that stands in everything that a user keeps."""
    return f"canary-of-{user_id}"


async def must(owner: Caller, method: str, target: str, body=None, **headers: str):
    """Send a request that has to succeed; its JSON."""
    answer = await owner.request(method, target, body, **headers)
    assert answer.status in (200, 201, 202), (method, target, answer.body)
    return answer.json


async def workflow(owner: Caller, *, word: str = "", **fields) -> Params:
    """A private workflow."""
    word = word or canary(owner.id)
    body = request_body(word, description=word, graph=graphs.hello(), **fields)
    return {"workflow_id": (await must(owner, "POST", "/api/workflows", body))["id"]}


async def public_workflow(owner: Caller) -> Params:
    """A workflow that everybody may read and run, without the canary therefore."""
    return await workflow(owner, word=f"public, of {owner.id}", access="public")


async def workflow_with_app(owner: Caller) -> Params:
    """A workflow that has a page."""
    return await workflow(owner, html_app=canary(owner.id))


async def tool(owner: Caller) -> Params:
    """A workflow that a model may call."""
    return await workflow(owner, run_mode="tool", tool_name=canary(owner.id))


async def job(owner: Caller) -> Params:
    """A job that has ended, of a workflow of the owner's."""
    made = await workflow(owner)
    body = {"params": {"prompt": canary(owner.id)}}
    path = f"/api/workflows/{made['workflow_id']}/run"
    return {**made, "job_id": (await must(owner, "POST", path, body))["job_id"]}


async def live_job(owner: Caller) -> Params:
    """A job that runs until somebody ends it, with the open input ``items``."""
    made = await workflow(owner)
    graph = graphs.slow_streamed_input()
    for found in graph["nodes"]:
        if found["id"] == "slow":
            found["data"]["seconds_per_step"] = 1
    body = {
        "params": {"prompt": canary(owner.id)},
        "graph": graph,
        "background": True,
    }
    path = f"/api/workflows/{made['workflow_id']}/run"
    job_id = (await must(owner, "POST", path, body))["job_id"]
    await until_running(owner, job_id)
    return {**made, "job_id": job_id}


async def paused_job(owner: Caller) -> Params:
    """A job that its owner has paused."""
    made = await live_job(owner)
    await must(owner, "POST", f"/api/jobs/{made['job_id']}/pause")
    return made


async def until_running(owner: Caller, job_id: str) -> None:
    """Wait until somebody holds the job and its first nodes have started."""
    async with asyncio.timeout(30):
        while True:
            page = await must(owner, "GET", f"/api/jobs/{job_id}/events")
            if any(event["type"] == "node_update" for event in page["events"]):
                return
            await asyncio.sleep(0.01)


async def version(owner: Caller, **fields) -> Params:
    """A version of a workflow, by its number."""
    made = await workflow(owner, **fields)
    body = {"name": canary(owner.id), "description": ""}
    path = f"/api/workflows/{made['workflow_id']}/versions"
    kept = await must(owner, "POST", path, body)
    return {**made, "version": str(kept["version"]), "version_id": kept["id"]}


async def version_of_public(owner: Caller) -> Params:
    """A version of a workflow that is public itself."""
    return await version(owner, word=f"public, of {owner.id}", access="public")


async def version_by_id(owner: Caller) -> Params:
    """A version, by its id."""
    made = await version(owner)
    return {**made, "version": made["version_id"]}


async def thread(owner: Caller) -> Params:
    """A conversation with a message."""
    word = canary(owner.id)
    made = await must(owner, "POST", "/api/threads", {"title": word})
    body = {"thread_id": made["id"], "role": "user", "content": word}
    said = await must(owner, "POST", "/api/messages", body)
    return {"thread_id": made["id"], "message_id": said["id"]}


async def token(owner: Caller) -> Params:
    """An API token."""
    made = await must(owner, "POST", "/api/tokens", {"name": canary(owner.id)})
    return {"token_id": made["id"]}


async def secret(owner: Caller) -> Params:
    """A secret of a name that only this user has."""
    key = f"KEY_OF_{owner.id.replace('-', '_')}"
    word = canary(owner.id)
    stored = await db(set_secret, owner.id, key, word, description=word)
    return {"key": key, "secret_id": str(stored.pk)}


async def provider_key(owner: Caller) -> Params:
    """The user's own key of a provider."""
    key = "OPENAI_API_KEY"
    word = canary(owner.id)
    body = {"value": word, "description": word}
    await must(owner, "PUT", f"/api/settings/secrets/{key}", body)
    return {"key": key}
