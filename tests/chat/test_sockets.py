"""Chats over sockets: which frames come, in which order, and what is kept."""

import asyncio
import json

import pytest
from django.db import OperationalError

from chat import socket_turns
from chat.models import OpenTurn
from nodetool_site.lib.db import db
from storage.api_tokens import issue_token
from storage.models import User
from tests.authorisation.people import Socket
from tests.jobs import graphs
from tests.jobs.graphs import save

pytestmark = pytest.mark.django_db(transaction=True)

CHUNK_FIELDS = {
    "type", "node_id", "thread_id", "workflow_id", "content_type", "content",
    "content_metadata", "done", "thinking",
}  # fmt: skip
SLOW = json.dumps({"text": "0123456789" * 200, "delay_s": 0.02})
NOTHING_MORE_S = 0.1


@pytest.fixture
async def ws(me):
    return Socket(path="/ws")


@pytest.fixture
async def chat(me):
    return Socket(path="/chat")


def said(content, model="fake/echo", **fields):
    return {"role": "user", "content": content, "model": model, **fields}


def command(name, request_id=None, **data):
    return {"command": name, "data": data, "request_id": request_id}


async def until(socket, kind, **fields):
    """Every frame up to the first of a type with these members."""
    frames = []
    async with asyncio.timeout(30):
        while True:
            frames.append(await socket.receive())
            last = frames[-1]
            is_it = last.get("type") == kind
            if is_it and all(last.get(name) == fields[name] for name in fields):
                return frames


def text_of(frames):
    """What the chunks say together."""
    return "".join(
        frame["content"]
        for frame in frames
        if frame.get("type") == "chunk" and not frame["thinking"]
    )


def kinds(frames):
    """The types of frames, with repeated chunks as one."""
    found = []
    for frame in frames:
        kind = frame.get("type")
        kind = "done" if kind == "chunk" and frame["done"] else kind
        if kind != "chunk" or found[-1:] != ["chunk"]:
            found.append(kind)
    return found


async def contents(user, thread_id):
    answer = await user.get(f"/api/messages?thread_id={thread_id}")
    return [(m["role"], m["content"]) for m in answer.json["messages"]]


async def test_w10_the_chunks_of_a_turn_make_the_message_that_is_stored(me, chat):
    async with chat:
        chat.send(said("Hello there, how are you?"))
        frames = await until(chat, "message")
        assert await chat.silence(NOTHING_MORE_S) == []

    assert kinds(frames) == ["chunk", "done", "message"]
    message = frames[-1]
    thread_id = message["thread_id"]
    assert text_of(frames) == message["content"] == "Hello there, how are you?"
    for chunk in frames[:-1]:
        assert set(chunk) == CHUNK_FIELDS
        assert (chunk["thread_id"], chunk["workflow_id"]) == (thread_id, None)
        assert chunk["node_id"] is None
    assert frames[-2]["content"] == ""
    assert (await me.get(f"/api/messages/{message['id']}")).json == message
    assert await contents(me, thread_id) == [
        ("user", "Hello there, how are you?"),
        ("assistant", "Hello there, how are you?"),
    ]


async def test_a_connection_of_chat_is_one_thread(me, chat):
    async with chat:
        chat.send(said(json.dumps([{"text": "one"}, {"text": "two"}]), "fake/scripted"))
        first = (await until(chat, "message"))[-1]
        chat.send({"command": "chat_message", "data": said("more", "fake/scripted")})
        second = (await until(chat, "message"))[-1]
        chat.send(said("elsewhere", thread_id="my-own"))
        third = (await until(chat, "message"))[-1]
        chat.send(said("back"))
        fourth = (await until(chat, "message"))[-1]

    assert second["thread_id"] == first["thread_id"] == fourth["thread_id"]
    assert (first["content"], second["content"]) == ("one", "two")
    assert third["thread_id"] == "my-own"


async def test_the_address_may_name_thread_and_workflow(me):
    workflow_id = await db(save, graphs.hello())
    query = f"thread_id=t7&workflow_id={workflow_id}"
    async with Socket(path="/chat", query=query) as chat:
        chat.send(said("World"))
        message = (await until(chat, "message"))[-1]

    assert (message["thread_id"], message["workflow_id"]) == ("t7", workflow_id)


async def test_a_ping_is_answered_during_a_turn(chat):
    async with chat:
        chat.send(said(SLOW, "fake/scripted"))
        await until(chat, "chunk")
        chat.send({"type": "ping"})
        frames = await until(chat, "pong")

    assert not any(frame.get("done") for frame in frames)


async def test_w11_a_second_message_ends_the_first_and_both_are_stored(me, chat):
    async with chat:
        chat.send(said(SLOW, "fake/scripted"))
        first = await until(chat, "chunk")
        chat.send(said("bye"))
        first += await until(chat, "message")
        second = await until(chat, "message")

    assert kinds(first) == ["chunk", "done", "message"]
    assert kinds(second) == ["chunk", "done", "message"]
    half = text_of(first)
    assert half
    assert first[-1]["content"] == half
    assert second[-1]["content"] == "bye"
    assert await contents(me, first[-1]["thread_id"]) == [
        ("user", SLOW),
        ("assistant", half),
        ("user", "bye"),
        ("assistant", "bye"),
    ]


@pytest.mark.parametrize("frame", [{"type": "stop"}, {"command": "stop"}])
async def test_a_stopped_turn_is_done_and_keeps_what_came(me, chat, frame):
    async with chat:
        chat.send(said(SLOW, "fake/scripted"))
        frames = await until(chat, "chunk")
        chat.send(frame)
        frames += await until(chat, "generation_stopped")
        assert await chat.silence(NOTHING_MORE_S) == []

    assert kinds(frames) == ["chunk", "done", "message", "generation_stopped"]
    stopped = frames[-1]
    assert stopped["thread_id"] == frames[0]["thread_id"]
    assert stopped["message"] == "Generation stopped by user"
    assert (await contents(me, stopped["thread_id"]))[1][1] == text_of(frames)


async def test_stop_without_a_turn_says_so_too(chat):
    async with chat:
        chat.send({"type": "stop"})

        stopped = await chat.receive()

    assert stopped["type"] == "generation_stopped"
    assert (stopped["job_id"], stopped["thread_id"]) == (None, None)


async def test_a_socket_that_goes_leaves_its_turn_running(me):
    async with Socket(path="/chat") as socket:
        script = json.dumps({"text": "0123456789" * 20, "delay_s": 0.01})
        socket.send(said(script, "fake/scripted"))
        thread_id = (await until(socket, "chunk"))[-1]["thread_id"]

    async with asyncio.timeout(30):
        while await db(OpenTurn.objects.exists):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.02)
    assert (await contents(me, thread_id))[1] == ("assistant", "0123456789" * 20)


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (said(""), "content is required"),
        ({"role": "user"}, "content is required"),
        (said("hi", role="assistant"), "role must be"),
        (said("hi", tools="all"), "tools"),
        (said("hi", thread_id="not an id"), "thread_id"),
        (said("hi", thread_id=5), "thread_id must be a string"),
        (said([{"type": "text", "text": ""}]), "content is required"),
        (said("hi", "workflow:unknown"), "Workflow not found"),
        (said("hi", workflow_id="unknown"), "Workflow not found"),
    ],
)
async def test_what_is_no_turn_ends_like_one(chat, frame, error):
    async with chat:
        chat.send(frame)
        first, second = await chat.receive(), await chat.receive()
        chat.send({"type": "ping"})
        pong = await chat.receive()

    assert first["type"] == "error"
    assert error in first["message"] == first["error"]
    assert first["error_type"] == "invalid_request"
    assert first["workflow_id"] is None
    assert kinds([second]) == ["done"]
    assert pong["type"] == "pong"


async def test_a_turn_that_the_database_breaks_ends_like_one(chat, monkeypatch, caplog):
    async def break_down(*_):
        raise OperationalError("no database")

    monkeypatch.setattr(socket_turns, "start_turn", break_down)
    async with chat:
        chat.send(said("hi"))
        frames = [await chat.receive(), await chat.receive()]

    assert kinds(frames) == ["error", "done"]
    assert frames[0]["error_type"] == "internal"
    assert "database" not in frames[0]["message"]
    assert "no database" in caplog.text


async def test_a_system_message_is_kept_and_not_answered(me, chat):
    async with chat:
        chat.send(said("be kind", role="system"))
        chat.send(said("hi"))
        message = (await until(chat, "message"))[-1]

    assert (await contents(me, message["thread_id"]))[0] == ("system", "be kind")


@pytest.mark.parametrize(
    ("model", "kind", "status"),
    [
        # Nobody was asked, so nobody has given a status.
        ("nothing/at-all", "model_not_found", None),
        ("fake/scripted", "rate_limit", 429),
    ],
)
async def test_a_model_that_fails_is_an_error_and_the_end_of_the_turn(
    chat, model, kind, status
):
    script = json.dumps({"text": "x", "error": {"status": 429, "message": "no"}})
    async with chat:
        chat.send(said(script, model))
        frames = await until(chat, "chunk", done=True)
        assert await chat.silence(NOTHING_MORE_S) == []

    assert kinds(frames) == ["error", "done"]
    error = frames[0]
    assert (error["error_type"], error["status_code"]) == (kind, status)
    assert error["thread_id"] == frames[1]["thread_id"]
    assert {"job_id", "job_seq", "ts"}.isdisjoint(error)


async def test_chat_refuses_other_commands_and_frames(chat):
    async with chat:
        chat.send({"command": "run_job", "data": {}})
        unknown = await chat.receive()
        chat.send({"what": 1})
        no_role = await chat.receive()
        chat.send([1])
        no_object = await chat.receive()
        chat._in.put_nowait({"type": "websocket.receive", "text": "{"})
        no_json = await chat.receive()
        chat.send({"type": "pong"})
        chat.send({"type": "ping"})
        assert (await chat.receive())["type"] == "pong"

    assert unknown == {
        "error": "Unknown command",
        "command": "run_job",
        "request_id": None,
    } or unknown == {"error": "Unknown command", "command": "run_job"}
    for frame in (no_role, no_object, no_json):
        assert (frame["type"], frame["error"]) == ("error", "invalid_message")


async def test_ws_replies_before_the_turn(me, ws):
    async with ws:
        ws.send(command("chat_message", "r1", **said("hello"), thread_id="t1"))
        frames = await until(ws, "message")
        job_id = frames[0]["job_id"]
        assert await ws.silence(NOTHING_MORE_S) == []
        assert frames[0] == {
            "message": "Chat message processing started",
            "thread_id": "t1",
            "job_id": job_id,
            "request_id": "r1",
        }
        assert kinds(frames[1:]) == ["chunk", "done", "message"]
    job = (await me.get(f"/api/jobs/{job_id}")).json
    assert (job["status"], job["job_type"]) == ("completed", "chat")


async def test_a_message_sent_again_on_another_socket_is_told_from_its_start(me, ws):
    again = command("chat_message", **said("hello"), thread_id="t1", id="m1")
    async with ws, Socket(path="/ws") as other:
        ws.send(again)
        first = await until(ws, "message")
        ws.send(again)
        here = await until(ws, "message")
        other.send(again)
        elsewhere = await until(other, "message")

        assert first == here == elsewhere
        other.send(command("chat_message", **said("else"), thread_id="t1", id="m1"))
        refused = await other.receive()
    assert refused["error"] == "The id of this message is already used"
    assert await contents(me, "t1") == [("user", "hello"), ("assistant", "hello")]


async def test_ws_stops_a_turn_by_its_thread_or_its_job(ws):
    async with ws:
        for by in ("thread_id", "job_id"):
            message = said(SLOW, "fake/scripted")
            ws.send(command("chat_message", **message, thread_id=f"by-{by}"))
            frames = await until(ws, "chunk")
            reply = frames.pop(0)
            ws.send(command("stop", **{by: reply[by]}))
            frames += await until(ws, "generation_stopped")
            last = await ws.receive()

            assert kinds(frames) == ["chunk", "done", "message", "generation_stopped"]
            assert last["message"] == "Stop command processed"
            assert last["job_id"] == reply["job_id"]


async def test_ws_stops_any_job_and_nothing_at_all(me, ws):
    async with ws:
        ws.send(command("stop"))
        assert "job_id or thread_id is required" in (await ws.receive())["error"]
        ws.send(command("stop", thread_id="nothing"))
        assert (await ws.receive())["type"] == "generation_stopped"
        assert await ws.receive() == {
            "message": "Stop command processed",
            "job_id": None,
            "thread_id": "nothing",
        }
        graph = graphs.slow_streamed_input()
        ws.send(command("run_job", graph=graph, job_id="slow"))
        await until(ws, "node_update")
        ws.send(command("stop", job_id="slow"))
        frames = await until(ws, "job_update", status="cancelled")

    assert "generation_stopped" in kinds(frames)


async def test_ws_asks_for_a_thread_but_not_of_a_bare_message(ws):
    async with ws:
        ws.send(command("chat_message", **said("hi")))
        error = (await ws.receive())["error"]
        assert error == "thread_id is required for chat_message command"
        ws.send(command("chat_message", **said(""), thread_id="t1"))
        assert (await ws.receive())["error"] == "content is required"
        ws.send(command("chat_message", **said("hi", tools=1), thread_id="t1"))
        refused = await ws.receive()
        assert refused["error"] == "invalid_command"
        assert "tools" in refused["details"]
        ws.send(said("bare"))
        reply = await ws.receive()
        assert reply["message"] == "Chat message processing started"
        message = (await until(ws, "message"))[-1]
        assert message["thread_id"] == reply["thread_id"]


async def test_a_turn_is_no_run_that_input_could_be_streamed_to(ws):
    async with ws:
        message = said(SLOW, "fake/scripted")
        ws.send(command("chat_message", **message, thread_id="t1"))
        await until(ws, "chunk")
        ws.send(command("stream_input", input="x", value=1, request_id="r"))
        async with asyncio.timeout(30):
            while "error" not in (frame := await ws.receive()):
                pass

    assert frame["error"] == "No active job/context"


async def test_users_see_nothing_of_each_other(users):
    tokens = {}
    for name in ("alice", "bob"):
        tokens[name] = await db(issue_token, name, name="socket")
    alice, bob = (Socket(tokens[name][1], "/chat") for name in ("alice", "bob"))
    async with alice, bob:
        alice.send(said(SLOW, "fake/scripted", thread_id="hers"))
        await until(alice, "chunk")
        bob.send(said("hi", thread_id="hers"))
        refused = await bob.receive()
        await bob.receive()
        bob.send({"type": "stop", "thread_id": "hers"})
        stopped = await bob.receive()
        assert await bob.silence(NOTHING_MORE_S) == []
        assert (await alice.receive())["type"] == "chunk"

    assert refused["message"] == "Thread not found"
    assert stopped["job_id"] is None
    assert len(await contents(users["alice"], "hers")) == 1


async def test_a_workflow_tells_its_job_and_answers_with_its_texts(me, chat):
    workflow_id = await db(save, graphs.hello())
    async with chat:
        chat.send(said("World", workflow_id=workflow_id))
        frames = await until(chat, "message")

    job = [frame for frame in frames if "job_id" in frame]
    assert [frame["job_seq"] for frame in job] == list(range(1, len(job) + 1))
    assert [f["status"] for f in job if f["type"] == "job_update"] == [
        "running",
        "completed",
    ]
    assert kinds(frames)[-3:] == ["job_update", "done", "message"]
    assert "World" in text_of(frames)
    assert frames[-1]["content"] == text_of(frames)
    assert frames[-1]["workflow_id"] == workflow_id
    stored = (await me.get(f"/api/messages/{frames[-1]['id']}")).json
    assert stored == frames[-1]


async def test_a_workflow_that_streams_is_told_in_chunks(chat):
    graph = {
        "nodes": [
            graphs.node("s", "demo.StreamText", text="one two three"),
            graphs.output(),
        ],
        "edges": [graphs.edge("s", "out", output="chunk")],
    }
    async with chat:
        chat.send(said("x", workflow_id="any", graph=graph))
        frames = await until(chat, "message")

    chunks = [frame for frame in frames if frame["type"] == "chunk"]
    assert len(chunks) > 2
    assert [chunk["done"] for chunk in chunks].count(True) == 1
    assert text_of(frames) == frames[-1]["content"] == "one two three"


async def test_what_is_no_text_is_told_at_the_end_and_files_go_with_the_message(
    me, chat
):
    picture = {"type": "image", "uri": "asset://a.png", "asset_id": "a"}
    graph = {
        "nodes": [
            graphs.node("n", "nodetool.constant.Integer", value=42),
            graphs.node("p", "nodetool.constant.Image", value=picture),
            graphs.output("number", "out-n"),
            graphs.output("picture", "out-p"),
        ],
        "edges": [graphs.edge("n", "out-n"), graphs.edge("p", "out-p")],
    }
    async with chat:
        chat.send(said("x", workflow_id="any", graph=graph))
        frames = await until(chat, "message")

    message = frames[-1]
    assert kinds(frames)[-4:] == ["chunk", "job_update", "done", "message"]
    assert text_of(frames) == message["content"] == "42"
    [file] = message["output_files"]
    assert file["asset_id"] == "a"
    assert "/storage/" in file["uri"]
    stored = (await me.get(f"/api/messages/{message['id']}")).json
    assert "/storage/" in stored["output_files"][0]["uri"]


async def test_a_workflow_that_fails_ends_the_turn(chat):
    graph = {"nodes": [graphs.node("n", "no.such.Type")], "edges": []}
    async with chat:
        chat.send(said("x", workflow_id="any", graph=graph))
        frames = await until(chat, "chunk", done=True)

    assert kinds(frames)[-3:] == ["job_update", "error", "done"]
    assert "no.such.Type" in frames[-2]["message"]


@pytest.mark.parametrize("path", ["/chat", "/ws/chat"])
@pytest.mark.parametrize(
    ("token", "reason"),
    [("", "Missing authentication"), ("wrong", "Invalid authentication")],
)
async def test_chat_closes_for_strangers(users, path, token, reason):
    async with Socket(token, path) as socket:
        closed = await socket.receive()

    assert closed == {"code": 1008, "reason": reason}


async def test_scopes_count(me, settings):
    settings.AUTH_PROVIDER = "multi_user"
    await db(User.objects.create, id="carol", username="carol")
    _, token = await db(issue_token, "carol", name="t", scopes=["read"])
    async with Socket(token, "/ws") as socket:
        socket.send(command("chat_message", **said("hi"), thread_id="t1"))
        refused = await socket.receive()
        socket.send({"type": "tool_result", "tool_call_id": "x"})
        other = await socket.receive()

    assert "scope 'run'" in refused["error"]
    assert "scope 'run'" in other["error"]


# --- tools of the client

TOOL = {"name": "where", "description": "Where the user is.", "parameters": {}}
MANIFEST = {"type": "client_tools_manifest", "tools": [TOOL]}
ASKS = json.dumps(
    [{"tool_calls": [{"name": "where", "arguments": {"exact": True}}]}, {"text": "Oh."}]
)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"result": {"city": "Rome"}, "ok": True}, "Rome"),
        ({"result": None, "ok": False, "error": "GPS is off"}, "GPS is off"),
        ({"error": {"message": "GPS is off"}}, '{"message":"GPS is off"}'),
    ],
)
async def test_a_tool_of_the_client_is_called_and_its_answer_told(
    me, chat, answer, told
):
    async with chat:
        chat.send(MANIFEST)
        chat.send(said(ASKS, "fake/scripted"))
        frames = await until(chat, "tool_call")
        call = frames[-1]
        assert (call["name"], call["args"]) == ("where", {"exact": True})
        chat.send({"type": "tool_result", "tool_call_id": "nobody's", "result": 1})
        result = {"type": "tool_result", "tool_call_id": call["tool_call_id"]}
        chat.send({**result, **answer})
        frames += await until(chat, "message", content="Oh.")

    assert kinds(frames) == [
        "tool_call_update",
        "tool_call",
        "message",
        "message",
        "chunk",
        "done",
        "message",
    ]
    asked, result, final = (f for f in frames if f["type"] == "message")
    assert asked["tool_calls"][0]["name"] == "where"
    assert (result["role"], result["tool_call_id"]) == ("tool", call["tool_call_id"])
    assert told in result["content"]
    thread_id = final["thread_id"]
    assert {frame["thread_id"] for frame in frames} == {thread_id}
    stored = (await me.get(f"/api/messages?thread_id={thread_id}")).json["messages"]
    assert stored[1:] == [asked, result, final]


async def test_another_socket_answers_for_the_client_by_the_job(me, ws):
    async with ws, Socket(path="/ws") as other:
        ws.send(MANIFEST)
        message = said(ASKS, "fake/scripted")
        ws.send(command("chat_message", **message, thread_id="t1"))
        frames = await until(ws, "tool_call")
        result = {"type": "tool_result", "result": "here"}
        result["tool_call_id"] = frames[-1]["tool_call_id"]
        other.send({**result, "job_id": frames[0]["job_id"]})
        frames += await until(ws, "message", content="Oh.")

    assert "here" in (await contents(me, "t1"))[2][1]


@pytest.mark.parametrize(
    "tools", [None, "all", [{}], [{"name": 1}], [TOOL] * 129, [{"name": "x" * 2**20}]]
)
async def test_a_manifest_of_the_wrong_shape_changes_nothing(chat, tools):
    async with chat:
        chat.send(MANIFEST)
        chat.send({"type": "client_tools_manifest", "tools": tools})
        refused = await chat.receive()
        chat.send(said(ASKS, "fake/scripted"))
        await until(chat, "tool_call")

    assert refused["error"] == "invalid_message"


async def test_the_calls_of_two_threads_are_told_apart(chat):
    async with chat:
        chat.send(MANIFEST)
        asked = {}
        for thread_id in ("t1", "t2"):
            chat.send(said(ASKS, "fake/scripted", thread_id=thread_id))
            asked[thread_id] = (await until(chat, "tool_call"))[-1]
        for thread_id in ("t2", "t1"):
            call = asked[thread_id]["tool_call_id"]
            result = {"type": "tool_result", "tool_call_id": call, "result": 1}
            chat.send({**result, "thread_id": thread_id})
            last = (await until(chat, "message", content="Oh."))[-1]
            assert last["thread_id"] == thread_id
