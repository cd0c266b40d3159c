"""Streams of completions that are cut and resumed, in both modes.

``STREAM_CUTS=100`` cuts a hundred streams, each at a place of its own.
"""

import asyncio
import json
import os
import random

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from tests.end_to_end.client import ApiClient
from tests.end_to_end.graphs import edge, node, output, text_input
from tests.end_to_end.test_openai_client import client_of, script
from tests.jobs.http_client import parse_sse

CUTS = int(os.environ.get("STREAM_CUTS", "6"))
PATH = "/v1/chat/completions"
TEXT = "".join(f"word {number} ünïcode 中, " for number in range(60))
END = "data: [DONE]\n\n"


def asked(text=TEXT, *, delay_s=0.002, **fields):
    step = {"text": text, "delay_s": delay_s}
    return {
        "model": "fake/scripted",
        "messages": script(step),
        "stream": True,
        "resumable": True,
        **fields,
    }


def telling(delay_s=0.002):
    """A workflow that tells the text it is given in pieces."""
    return {
        "nodes": [
            text_input("message"),
            node("s", "demo.StreamText", chunk_size=10, delay_seconds=delay_s),
            output(),
        ],
        "edges": [edge("in", "s", "text"), edge("s", "out", output="text")],
    }


async def telling_model(api):
    return f"workflow:{(await api.create_workflow(telling()))['id']}"


def text_of(data):
    """The text of a stream; every number is there, and once."""
    events = parse_sse(data).events
    assert [event.id for event in events] == [str(n + 1) for n in range(len(events))]
    choices = [c for event in events[:-1] for c in event.json["choices"]]
    return "".join(choice["delta"].get("content", "") for choice in choices)


def whole_events(data):
    """What has come whole, without what was cut off in the middle."""
    return data[: data.rfind(b"\n\n") + 2] if b"\n\n" in data else b""


async def read_some(response, count):
    """At least ``count`` bytes, or all."""
    data = b""
    while len(data) < count and (piece := await response.content.readany()):
        data += piece
    return data


class Cutter:
    """A client whose connection breaks every now and then."""

    def __init__(self, api, seed):
        self.session = api.session
        self.base_url = api.base_url
        self.random = random.Random(seed)
        self.cuts = 0

    async def read(self, body):
        """The whole stream, from as many connections as it takes."""
        async with self.session.post(self.base_url + PATH, json=body) as reply:
            completion_id = reply.headers["X-Completion-Id"]
            data = whole_events(await self._piece(reply))
        while not data.endswith(END.encode()):
            self.cuts += 1
            events = parse_sse(data).events
            headers = {"Last-Event-ID": events[-1].id} if events else {}
            url = f"{self.base_url}{PATH}/{completion_id}/stream"
            async with self.session.get(url, headers=headers) as reply:
                assert reply.status == 200, await reply.text()
                data += whole_events(await self._piece(reply))
        return completion_id, data

    async def _piece(self, reply):
        data = await read_some(reply, self.random.randrange(1, 12_000))
        if reply.content.at_eof():
            return data
        reply.close()
        return data[: self.random.randrange(len(data) + 1)]


@pytest.mark.parametrize("kind", ["provider", "workflow"])
async def test_e11_a_stream_that_is_cut_anywhere_is_the_same_stream(api, kind):
    if kind == "provider":
        body = asked()
    else:
        said = [{"role": "user", "content": TEXT}]
        body = asked(model=await telling_model(api), messages=said)

    cut = 0
    for seed in range(CUTS):
        cutter = Cutter(api, f"{kind} {seed}")
        completion_id, data = await cutter.read(body)
        cut += cutter.cuts
        again = await api.get(f"{PATH}/{completion_id}/stream")
        assert text_of(data) == TEXT
        assert again.content == data

    assert cut > CUTS / 2


async def test_two_readers_at_once_see_the_same(api):
    async with api.session.post(api.base_url + PATH, json=asked()) as first:
        url = f"{api.base_url}{PATH}/{first.headers['X-Completion-Id']}/stream"
        async with api.session.get(url) as second:
            both = await asyncio.gather(first.read(), second.read())

    assert both[0] == both[1]
    assert text_of(both[0]) == TEXT


async def test_openai_s_own_client_resumes(server):
    def events_of(client, **options):
        return client.get(
            f"/chat/completions/{completion_id}/stream",
            cast_to=ChatCompletionChunk,
            stream=True,
            stream_cls=openai.Stream[ChatCompletionChunk],
            options=options,
        )

    def said(stream):
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    def journey():
        nonlocal completion_id
        body = {k: v for k, v in asked().items() if k != "resumable"}
        with client_of(server) as client:
            raw = client.chat.completions.with_raw_response.create(
                **body, extra_body={"resumable": True}
            )
            completion_id = raw.headers["X-Completion-Id"]
            stream = raw.parse()
            begin = said(next(stream) for _ in range(5))
            stream.close()
            rest = said(events_of(client, headers={"Last-Event-ID": "5"}))
            deleted = client.chat.completions.delete(completion_id)
            with pytest.raises(openai.NotFoundError) as raised:
                client.chat.completions.delete("chatcmpl-none")
        return begin, rest, deleted, raised.value

    completion_id = ""
    begin, rest, deleted, error = await asyncio.to_thread(journey)

    assert begin + rest == TEXT
    assert (deleted.id, deleted.deleted) == (completion_id, True)
    assert error.code == "not_found"


async def test_a_stopped_completion_ends_for_all_its_readers(api):
    body = asked("x" * 10_000, delay_s=0.05)
    async with api.session.post(api.base_url + PATH, json=body) as reply:
        await read_some(reply, 1)
        completion_id = reply.headers["X-Completion-Id"]
        stopped = await api.request("DELETE", f"{PATH}/{completion_id}")
        async with asyncio.timeout(20):
            rest = await reply.read()

    job = await api.wait_for_job(completion_id.removeprefix("chatcmpl-"))
    assert stopped.status == 200
    assert b'"code":"cancelled"' in rest
    assert rest.endswith(END.encode())
    assert job["status"] == "cancelled"


async def test_c02_a_restart_in_the_middle_ends_the_stream_in_words(fresh_server):
    async with ApiClient(fresh_server.base_url) as api:
        body = asked("x" * 10_000, delay_s=0.05)
        async with api.session.post(api.base_url + PATH, json=body) as reply:
            seen = whole_events(await read_some(reply, 1_000))
            completion_id = reply.headers["X-Completion-Id"]
            await asyncio.to_thread(fresh_server.kill9)
    await asyncio.to_thread(fresh_server.restart)

    async with ApiClient(fresh_server.base_url) as api:
        last = parse_sse(seen).events[-1].id
        path = f"{api.base_url}{PATH}/{completion_id}/stream"
        async with asyncio.timeout(40):
            async with api.session.get(path, headers={"Last-Event-ID": last}) as reply:
                rest = await reply.read()

    *_, error, done = parse_sse(rest).events
    assert rest.startswith(f"id: {int(last) + 1}\n".encode())
    assert json.loads(error.data)["error"]["code"] == "internal_error"
    assert "Worker lost" in json.loads(error.data)["error"]["message"]
    assert done.data == "[DONE]"
