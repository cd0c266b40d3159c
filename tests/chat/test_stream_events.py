"""The events of a stream, to the byte where it matters."""

import asyncio
import json

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

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
    Chunk(logprobs=[TOKEN]),
    Chunk(text="no", is_refusal=True),
    Chunk(text="c", tool_calls=(ToolCallDelta(0, id="1", name="f"),)),
    Chunk(finish_reason="stop"),
)


class Speaker:
    """Says ``CHUNKS``, whatever it is asked."""

    async def stream(self, request):
        for chunk in CHUNKS:
            yield chunk


class InTurns:
    """Each call speaks when those made after it have spoken."""

    def __init__(self, calls):
        self._has_spoken = [asyncio.Event() for _ in range(calls)]
        self._numbers = iter(range(calls))

    async def stream(self, request):
        number = next(self._numbers)
        for later in self._has_spoken[number + 1 :]:
            await later.wait()
        yield Chunk(text=f"call {number}")
        self._has_spoken[number].set()


@pytest.fixture
def provide(monkeypatch, transactional_db):
    User.objects.create(id="1", username="1")

    def use(provider):
        monkeypatch.setattr(registry, "make_provider", lambda *_, **__: provider)

    return use


@pytest.fixture
def speaker(provide):
    provide(Speaker())


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
        {},
        {"refusal": "no"},
        {
            "content": "c",
            "tool_calls": [{**call, "function": {"name": "f", "arguments": ""}}],
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert [choice["logprobs"] for choice in choices if choice["logprobs"]] == [
        {"content": [TOKEN], "refusal": None}
    ] * 2
    assert all(event == events[0] for event in events)
    assert events[0]["model"] == model
    assert ("usage" in events[0]) is wants_usage
    # In the order of OpenAI's own, the quick way and the other.
    assert {tuple(choice) for choice in choices} == {
        ("index", "delta", "logprobs", "finish_reason")
    }


async def test_e10_an_event_is_one_line_to_every_client(speaker):
    lines = await events_of(model="fake/é\u2028", n=2)

    assert len(lines) == 20
    assert all(len(line.decode().splitlines()) == 1 for line in lines)


async def test_c01_choices_begin_in_order_whoever_speaks_first(provide):
    provide(InTurns(3))

    lines = await events_of(model="fake/x", n=3)

    state = ChatCompletionStreamState()
    for line in lines:
        chunk = ChatCompletionChunk.model_validate_json(line.removeprefix(b"data: "))
        list(state.handle_chunk(chunk))
    found = state.get_final_completion().choices
    assert [choice.index for choice in found] == [0, 1, 2]
    assert [choice.message.content for choice in found] == [
        "call 0", "call 1", "call 2",
    ]  # fmt: skip


async def test_c01_o5_a_call_without_arguments_has_none_in_json(provide):
    class Bare:
        async def stream(self, request):
            for index, name in enumerate("ab"):
                piece = ToolCallDelta(index, id=name, name=name)
                yield Chunk(tool_calls=(piece,))
            for piece in ('{"x":1}', ""):
                yield Chunk(tool_calls=(ToolCallDelta(0, arguments=piece),))

    provide(Bare())

    lines = await events_of(model="fake/x")
    body = {"model": "fake/x", "messages": [{"role": "user", "content": "hi"}]}
    whole = (await HttpUser().post(PATH, body)).json

    said = ["", ""]
    for line in lines:
        delta = json.loads(line.removeprefix(b"data: "))["choices"][0]["delta"]
        for call in delta.get("tool_calls", ()):
            said[call["index"]] += call["function"]["arguments"]
    calls = whole["choices"][0]["message"]["tool_calls"]
    assert said == [call["function"]["arguments"] for call in calls]
    assert said == ['{"x":1}', "{}"]
