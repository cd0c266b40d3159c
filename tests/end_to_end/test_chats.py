"""Chats at a running server, in both modes: whole answers, whoever goes or dies."""

import asyncio
import base64
import json

import aiohttp
import msgpack
import pytest

from tests.end_to_end import graphs
from tests.end_to_end.client import ApiClient

ANSWER = "0123456789" * 30
DOT = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
SCRIPT = json.dumps({"text": ANSWER, "delay_s": 0.02})
# For who breaks in: whatever the machine does, it is not over by then.
LONG = json.dumps({"text": ANSWER, "delay_s": 0.2})


class Chat:
    """An open ``/chat`` that speaks JSON text or MessagePack."""

    def __init__(self, connection, *, is_binary=False) -> None:
        self.connection = connection
        self.is_binary = is_binary

    async def say(self, content, model="fake/echo", **fields):
        frame = {"role": "user", "content": content, "model": model, **fields}
        if self.is_binary:
            await self.connection.send_bytes(msgpack.packb(frame))
        else:
            await self.connection.send_json(frame)

    async def until(self, kind, **fields):
        """Every frame up to the first of a type with these members."""
        frames = []
        async with asyncio.timeout(30):
            while True:
                message = await self.connection.receive()
                assert (message.type is aiohttp.WSMsgType.BINARY) == self.is_binary
                frames.append(
                    msgpack.unpackb(message.data)
                    if self.is_binary
                    else json.loads(message.data)
                )
                last = frames[-1]
                if last["type"] == kind and fields.items() <= last.items():
                    return frames


def open_chat(api, path="/chat"):
    return api.session.ws_connect(api.base_url + path)


def text_of(frames):
    return "".join(f["content"] for f in frames if f["type"] == "chunk")


async def answer_in(api, thread_id):
    """The last message of a thread, once it is the assistant's."""
    async with asyncio.timeout(40):
        while True:
            path = f"/api/messages?thread_id={thread_id}&reverse=true"
            answer = await api.get(path)
            [last, *_] = answer.json["messages"]
            if last["role"] == "assistant":
                return last
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("is_binary", [False, True])
@pytest.mark.parametrize("path", ["/chat", "/chat/", "/ws/chat"])
async def test_w10_a_turn_is_its_chunks_one_done_and_the_message(api, path, is_binary):
    async with open_chat(api, path) as connection:
        chat = Chat(connection, is_binary=is_binary)
        await chat.say("How are you?")
        frames = await chat.until("message")

    chunks, message = frames[:-1], frames[-1]
    assert text_of(chunks) == message["content"] == "How are you?"
    assert [chunk["done"] for chunk in chunks].count(True) == 1
    assert chunks[-1]["done"]
    assert (await api.get(f"/api/messages/{message['id']}")).json == message


async def test_w11_a_second_message_ends_the_first_turn_and_both_are_stored(api):
    async with open_chat(api) as connection:
        chat = Chat(connection)
        await chat.say(LONG, "fake/scripted")
        first = await chat.until("chunk")
        await chat.say("bye")
        first += await chat.until("message")
        second = await chat.until("message")

    half = text_of(first)
    assert [f["done"] for f in first if f["type"] == "chunk"].count(True) == 1
    assert 0 < len(half) < len(ANSWER)
    assert (first[-1]["content"], second[-1]["content"]) == (half, "bye")
    path = f"/api/messages?thread_id={second[-1]['thread_id']}"
    stored = (await api.get(path)).json["messages"]
    assert [m["content"] for m in stored] == [LONG, half, "bye", "bye"]


async def test_a_stopped_turn_keeps_what_came(api):
    async with open_chat(api) as connection:
        chat = Chat(connection)
        await chat.say(LONG, "fake/scripted")
        frames = await chat.until("chunk")
        await connection.send_json({"type": "stop"})
        frames += await chat.until("generation_stopped")

    assert [frame["type"] for frame in frames][-2:] == ["message", "generation_stopped"]
    assert frames[-3]["done"]
    kept = await answer_in(api, frames[0]["thread_id"])
    assert kept == frames[-2]
    assert kept["content"] == text_of(frames)


async def test_a_tool_of_the_client_is_asked_and_answers(api):
    tool = {"name": "where", "description": "", "parameters": {}}
    script = [{"tool_calls": [{"name": "where", "arguments": {}}]}, {"text": "Oh."}]
    async with open_chat(api) as connection:
        chat = Chat(connection)
        await connection.send_json({"type": "client_tools_manifest", "tools": [tool]})
        await chat.say(json.dumps(script), "fake/scripted")
        call = (await chat.until("tool_call"))[-1]
        result = {"type": "tool_result", "tool_call_id": call["tool_call_id"]}
        await connection.send_json({**result, "result": "Rome", "ok": True})
        frames = await chat.until("message", content="Oh.")

    [told] = [frame for frame in frames if frame.get("role") == "tool"]
    assert "Rome" in told["content"]


@pytest.mark.parametrize("is_binary", [False, True])
async def test_a_file_may_come_along_in_the_message(api, is_binary):
    data = {
        name: content if is_binary else base64.b64encode(content).decode()
        for name, content in (("image", DOT), ("document", b" at this"))
    }
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image": {"type": "image", "data": data["image"]}},
        {
            "type": "document",
            "document": {"type": "document", "data": data["document"]},
        },
    ]
    async with open_chat(api) as connection:
        chat = Chat(connection, is_binary=is_binary)
        await chat.say(parts)
        message = (await chat.until("message"))[-1]
        await chat.say([{"type": "image_url", "image": {"data": "no base64"}}])
        refused = (await chat.until("chunk", done=True))[-2]

    assert message["content"] == "Look at this"
    assert refused["error_type"] == "invalid_request"


async def test_a_workflow_answers(api):
    workflow = await api.create_workflow(graphs.hello())
    async with open_chat(api) as connection:
        chat = Chat(connection)
        await chat.say("hi", workflow_id=workflow["id"])
        frames = await chat.until("message")

    updates = [f["status"] for f in frames if f["type"] == "job_update"]
    assert updates == ["running", "completed"]
    assert text_of(frames) == frames[-1]["content"] == "hi world"


async def test_a_socket_that_drops_leaves_its_turn_and_another_can_follow(api):
    async with open_chat(api) as connection:
        chat = Chat(connection)
        await chat.say(SCRIPT, "fake/scripted")
        thread_id = (await chat.until("chunk"))[-1]["thread_id"]
        connection._response.connection.transport.abort()
    job_id = (await api.get(f"/api/threads/{thread_id}")).json["job_id"]

    events = await follow(api, job_id)

    said = [event["content"] for event in events if event["type"] == "chunk"]
    assert "".join(said) == ANSWER
    assert (await answer_in(api, thread_id))["content"] == ANSWER
    assert (await api.get(f"/api/threads/{thread_id}")).json["job_id"] is None


async def follow(api, job_id):
    """Every event of a job, as a page that was opened anew reads them."""
    async with api.socket() as socket:
        await socket.reconnect(job_id)
        return await socket.until_end(job_id)


async def test_a_killed_server_loses_nothing_that_a_client_has_seen(fresh_server):
    async with ApiClient(fresh_server.base_url) as api:
        async with open_chat(api) as connection:
            chat = Chat(connection)
            await chat.say(LONG, "fake/scripted")
            frames = [frame for _ in range(5) for frame in await chat.until("chunk")]
            fresh_server.kill9()
        fresh_server.start()

        kept = await answer_in(api, frames[0]["thread_id"])

    seen = text_of(frames)
    assert len(seen) == 50
    assert kept["content"].startswith(seen)
    assert ANSWER.startswith(kept["content"])
