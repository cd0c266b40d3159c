"""What a request for a response may say, and what its answer amounts to."""

import base64
import json

import msgspec
import pytest

from chat.openai_api import responses_output
from chat.openai_api.errors import InvalidField
from chat.openai_api.generation import Call
from chat.openai_api.messages import Pending
from chat.openai_api.responses_output import ResponseOutput
from chat.openai_api.responses_requests import read_response
from nodetool_site.lib.db import db
from storage.models import User
from tests.chat.test_hanging_up import Endless
from tests.chat.test_workflow_models import ask, save, speaking
from tests.end_to_end.graphs import hello
from tests.jobs.graphs import failing
from tests.jobs.http_client import HttpUser
from workflows.providers import registry
from workflows.providers.base import ProviderError
from workflows.providers.messages import (
    AudioPart,
    Chunk,
    FilePart,
    ImagePart,
    NamedTool,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)

HI = {"role": "user", "content": "hi"}
CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":1}'}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "1"}
TOOL = {"type": "function", "name": "add", "parameters": {"a": 1}, "strict": True}
DATA = base64.b64encode(b"bytes").decode()
PNG = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01"
).decode()


def read(**fields):
    return read_response({"model": "m", "input": "hi", **fields})


def talk(*items, **fields):
    """The messages of an input, with their content."""
    return [
        msgspec.structs.replace(draft.message, content=draft.content)
        for draft in read(input=list(items), **fields).completion.messages
    ]


def part(value, role="user"):
    [message] = talk({"role": role, "content": [value]})
    return message.content[0]


# --- Requests


def test_a_text_is_what_the_user_says_under_the_instructions():
    system, user = read(instructions="Be brief.").completion.messages

    assert (system.message.role, system.content) == ("system", (TextPart("Be brief."),))
    assert (user.message.role, user.content) == ("user", (TextPart("hi"),))


def test_items_are_the_messages_of_a_conversation():
    said = {"role": "assistant", "content": [{"type": "output_text", "text": "well"}]}
    other = {**CALL, "call_id": "c2"}
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}

    messages = talk(
        {"role": "developer", "content": "Be kind."},
        {"type": "message", **HI},
        thought,
        {"type": "message", **said},
        CALL,
        other,
        RESULT,
        {**RESULT, "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
        CALL | {"call_id": "c3"},
        said,
    )

    assert [(m.role, m.text) for m in messages] == [
        ("developer", "Be kind."),
        ("user", "hi"),
        ("assistant", "well"),
        ("tool", "1"),
        ("tool", "2"),
        ("assistant", "well"),
    ]
    assert messages[2].tool_calls == (
        ToolCall("c1", "add", '{"a":1}'),
        ToolCall("c2", "add", '{"a":1}'),
    )
    assert [m.tool_call_id for m in messages[3:5]] == ["c1", "c2"]
    assert messages[5].tool_calls == (ToolCall("c3", "add", '{"a":1}'),)


def test_parts_become_those_of_any_provider():
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
    sound = {"data": DATA, "format": "wav"}
    file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{DATA}"}

    assert part({"type": "input_text", "text": "hi"}) == TextPart("hi")
    assert part({**image, "detail": "original"}) == ImagePart(
        base64.b64decode(PNG), "image/png", "high"
    )
    assert part({"type": "input_audio", "input_audio": sound}) == AudioPart(
        b"bytes", "wav"
    )
    assert part({"type": "input_file", **file}) == FilePart(
        b"bytes", "application/pdf", "a.pdf"
    )
    assert part({"type": "refusal", "refusal": "no"}, "assistant") == TextPart("no")


def test_what_parts_refer_to_is_read_later():
    remote = part({"type": "input_image", "image_url": "https://x.example/a.png"})
    stored = part({"type": "input_image", "file_id": "abc", "detail": "low"})
    file = part({"type": "input_file", "file_id": "abc"})

    assert all(isinstance(one, Pending) for one in (remote, stored, file))
    assert remote.param == "input[0].content[0].image_url"
    assert (stored.param, stored.reference.url) == (
        "input[0].content[0].file_id",
        "asset://abc",
    )


def test_settings_are_those_of_any_provider():
    wanted = {"name": "n", "schema": {"b": 1}, "strict": True, "description": "d"}
    completion = read(
        temperature=0.5,
        top_p=0.25,
        max_output_tokens=16,
        top_logprobs=2,
        reasoning={"effort": "low"},
        text={"format": {"type": "json_schema", **wanted}, "verbosity": "low"},
        tools=[TOOL],
        tool_choice={"type": "function", "name": "add"},
        parallel_tool_calls=False,
        user="u",
        provider="fake",
        stream=True,
        store=True,
        made_up=1,
    ).completion

    request = completion.request
    assert (request.temperature, request.top_p, request.max_tokens) == (0.5, 0.25, 16)
    assert (request.logprobs, request.top_logprobs) == (True, 2)
    assert (request.reasoning_effort, request.verbosity) == ("low", "low")
    assert request.response_format == ResponseFormat("json_schema", **wanted)
    assert request.tools == (Tool("add", "", {"a": 1}, True),)
    assert request.tool_choice == NamedTool("add")
    assert request.parallel_tool_calls is False
    assert request.extras == {"user": "u"}
    assert (completion.provider, completion.is_stream) == ("fake", True)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{"type": "reasoning"}]}, "input"),
        ({"input": [{"content": "hi"}]}, "input[0].role"),
        ({"input": [{"role": "pope", "content": "hi"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": 7}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [7]}]}, "input[0].content[0]"),
        ({"input": [{"type": "item_reference", "id": "i"}]}, "input[0].type"),
        ({"input": [{"type": "web_search_call"}]}, "input[0].type"),
        ({"input": [RESULT]}, "input[0].call_id"),
        ({"input": [CALL, {**RESULT, "call_id": "c2"}]}, "input[1].call_id"),
        ({"input": [{**CALL, "call_id": None}]}, "input[0].call_id"),
        ({"input": [{**CALL, "name": None}]}, "input[0].name"),
        ({"input": [{**CALL, "arguments": {}}]}, "input[0].arguments"),
        ({"instructions": 7}, "instructions"),
        ({"model": " "}, "model"),
        ({"previous_response_id": "r"}, "previous_response_id"),
        ({"conversation": "c"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"background": True}, "background"),
        ({"temperature": 3}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name"),
        ({"reasoning": {"effort": 7}}, "reasoning.effort"),
        ({"metadata": {"a": 7}}, "metadata.a"),
        ({"metadata": dict.fromkeys(map(str, range(17)), "v")}, "metadata"),
    ],
)
def test_a_refusal_names_its_field(fields, param):
    with pytest.raises(InvalidField) as caught:
        read(**fields)

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("value", "role", "param"),
    [
        ({"type": "input_image"}, "user", ".image_url"),
        ({"type": "input_image", "image_url": "data:x"}, "user", ".image_url"),
        ({"type": "input_file", "file_url": "https://x"}, "user", ".file_url"),
        ({"type": "input_file"}, "user", ".file_data"),
        ({"type": "input_audio"}, "user", ".input_audio"),
        ({"type": "input_image", "image_url": "x"}, "system", ".type"),
        ({"type": "video"}, "user", ".type"),
        ({"text": "hi"}, "user", ".type"),
    ],
)
def test_a_refusal_names_the_part(value, role, param):
    with pytest.raises(InvalidField) as caught:
        part(value, role)

    assert caught.value.param == f"input[0].content[0]{param}"


# --- Answers


def told(*chunks):
    """All events of an answer, and the response in the end."""
    wanted = read()
    output = ResponseOutput(wanted.document("resp_1", 5))
    call = Call(0, wanted.completion.request)
    events = [*output.begin()]
    for chunk in chunks:
        events += output.add(call, chunk)
    events += output.finish(call)
    return events, output.document


def call_piece(index, arguments="", **head):
    return Chunk(tool_calls=(ToolCallDelta(index, arguments=arguments, **head),))


def test_calls_whose_pieces_come_in_turns_are_kept_apart():
    events, response = told(
        call_piece(0, id="a", name="f"),
        call_piece(1, id="b", name="g"),
        call_piece(0, "[0]"),
        call_piece(1, "[1]"),
        Chunk(text="and?"),
    )

    assert [
        getattr(item, "arguments", None) or item.content[0].text
        for item in response.output
    ] == ["[0]", "[1]", "and?"]
    done = [e for e in events if e.type == "response.output_item.done"]
    assert [e.members["output_index"] for e in done] == [0, 1, 2]


def test_a_call_without_arguments_has_none_in_json():
    events, response = told(call_piece(0, id="a", name="f"))

    deltas = [e.members["delta"] for e in events if e.type.endswith("arguments.delta")]
    assert "".join(deltas) == response.output[0].arguments == "{}"


def test_a_refusal_is_a_part_of_its_own_kind():
    events, response = told(
        Chunk(text="I would ", is_refusal=True), Chunk(text="not.", is_refusal=True)
    )

    [message] = response.output
    assert [e.type for e in events[3:]] == [
        "response.content_part.added",
        "response.refusal.delta",
        "response.refusal.delta",
        "response.refusal.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert (message.type, message.content[0].refusal) == ("message", "I would not.")
    assert events[6].members["refusal"] == "I would not."


def test_an_event_is_not_changed_by_later_ones():
    events, _ = told(
        Chunk(
            text="a",
            reasoning="b",
            tool_calls=(ToolCallDelta(0, id="c", name="f", arguments="{}"),),
        )
    )

    added = [e.members["item"] for e in events if e.type.endswith("item.added")]
    assert [item.status for item in added] == ["in_progress"] * 3
    assert [item.content for item in added[:2]] == [[], []]
    assert events[0].members["response"].output == []


def test_an_answer_without_words_is_an_empty_message():
    _, response = told(Chunk(finish_reason="stop"))

    [message] = response.output
    assert (message.content[0].text, message.status) == ("", "completed")


def test_probabilities_and_counts_are_passed_on():
    logprobs = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
    usage = Usage(7, 5, cached_tokens=3, reasoning_tokens=2)

    _, response = told(Chunk(text="a", logprobs=logprobs), Chunk(usage=usage))

    assert response.output[0].content[0].logprobs == logprobs
    assert response.usage.input_tokens_details.cached_tokens == 3
    assert response.usage.output_tokens_details.reasoning_tokens == 2
    assert response.usage.total_tokens == 12


def test_a_filtered_answer_is_incomplete():
    events, response = told(Chunk(text="a"), Chunk(finish_reason="content_filter"))

    assert response.incomplete_details.reason == "content_filter"
    assert events[-1].type == "response.incomplete"


def test_an_answer_that_is_too_long_is_not_kept(monkeypatch):
    monkeypatch.setattr(responses_output, "MAX_CHARACTERS", 5)

    with pytest.raises(ProviderError, match="too long"):
        told(Chunk(text="abc"), Chunk(reasoning="abc"))


@pytest.fixture
def endless(monkeypatch, transactional_db):
    User.objects.create(id="1", username="1")
    provider = Endless()
    monkeypatch.setattr(registry, "make_provider", lambda *_, **__: provider)
    return provider


ASKED = {"model": "fake/x", "input": "hi"}


async def test_an_endless_stream_fails_at_its_bound(endless, monkeypatch):
    monkeypatch.setattr(responses_output, "MAX_CHARACTERS", 20)

    async with HttpUser().open(
        "POST", "/v1/responses", {**ASKED, "stream": True}
    ) as exchange:
        body = await exchange.rest()

    assert b"event: response.failed\n" in body
    assert b"too long" in body
    await endless.closed()


@pytest.mark.parametrize("is_stream", [False, True])
async def test_e11_leaving_ends_the_call(endless, is_stream):
    async with HttpUser().open(
        "POST", "/v1/responses", {**ASKED, "stream": is_stream}
    ) as exchange:
        await endless.opened()
        await exchange.hang_up()

    await endless.closed()


# --- Workflows


async def said_by(user, workflow_id, **fields):
    body = {"model": f"workflow:{workflow_id}", "input": "hello", **fields}
    return await user.post("/v1/responses", body)


@pytest.mark.parametrize("make", [hello, speaking])
async def test_a_workflow_answers_as_it_does_in_a_completion(me, make):
    workflow_id = await db(save, make())

    completion = await ask(me, workflow_id)
    whole = await said_by(me, workflow_id)
    streamed = await said_by(me, workflow_id, stream=True)

    last = json.loads(streamed.body.rpartition(b"data: ")[2])
    [message] = whole.json["output"]
    text = completion.json["choices"][0]["message"]["content"]
    assert message["content"][0]["text"] == text != ""
    assert last["type"] == "response.completed"
    assert last["response"]["output"][0]["content"][0]["text"] == text


async def test_a_workflow_that_fails_is_told(me):
    workflow_id = await db(save, failing())

    answer = await said_by(me, workflow_id)

    assert answer.status == 500
    assert answer.json["error"]["code"] == "workflow_failed"


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ([{"role": "system", "content": "hi"}], "input"),
        (
            [
                HI,
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "a"},
                        {"type": "input_image", "file_id": "b"},
                    ],
                },
            ],
            "input[1].content[1].type",
        ),
    ],
)
async def test_what_a_workflow_cannot_take_is_named(me, value, param):
    workflow_id = await db(save, hello())

    answer = await said_by(me, workflow_id, input=value, instructions="Be brief.")

    assert (answer.status, answer.json["error"]["param"]) == (400, param)
