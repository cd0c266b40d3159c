"""Z-04: what names somebody else's object in passing leads to none of it.

Alice owns; bob names her ids in filters, cursors, bodies, params and graphs of his own.
Nothing that he is told, and no link in it, holds a row or a byte of hers.
"""

import json
import re
from typing import Any

import pytest

from nodetool_site.lib.db import db
from storage.vault import set_secret
from tests.authorisation.model import Params
from tests.authorisation.objects import (
    canary,
    job,
    live_job,
    must,
    thread,
    version,
    version_of_public,
    workflow,
)
from tests.authorisation.people import Socket
from tests.authorisation.rows import ALL, SOCKET_ROWS
from tests.authorisation.rows.storage import file
from tests.jobs import graphs
from tests.workflows.graphs import request_body

pytestmark = pytest.mark.django_db(transaction=True)

HERS = canary("alice")
SAID = {"role": "user", "content": "hi", "model": "fake/echo", "user_id": "alice"}
LINK = re.compile(r"/storage/[^\"'\s\\]+")


@pytest.fixture
async def hers(world) -> Params:
    """What alice has: each kind of object, under the names of path parameters."""
    made: Params = {}
    for kind in (job, file, thread):
        made |= await world.make(kind, "alice")
    live = await world.make(live_job, "alice")
    return {**made, "live_id": live["job_id"]}


@pytest.fixture
def bob(world):
    return world.people["bob"]


async def assert_nothing_of_hers(bob, text: str, *, asked: str, hers: Params) -> None:
    """Neither her word, nor an id that he did not name, nor a link to her bytes."""
    assert HERS not in text, asked
    for name, value in hers.items():
        assert value not in text or value in asked, (asked, name)
    for link in LINK.findall(text):
        answer = await bob.request("GET", link.replace("&amp;", "&"))
        assert HERS.encode() not in answer.body, (asked, link)


LISTS = [
    "/api/jobs?workflow_id={workflow_id}",
    "/api/jobs?workflow_id={workflow_id}&status=completed",
    "/api/jobs?status=running",
    "/api/jobs?limit=500",
    "/api/jobs/running/all?workflow_id={workflow_id}",
    "/api/workflows?limit=500",
    "/api/workflows?columns=name,description,graph",
    "/api/workflows/names",
    "/api/workflows/tools?limit=500",
    "/api/workflows/public?limit=500",
    "/api/workflows/examples/search?query=canary",
    "/api/jobs/{job_id}/events?after=0",
    "/api/jobs/{job_id}/events?after=3&limit=1",
    "/api/threads?limit=500",
    "/api/threads?limit=500&reverse=true",
    "/api/messages?thread_id={thread_id}",
]


async def test_z04_filters_and_searches_find_none_of_hers(world, bob, hers):
    for path in LISTS:
        target = path.format(**hers)
        answer = await bob.request("GET", target)

        assert answer.status in (200, 404), target
        await assert_nothing_of_hers(bob, answer.body.decode(), asked=target, hers=hers)


async def test_z04_naming_another_user_changes_no_answer(world, bob, hers):
    """A3: the credential alone decides, whatever query and headers claim."""
    claims = "user_id=alice&owner=alice&owner_id=alice&user=alice"
    for row in ALL:
        if row.method != "GET" or row.is_public:
            continue
        made = await world.make(row.of, "alice")
        target = row.target(made)
        joint = "&" if "?" in target else "?"
        answer = await bob.request(
            "GET",
            f"{target}{joint}{claims}",
            x_user_id="alice",
            x_forwarded_user="alice",
        )

        assert answer.status == row.other, target
        assert HERS not in answer.body.decode(), target


async def cursor_of(world, path: str, name: str, word: str) -> str:
    """Where the first page of alice's list ends."""
    answer = await must(world.people["alice"], "GET", f"{path}{word}=1")
    assert answer[name], path
    return str(answer[name])


@pytest.mark.parametrize(
    ("path", "size", "out", "into"),
    [
        ("/api/workflows?", "limit", "next", "cursor"),
        ("/api/workflows/tools?", "limit", "next", "cursor"),
        ("/api/jobs?", "limit", "next_start_key", "start_key"),
        ("/api/jobs?", "limit", "next", "cursor"),
        ("/api/threads?", "limit", "next", "cursor"),
    ],
)
async def test_z04_a_cursor_of_hers_leads_on_in_his_own_list(
    world, bob, hers, path, size, out, into
):
    for owner in ("alice", "bob", "alice"):
        word = canary(owner)
        await must(
            world.people[owner],
            "POST",
            "/api/workflows",
            request_body(word, run_mode="tool", tool_name=word),
        )
        await world.make(job, owner)
        await world.make(thread, owner)
    cursor = await cursor_of(world, path, out, size)

    answer = await bob.request("GET", f"{path}{into}={cursor}")

    assert answer.status == 200
    await assert_nothing_of_hers(bob, answer.body.decode(), asked=path, hers=hers)


async def test_z04_a_run_of_his_takes_nothing_of_hers(world, bob, hers):
    own = await world.make(workflow, "bob")
    path = f"/api/workflows/{own['workflow_id']}/run"
    taken = {"params": {}, "job_id": hers["job_id"]}
    for body in (taken, {**taken, "job_id": hers["live_id"]}):
        for way in ("", "/stream"):
            answer = await bob.request("POST", path + way, body)

            assert answer.status == 409
            asked = body["job_id"]
            text = answer.body.decode()
            await assert_nothing_of_hers(bob, text, asked=asked, hers=hers)
    events = {"last_event_id": f"{hers['job_id']}:1"}
    attached = await bob.request("POST", f"{path}/stream", {"params": {}}, **events)
    assert attached.status == 404
    replayed = await bob.request("GET", f"/api/jobs/{hers['job_id']}/stream", **events)
    assert replayed.status == 404


def references(hers: Params) -> list[Any]:
    """Every way to say "this file of hers" in a value."""
    key, asset_id = hers["key"], hers["asset_id"]
    links = [f"asset://{key}", f"/storage/assets/{key}", f"/storage/{key}"]
    links.append(f"http://127.0.0.1:7777/storage/assets/{key}")
    return [
        *({"type": "text", "uri": link} for link in links),
        *({"type": "image", "uri": link, "asset_id": asset_id} for link in links),
        {"type": "text", "uri": "", "asset_id": asset_id},
        {"type": "document", "asset_id": asset_id, "data": None},
        {"type": "large_value", "uri": links[0]},
        f"asset://{key}",
    ]


async def test_z04_references_in_messages_open_none_of_her_files(bob, hers):
    """Neither to who reads them nor to the model that answers them."""
    asked = str(hers)
    async with Socket(bob.token, "/chat") as socket:
        for reference in references(hers):
            part = {"type": "image_url", "image": reference}
            content = [{"type": "text", "text": "hi"}, part]
            body = {"role": "user", "content": content}
            said = await must(bob, "POST", "/api/messages", body)
            path = f"/api/messages?thread_id={said['thread_id']}"
            answer = await bob.request("GET", path)
            socket.send({**body, "model": "fake/echo", "thread_id": "his"})
            frames = [await socket.receive()]
            while frames[-1].get("type") != "chunk" or not frames[-1]["done"]:
                frames.append(await socket.receive())

            for text in (answer.body.decode(), json.dumps(frames)):
                await assert_nothing_of_hers(bob, text, asked=asked, hers=hers)


async def test_z04_references_in_params_and_graphs_open_none_of_her_files(
    world, bob, hers
):
    """Wherever they stand, what comes out has no byte, and no link that opens one."""
    graph = {
        "nodes": [
            graphs.node("in", "nodetool.input.StringInput", name="prompt", value=""),
            graphs.node("held", "nodetool.constant.List", value=references(hers)),
            graphs.node(
                "made", "nodetool.constant.Dict", value={"of": references(hers)}
            ),
            graphs.output("given", "o1"),
            graphs.output("held", "o2"),
            graphs.output("made", "o3"),
        ],
        "edges": [
            graphs.edge("in", "o1"),
            graphs.edge("held", "o2"),
            graphs.edge("made", "o3"),
        ],
    }
    asked = str(hers)
    for reference in references(hers):
        own = await world.make(workflow, "bob")
        path = f"/api/workflows/{own['workflow_id']}/run"
        body = {"params": {"prompt": reference}, "graph": graph}
        answer = await bob.request("POST", path, body)
        await assert_nothing_of_hers(bob, answer.body.decode(), asked=asked, hers=hers)
        job_id = answer.json["job_id"]
        for rest in ("", "/events", "/stream"):
            told = await bob.request("GET", f"/api/jobs/{job_id}{rest}")
            text = told.body.decode()
            await assert_nothing_of_hers(bob, text, asked=asked, hers=hers)


FRAMES: list[tuple[str, dict[str, Any]]] = [
    ("list_assets", {"parent_id": "alice"}),
    ("list_assets", {"job_id": "{job_id}"}),
    ("list_assets", {"workflow_id": "{workflow_id}"}),
    ("list_assets", {"content_type": "text"}),
    ("list_assets", {"user_id": "alice", "page_size": 500}),
    ("get_asset", {"id": "{asset_id}", "user_id": "alice"}),
    ("get_asset", {"id": "{key}"}),
    ("list_workflows", {"limit": 500, "user_id": "alice"}),
    ("get_workflow", {"id": "{workflow_id}", "user_id": "alice"}),
    ("get_status", {"user_id": "alice"}),
    ("get_status", {"job_id": "{live_id}", "workflow_id": "{workflow_id}"}),
    ("reconnect_job", {"job_id": "{live_id}", "last_seq": 0}),
    ("reconnect_job", {"job_id": "{job_id}", "workflow_id": "{workflow_id}"}),
    ("run_job", {"workflow_id": "{workflow_id}", "user_id": "alice"}),
    ("run_job", {"workflow_id": "{workflow_id}", "graph": graphs.hello()}),
    ("run_job", {"job_id": "{live_id}", "graph": graphs.hello()}),
    ("run_job", {"job_id": "{job_id}", "graph": graphs.hello()}),
    ("stream_input", {"job_id": "{live_id}", "input": "items", "value": HERS[:3]}),
    ("cancel_job", {"job_id": "{live_id}", "user_id": "alice"}),
    ("stop", {"job_id": "{live_id}", "user_id": "alice"}),
    ("stop", {"thread_id": "{thread_id}", "user_id": "alice"}),
    ("chat_message", {"thread_id": "{thread_id}", **SAID}),
    ("chat_message", {"thread_id": "his", "workflow_id": "{workflow_id}", **SAID}),
    ("chat_message", {"thread_id": "his", "id": "{message_id}", **SAID}),
]


async def test_z04_frames_that_name_her_ids_are_told_nothing(world, bob, hers):
    async with Socket(bob.token) as socket:
        for command, data in FRAMES:
            filled = {
                name: value.format(**hers) if isinstance(value, str) else value
                for name, value in data.items()
            }
            frames = await socket.ask(command, filled)
            frames += await socket.silence(0.05)
            text = str(frames)
            # His own run, under a label of hers, is his own; its frames name the label.
            await assert_nothing_of_hers(bob, text, asked=str(filled), hers=hers)
        status = await socket.ask("get_status", {"job_id": hers["live_id"]})
        assert "not_found" in str(status)
    answer = await world.people["alice"].request("GET", f"/api/jobs/{hers['live_id']}")
    assert answer.json["status"] == "running"


async def test_z04_a_label_of_hers_on_his_run_tells_neither_of_the_other(
    world, bob, hers
):
    """``workflow_id`` beside a graph is a label: hers gives his run no name of hers."""
    async with Socket(bob.token) as socket:
        data = {"workflow_id": hers["workflow_id"], "graph": graphs.hello()}
        assert '"completed"' in await socket.ask_until("run_job", data, '"completed"')
    mine = (await bob.request("GET", "/api/jobs")).json["jobs"]
    assert len(mine) == 1
    assert HERS not in str(mine)
    path = f"/api/jobs?workflow_id={hers['workflow_id']}"
    found = (await world.people["alice"].request("GET", path)).json["jobs"]
    assert mine[0]["id"] not in str(found)


async def test_e12_an_idle_socket_hears_nothing_of_anybody_else(world, bob):
    """Every command and every route once by alice; bob's sockets stay silent."""
    async with Socket(bob.token) as idle, Socket(bob.token) as other:
        await idle.ask("ping", {})
        await other.ask("get_status", {})
        async with Socket(world.people["alice"].token) as busy:
            for row in SOCKET_ROWS["/ws"]:
                params = await world.make(row.of, "alice")
                await busy.ask_until(row.command, row.sent(params), row.owner)
        for row in ALL:
            params = await world.make(row.of, "alice")
            await world.people["alice"].request(
                row.method, row.target(params), row.sent(params), **row.headers
            )

        assert await idle.silence(0.1) == []
        assert await other.silence(0) == []


async def test_z04_a_version_is_reached_through_its_own_workflow_alone(world, bob):
    """Neither through one of his, nor by her through another of hers."""
    made = await world.make(version, "alice")
    for owner in ("bob", "alice"):
        other = await world.make(version_of_public, owner)
        path = f"/api/workflows/{other['workflow_id']}/versions"
        asker = world.people[owner]
        await must(asker, "DELETE", f"{path}/{other['version_id']}")
        for method, rest in (
            ("GET", f"/{made['version']}"),
            ("GET", f"/{made['version']}/diff"),
            ("GET", f"/{made['version_id']}"),
            ("POST", f"/{made['version']}/restore"),
            ("POST", f"/{made['version_id']}/restore"),
            ("DELETE", f"/{made['version_id']}"),
        ):
            answer = await asker.request(method, path + rest)

            assert answer.status == 404, (owner, method, rest)
            assert HERS not in answer.body.decode() or owner == "alice"
    path = f"/api/workflows/{made['workflow_id']}/versions"
    kept = await must(world.people["alice"], "GET", path)
    assert [found["id"] for found in kept["versions"]] == [made["version_id"]]


async def test_z04_a_run_is_given_secrets_of_its_owner_alone(world, bob):
    """Whoever's workflow it is; a handle from a run of hers is a text in his."""
    await db(set_secret, "alice", "KEY", HERS)
    graph = {
        "nodes": [
            graphs.node("secret", "lib.secret.GetSecret", name="KEY", default="none"),
            graphs.node("length", "nodetool.text.Length"),
            graphs.output("got", "o1"),
            graphs.output("length", "o2"),
        ],
        "edges": [
            graphs.edge("secret", "o1"),
            graphs.edge("secret", "length", "text"),
            graphs.edge("length", "o2"),
        ],
    }
    wanted = request_body("shared", access="public", graph=graph)
    shared = await must(world.people["alice"], "POST", "/api/workflows", wanted)
    path = f"/api/workflows/{shared['id']}/run"

    hers = (await must(world.people["alice"], "POST", path, {"params": {}}))["outputs"]
    his = (await must(bob, "POST", path, {"params": {}}))["outputs"]

    assert hers["length"] > len("none")
    assert HERS not in str(hers)
    assert his == {"got": "none", "length": len("none")}
    echo = {"params": {"prompt": hers["got"]}, "graph": graphs.hello()}
    assert HERS not in str(await must(bob, "POST", path, echo))


async def test_z04_a_workflow_inside_his_is_his_or_public(world, bob):
    """As a node of his graph, and as a tool of his agent."""
    alice = world.people["alice"]
    fields = {"run_mode": "tool", "tool_name": "hers", "graph": graphs.hello()}
    private = request_body("private", **fields)
    hers = await must(alice, "POST", "/api/workflows", private)
    model = {"type": "language_model", "provider": "fake", "id": "fake/echo"}
    tools = [{"type": "tool_name", "name": "hers"}]
    kind = "nodetool.workflows.workflow_node.Workflow"
    inside = graphs.node("in", kind, workflow_id=hers["id"])
    agent = graphs.node(
        "in", "nodetool.agents.Agent", model=model, prompt="Hi", tools=tools
    )
    own = await world.make(workflow, "bob")
    path = f"/api/workflows/{own['workflow_id']}/run"

    for node, reason in (
        (inside, f"There is no workflow '{hers['id']}'"),
        (agent, "There is no tool 'hers'"),
    ):
        body = {"params": {}, "graph": {"nodes": [node], "edges": []}}
        answer = await bob.request("POST", path, body)

        assert answer.status == 500
        assert reason in answer.json["error"]
        events = await must(bob, "GET", f"/api/jobs/{answer.json['job_id']}/events")
        assert HERS not in str(events)


async def test_z04_no_node_and_no_completion_reads_or_adds_to_her_thread(
    world, bob, hers
):
    model = {"type": "language_model", "provider": "fake", "id": "fake/echo"}
    thread_id = hers["thread_id"]
    own = await world.make(workflow, "bob")
    path = f"/api/workflows/{own['workflow_id']}/run"

    for kind, data, reason in (
        (
            "nodetool.agents.Agent",
            {"model": model, "prompt": "Hi", "thread_id": thread_id},
            "Thread not found",
        ),
        ("nodetool.agents.CreateThread", {"thread_id": thread_id}, "Thread not found"),
        (
            "nodetool.chat.Turn",
            {"model": "fake/echo", "thread_id": thread_id},
            "There is nothing to answer",
        ),
    ):
        node = graphs.node("in", kind, **data)
        body = {"params": {}, "graph": {"nodes": [node], "edges": []}}
        answer = await bob.request("POST", path, body)

        assert answer.status == 500, kind
        assert reason in answer.json["error"]
        events = await must(bob, "GET", f"/api/jobs/{answer.json['job_id']}/events")
        assert HERS not in str(events)
    hi = [{"role": "user", "content": "Hi"}]
    body = {"model": "fake/echo", "messages": hi, "thread_id": thread_id}
    answer = await bob.request("POST", "/v1/chat/completions", body)
    assert answer.status == 404
    assert HERS not in str(answer.json)
    rest = f"/api/messages?thread_id={thread_id}"
    messages = await must(world.people["alice"], "GET", rest)
    assert "Hi" not in [each["content"] for each in messages["messages"]]
