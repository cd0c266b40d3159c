"""Threads and messages over HTTP."""

import json
from datetime import datetime

import pytest

from chat import reads
from chat.documents import MessageFields, read_message
from chat.services import post_message
from nodetool_site.lib import pagination
from nodetool_site.lib.db import db

pytestmark = pytest.mark.django_db(transaction=True)

THREAD_FIELDS = {"id", "user_id", "title", "created_at", "updated_at", "etag"}
MESSAGE_FIELDS = {
    "type", "id", "thread_id", "workflow_id", "graph", "tools", "tool_call_id", "role",
    "name", "content", "tool_calls", "collections", "input_files", "output_files",
    "created_at", "provider", "model", "agent_mode", "help_mode", "agent_execution_id",
    "execution_event_type", "workflow_target", "thinking", "error",
}  # fmt: skip


async def new_thread(user, title=None) -> str:
    return (await user.post("/api/threads/", {"title": title})).json["id"]


async def say(user, thread_id, content, role="user", **fields):
    body = {"thread_id": thread_id, "role": role, "content": content, **fields}
    answer = await user.post("/api/messages/", body)
    assert answer.status == 200, answer.body
    return answer.json


async def messages_of(user, thread_id, query=""):
    answer = await user.get(f"/api/messages/?thread_id={thread_id}{query}")
    assert answer.status == 200, answer.body
    return answer.json


async def test_a_thread_is_made_read_named_and_deleted(me):
    made = (await me.post("/api/threads/", {})).json
    assert set(made) == THREAD_FIELDS
    assert made["title"] == "New Thread"
    assert made["user_id"] == "1"
    path = f"/api/threads/{made['id']}"
    assert (await me.get(path)).json == {**made, "job_id": None}

    named = (await me.request("PUT", path, {"title": "Tea"})).json

    assert named["title"] == "Tea"
    assert named["etag"] != made["etag"]
    assert datetime.fromisoformat(named["updated_at"]).utcoffset() is not None
    said = await say(me, made["id"], "hi")
    gone = await me.request("DELETE", path)
    assert (gone.status, gone.json) == (200, None)
    assert (await me.get(path)).status == 404
    assert (await me.get(f"/api/messages/{said['id']}")).status == 404


async def test_threads_are_listed_in_the_order_of_creation_and_against_it(me):
    ids = [await new_thread(me, str(n)) for n in range(5)]

    for query, wanted in (("", ids), ("&reverse=true", ids[::-1])):
        pages, cursor = [], ""
        while cursor is not None:
            path = f"/api/threads/?limit=2{query}&cursor={cursor}"
            page = (await me.get(path)).json
            pages.append([thread["id"] for thread in page["threads"]])
            cursor = page["next"]

        assert pages == [wanted[:2], wanted[2:4], wanted[4:]]


async def test_a_page_of_threads_has_ten_by_default(me):
    for _ in range(11):
        await new_thread(me)

    page = (await me.get("/api/threads/")).json

    assert len(page["threads"]) == 10
    assert page["next"]


async def test_a_message_has_every_field_and_stands_in_its_thread(me):
    thread_id = await new_thread(me)

    said = await say(me, thread_id, "grüße", model="m", tools=["search"])

    assert set(said) == MESSAGE_FIELDS
    assert said["type"] == "message"
    assert (said["thread_id"], said["role"], said["content"]) == (
        thread_id,
        "user",
        "grüße",
    )
    assert (said["model"], said["tools"], said["graph"]) == ("m", ["search"], None)
    assert (await me.get(f"/api/messages/{said['id']}")).json == said
    assert await messages_of(me, thread_id) == {"next": None, "messages": [said]}


async def test_messages_are_listed_from_either_end(me):
    thread_id = await new_thread(me)
    ids = [(await say(me, thread_id, str(n)))["id"] for n in range(5)]

    for query, wanted in (("", ids), ("&reverse=true", ids[::-1])):
        pages, cursor = [], ""
        while cursor is not None:
            page = await messages_of(me, thread_id, f"&limit=2{query}&cursor={cursor}")
            pages.append([message["id"] for message in page["messages"]])
            cursor = page["next"]

        assert pages == [wanted[:2], wanted[2:4], wanted[4:]]


async def test_a_page_of_messages_is_bounded_by_its_bytes(me, monkeypatch):
    thread_id = await new_thread(me)
    for text in ("a" * 2000, "b" * 2000, "c" * 9000):
        await say(me, thread_id, text)
    monkeypatch.setattr(pagination, "MAX_PAGE_BYTES", 6000)

    first = await messages_of(me, thread_id)
    second = await messages_of(me, thread_id, f"&cursor={first['next']}")

    assert [m["content"][0] for m in first["messages"]] == ["a", "b"]
    assert [m["content"][0] for m in second["messages"]] == ["c"]
    assert second["next"] is None
    history = await db(reads.read_history, "1", thread_id)
    assert [json.loads(text)["content"][0] for text in history] == ["c"]


async def test_a_message_without_a_thread_makes_one(me):
    said = await say(me, None, "hi")

    thread = (await me.get(f"/api/threads/{said['thread_id']}")).json
    assert thread["title"] == "New Thread"


async def test_a_message_moves_its_thread_on(me):
    thread_id = await new_thread(me)
    before = (await me.get(f"/api/threads/{thread_id}")).json

    said = await say(me, thread_id, "hi")

    after = (await me.get(f"/api/threads/{thread_id}")).json
    assert after["updated_at"] == said["created_at"] > before["updated_at"]


async def test_what_no_database_keeps_is_kept_out(me):
    thread_id = await new_thread(me)

    said = await say(me, thread_id, [{"type": "text", "text": "x\x00y"}])

    assert said["content"] == [{"type": "text", "text": "x\ufffdy"}]
    assert (await me.post("/api/threads", {"title": "a\x00b"})).status == 422


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": "hi"}, "role"),
        ({"role": "nobody", "content": "hi"}, "role"),
        ({"role": "user", "content": 7}, "content"),
        ({"role": "user", "content": "hi", "tools": [1]}, "tools"),
        ({"role": "user", "content": ["hi"]}, "content"),
        ({"role": "user", "content": "hi", "thread_id": 7}, "thread_id"),
    ],
)
async def test_a_message_of_the_wrong_shape_is_refused_with_its_field(me, body, field):
    answer = await me.post("/api/messages/", body)

    assert answer.status == 422
    assert field in answer.body.decode()


async def test_messages_are_asked_for_with_their_thread(me):
    assert (await me.get("/api/messages/")).status == 400
    assert (await me.get("/api/messages/?thread_id=unknown")).status == 404
    assert (await me.get("/api/messages/?thread_id=%00")).status == 404
    assert (await me.get("/api/messages/unknown")).status == 404


@pytest.mark.parametrize("cursor", ["x", "W10", "WyJhIiwiYiJd", "Wy0xXQ"])
async def test_cursors_of_nobody_are_refused(me, cursor):
    thread_id = await new_thread(me)

    threads = await me.get(f"/api/threads/?cursor={cursor}")
    messages = await me.get(f"/api/messages/?thread_id={thread_id}&cursor={cursor}")

    assert (threads.status, messages.status) == (400, 400)


async def test_charlie_finds_nothing_of_alice(users):
    alice, charlie = users["alice"], users["charlie"]
    thread_id = await new_thread(alice, "hers")
    said = await say(alice, thread_id, "secret")

    path = f"/api/threads/{thread_id}"
    body = {"thread_id": thread_id, "role": "user", "content": "mine"}
    for answer in (
        await charlie.get(path),
        await charlie.request("PUT", path, {"title": "his"}),
        await charlie.request("DELETE", path),
        await charlie.post(f"{path}/summarize", {"model": "fake/echo"}),
        await charlie.get(f"/api/messages/?thread_id={thread_id}"),
        await charlie.get(f"/api/messages/{said['id']}"),
        await charlie.post("/api/messages/", body),
    ):
        assert answer.status == 404
    assert (await charlie.get("/api/threads/")).json["threads"] == []
    assert await messages_of(alice, thread_id) == {"next": None, "messages": [said]}


async def test_a_model_names_a_thread_in_sixty_characters(me):
    thread_id = await new_thread(me)
    await say(me, thread_id, "How do I make tea?")
    path = f"/api/threads/{thread_id}/summarize"

    named = (await me.post(path, {"provider": "fake", "model": "fake"})).json

    assert named["title"] == "Hello! This is a fake answer, made without any model."
    script = json.dumps({"text": f' "{"Tea " * 30}" \n'})
    body = {"provider": "fake", "model": "scripted", "content": script}
    long = (await me.post(path, body)).json["title"]
    # The model is told more than the script, so it says all of that.
    assert len(long) <= 60
    assert "\n" not in long


async def test_a_model_that_fails_leaves_the_title(me):
    thread_id = await new_thread(me, "Tea")
    path = f"/api/threads/{thread_id}/summarize"

    unknown = await me.post(path, {"provider": "nobody", "model": "x"})
    failed = await me.post(path, {"provider": "fake", "model": "nothing"})

    assert unknown.status == 400
    assert failed.status == 502
    assert (await me.get(f"/api/threads/{thread_id}")).json["title"] == "Tea"


async def test_the_history_of_a_run_ends_with_the_message_that_is_asked_for(me):
    thread_id = await new_thread(me)
    for n in range(103):
        fields = read_message({"role": "user", "content": str(n)})
        last = await db(post_message, "1", fields, thread_id)
        if n == 101:
            until = last.pk

    async def contents(until=None, owner_id="1"):
        texts = await db(reads.read_history, owner_id, thread_id, until)
        return [json.loads(text)["content"] for text in texts]

    assert await contents() == [str(n) for n in range(3, 103)]
    assert await contents(until) == [str(n) for n in range(2, 102)]
    assert await contents("unknown") == []
    assert await contents(owner_id="2") == []


async def test_a_long_history_keeps_its_instructions(me):
    thread_id = await new_thread(me)
    first = [("system", f"rule {n}") for n in range(12)]
    rest = [("user" if n % 2 == 0 else "assistant", str(n)) for n in range(100)]
    for role, content in (*first, *rest):
        await db(
            post_message, "1", MessageFields(role=role, content=content), thread_id
        )

    texts = await db(reads.read_history, "1", thread_id)

    told = [(m["role"], m["content"]) for m in map(json.loads, texts)]
    assert told == [*first[2:], *rest[10:]]
