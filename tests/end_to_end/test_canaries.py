"""S-01: twenty canaries are stored and used, and searched for wherever anything is."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator

import aiohttp

from tests.end_to_end.canaries import (
    Search,
    look_behind,
    monitored,
    new_canary,
    process_list,
)
from tests.end_to_end.client import ApiClient
from tests.end_to_end.graphs import edge, node, output
from tests.end_to_end.server import ServerProcess

REGISTERED = (
    "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY",
    "MISTRAL_API_KEY", "OPENROUTER_API_KEY", "TOGETHER_API_KEY", "HF_TOKEN",
)  # fmt: skip
OF_ENVIRONMENT = ("REPLICATE_API_TOKEN", "FAL_API_KEY")
STORE = """
import json, sys, django
django.setup()
from storage.vault import set_secret
for name, value in json.load(sys.stdin).items():
    set_secret("1", name, value)
"""
OWN = tuple(f"OWN_{number}" for number in range(10))


def graphs_of(name: str) -> Iterator[dict]:
    """What people do with a secret in a graph, and what goes wrong there."""

    def using(kind: str, handle: str, out: str = "output", **data) -> dict:
        return {
            "nodes": [
                node("get", "lib.secret.GetSecret", name=name),
                node("use", kind, **data),
                output(),
            ],
            "edges": [edge("get", "use", handle), edge("use", "out", output=out)],
        }

    yield {
        "nodes": [node("get", "lib.secret.GetSecret", name=name), output()],
        "edges": [edge("get", "out")],
    }
    yield using("nodetool.text.Concat", "a", b=" and more")
    yield using("nodetool.text.Split", "text", delimiter="-")
    yield using("nodetool.text.ToUppercase", "text")
    yield using("nodetool.text.Concat", "a", b="x" * 300_000)
    template = "{{ text }} {{ text | reverse }}"
    yield using("nodetool.text.FormatText", "text", template=template)
    yield using("demo.StreamText", "text", out="chunk", chunk_size=5)
    yield using("demo.Fail", "message")
    yield using("nodetool.text.RegexReplace", "pattern", text="x")


async def test_s01_no_secret_ever_comes_out(new_server):
    canaries = {
        name: new_canary(number)
        for number, name in enumerate((*REGISTERED, *OF_ENVIRONMENT, *OWN))
    }
    assert len(canaries) == 20
    server: ServerProcess = new_server(
        env={
            "LOG_LEVEL": "debug",
            **{name: canaries[name].replace("\n", "-") for name in OF_ENVIRONMENT},
        },
        args=["--verbose"],
    )
    for name in OF_ENVIRONMENT:
        canaries[name] = canaries[name].replace("\n", "-")
    search = Search(canaries)

    with monitored(server) as seen:
        await everything(server, canaries, search)
        search.look("process list", process_list())
        await asyncio.sleep(0.2)
    look_behind(server, search, seen)

    assert not search.hits
    assert len(search.places) > 40


async def everything(server, canaries, search) -> None:
    """Store every canary, use each in several graphs, and look at every answer."""
    async with ApiClient(server.base_url) as api:
        for name in REGISTERED:
            await store_over_rest(api, search, name, canaries[name])
        for name in OWN[:3]:
            done = server.cli("secrets", "store", name, "--stdin", stdin=canaries[name])
            assert done.code == 0, done.err
            search.look("nodetool secrets store", done.out + done.err)
        store_at_once(server, {name: canaries[name] for name in OWN[3:]})
        shown = await api.get("/api/settings/secrets/OPENAI_API_KEY?decrypt=true")
        found = Search(canaries)
        found.look("where it is asked for", shown.content)
        # Shown to whoever asks for it; so the search finds what is there.
        assert found.hits == ["OPENAI_API_KEY in where it is asked for"]
        # Every graph with one canary over every surface, and every canary in one graph.
        for graph in graphs_of("OPENAI_API_KEY"):
            await run_everywhere(api, search, graph)
        for number, name in enumerate(canaries):
            graphs = list(graphs_of(name))
            workflow = await api.create_workflow(graphs[number % len(graphs)])
            ended = await api.run(workflow["id"])
            assert ended.json["status"] in ("completed", "failed"), ended.content
            search.look(f"run with {name}", ended.content)
        await read_everything(api, search)
        await read_admin(server, search)
    for words in (
        ["secrets", "list"],
        ["secrets", "list", "--json"],
        ["secrets", "get", "OWN_1", "--json"],
        ["settings", "show"],
        ["jobs", "list", "--json"],
        ["secrets", "rotate"],
        ["secrets", "delete", "OWN_9", "--yes"],
    ):
        done = server.cli(*words)
        assert done.code == 0, done.err
        search.look(f"nodetool {' '.join(words)}", done.out + done.err)


def store_at_once(server: ServerProcess, values: dict[str, str]) -> None:
    """What the command does, without a process for each."""
    done = subprocess.run(
        [sys.executable, "-c", STORE],
        env={**server.env, "DJANGO_SETTINGS_MODULE": "nodetool_site.settings"},
        input=json.dumps(values),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


async def store_over_rest(api, search, name: str, value: str) -> None:
    path = f"/api/settings/secrets/{name}"
    for body in ({"value": [value]}, {"value": value, "description": {"a": value}}):
        refused = await api.request("PUT", path, json=body)
        assert refused.status == 422
        search.look(f"PUT {path} refused", refused.content)
    raw = ('{"value": "' + value.replace("\n", "") + '"').encode()
    broken = await api.request(
        "PUT", path, data=raw, headers={"Content-Type": "application/json"}
    )
    assert broken.status == 400
    search.look("PUT broken JSON", broken.content)
    stored = await api.request("PUT", path, json={"value": value})
    assert stored.status == 200, stored.content
    search.look(f"PUT {path}", stored.content)
    change = {"secrets": {name: value}, "settings": {name: value}}
    refused = await api.request("PUT", "/api/settings/", json=change)
    assert refused.status == 422
    search.look("PUT /api/settings/ refused", refused.content)


async def run_everywhere(api, search, graph: dict) -> None:
    workflow = await api.create_workflow(graph)
    blocking = await api.run(workflow["id"])
    assert blocking.json["status"] in ("completed", "failed"), blocking.content
    search.look("blocking run", blocking.content)
    search.look("stream", json.dumps(await api.run_stream(workflow["id"])))
    for encoding in ("text", "binary"):
        async with api.socket(encoding=encoding) as socket:
            events = await socket.run(workflow_id=workflow["id"], params={})
            search.look(f"socket {encoding}", json.dumps(events))
    job_id = events[0]["job_id"]
    search.look("job", json.dumps(await api.job(job_id)))
    search.look("events", json.dumps(await api.events(job_id)))


async def read_everything(api, search) -> None:
    for path in (
        "/api/settings/", "/api/settings/secrets", "/api/settings/secrets/HF_TOKEN",
        "/api/settings/secrets/OWN_1", "/api/schema/", "/api/docs/", "/api/jobs/",
        "/api/workflows/", "/api/nodes/metadata", "/api/assets", "/ready", "/health",
        "/", "/api/tokens",
    ):  # fmt: skip
        answer = await api.get(path)
        assert answer.status == 200, path
        search.look(f"GET {path}", answer.content + str(answer.headers).encode())


async def read_admin(server, search) -> None:
    """Sign in with the password of the first start, and look at every list and form."""
    line = next(line for line in server.log().splitlines() if "password" in line)
    password = line.partition("password ")[2].split()[0]
    jar = aiohttp.CookieJar(unsafe=True)
    base = f"{server.base_url}/admin"
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        await session.get(f"{base}/login/")
        csrf = next(c.value for c in jar if c.key == "csrftoken")
        form = {
            "username": "admin",
            "password": password,
            "csrfmiddlewaretoken": csrf,
            "next": "/admin/",
        }
        headers = {"Referer": f"{base}/login/"}
        signed = await session.post(f"{base}/login/", data=form, headers=headers)
        assert signed.url.path == "/admin/", await signed.text()
        for page in (
            "", "storage/secret/", "storage/secret/1/change/", "storage/secret/add/",
            "storage/secret/1/history/", "storage/secret/1/delete/", "jobs/job/",
            "workflows/workflow/", "storage/user/", "storage/apitoken/",
        ):  # fmt: skip
            answer = await session.get(f"{base}/{page}")
            assert answer.status == 200, page
            search.look(f"admin {page}", await answer.read())
