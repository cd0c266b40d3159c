"""The events of a stream, to the byte where it matters."""

import json

import pytest

from storage.models import User
from tests.jobs.http_client import HttpUser
from workflows.providers import registry
from workflows.providers.messages import Chunk, ToolCallDelta

PATH = "/v1/chat/completions"
AWKWARD = 'say "content":"" \\ \n\r\0 \u2028\u2029\u0085 \N{GRINNING FACE} é'
TOKEN = {"token": "b", "logprob": -0.5, "bytes": [98], "top_logprobs": []}
CHUNKS = (
    Chunk(text="a"),
    Chunk(text=AWKWARD),
    Chunk(text="b", logprobs=[TOKEN]),
    Chunk(reasoning="hm"),
    Chunk(),
    Chunk(text="c", tool_calls=(ToolCallDelta(0, id="1", name="f"),)),
    Chunk(finish_reason="stop"),
)


class Speaker:
    """Says ``CHUNKS``, whatever it is asked."""

    async def stream(self, request):
        for chunk in CHUNKS:
            yield chunk


@pytest.fixture
def speaker(monkeypatch, transactional_db):
    User.objects.create(id="1", username="1")
    monkeypatch.setattr(registry, "make_provider", lambda *_, **__: Speaker())


async def events_of(**body):
    hello = [{"role": "user", "content": "hi"}]
    body = {"messages": hello, "stream": True, **body}
    answer = await HttpUser().post(PATH, body)
    *lines, end, nothing = answer.body.split(b"\n\n")
    assert (end, nothing) == (b"data: [DONE]", b"")
    return lines


@pytest.mark.parametrize("wants_usage", [False, True])
async def test_each_chunk_is_an_event_of_the_same_form(speaker, wants_usage):
    model = 'fake/"content":"" é\u2028'
    lines = await events_of(model=model, stream_options={"include_usage": wants_usage})

    events = [json.loads(line.removeprefix(b"data: ")) for line in lines]
    if wants_usage:
        assert events.pop()["usage"]["total_tokens"]
    choices = [event.pop("choices")[0] for event in events]
    deltas = [choice["delta"] for choice in choices]
    call = {"index": 0, "id": "1", "type": "function"}
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {"content": AWKWARD},
        {"content": "b"},
        {"reasoning_content": "hm"},
        {
            "content": "c",
            "tool_calls": [{**call, "function": {"name": "f", "arguments": ""}}],
        },
        {},
    ]
    assert [choice["logprobs"] for choice in choices if choice["logprobs"]] == [
        {"content": [TOKEN], "refusal": None}
    ]
    assert all(event == events[0] for event in events)
    assert events[0]["model"] == model
    assert ("usage" in events[0]) is wants_usage
    # In the order of OpenAI's own, the quick way and the other.
    assert {tuple(choice) for choice in choices} == {
        ("index", "delta", "logprobs", "finish_reason")
    }


async def test_e10_an_event_is_one_line_to_every_client(speaker):
    lines = await events_of(model="fake/é\u2028", n=2)

    assert len(lines) == 14
    assert all(len(line.decode().splitlines()) == 1 for line in lines)
