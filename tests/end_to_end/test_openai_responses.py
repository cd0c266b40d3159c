"""Responses by the official client of OpenAI, against a server in both modes."""

import json

import openai
import pytest

from tests.end_to_end.test_openai_client import client_of

ADD = {
    "type": "function",
    "name": "add",
    "description": "Adds two numbers.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
    },
    "strict": False,
}
HELLO = "Hello, whoever is there!"


@pytest.fixture
def client(server):
    with client_of(server) as client:
        yield client


def script(*steps):
    return [{"role": "user", "content": json.dumps(list(steps))}]


def ask(client, is_stream, **asked):
    """A response; of a stream, what the client itself puts together."""
    if not is_stream:
        return client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        return stream.get_final_response()


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_response_is_whole(client, is_stream):
    response = ask(
        client,
        is_stream,
        model="fake/echo",
        instructions="Be brief.",
        input=HELLO,
        metadata={"k": "v"},
    )

    [message] = response.output
    assert response.output_text == HELLO
    assert (message.type, message.role, message.status) == (
        "message",
        "assistant",
        "completed",
    )
    assert (response.status, response.error) == ("completed", None)
    assert (response.model, response.instructions) == ("fake/echo", "Be brief.")
    assert response.metadata == {"k": "v"}
    assert response.id.startswith("resp_")
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (9, 6, 15)


def test_a_stream_tells_each_step_once_and_in_order(client):
    events = list(client.responses.create(model="fake/echo", input=HELLO, stream=True))

    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(11))
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert "".join(deltas) == HELLO == events[7].text == events[8].part.text
    assert events[0].response.status == "in_progress"
    assert events[0].response.output == []
    assert events[-1].response.output == [events[-2].item]
    assert events[-1].response.id == events[0].response.id
    assert {e.item_id for e in events[3:9]} == {events[2].item.id}


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_round_of_tools(client, is_stream):
    items = script(
        {"text": "Let me see.", "tool_calls": [
            {"name": "add", "arguments": {"a": 1, "b": 22}},
            {"name": "add", "arguments": {"a": 2}},
        ]},
        {"text": "It is 23."},
    )  # fmt: skip
    asked = {"model": "fake/scripted", "tools": [ADD]}

    first = ask(client, is_stream, input=items, **asked)
    said, call, other = first.output
    arguments = json.loads(call.arguments)
    items += [item.model_dump(exclude_none=True) for item in first.output]
    items += [
        {
            "type": "function_call_output",
            "call_id": one.call_id,
            "output": str(arguments["a"] + arguments["b"]),
        }
        for one in (call, other)
    ]
    second = ask(client, is_stream, input=items, **asked)

    assert said.content[0].text == "Let me see."
    assert (call.type, call.name, call.status) == ("function_call", "add", "completed")
    assert json.loads(other.arguments) == {"a": 2}
    assert call.call_id != other.call_id
    assert second.output_text == "It is 23."
    assert [item.type for item in second.output] == ["message"]


def test_tool_calls_are_told_in_pieces(client):
    calls = [{"name": "add", "arguments": {"first": 1, "second": 2}}]

    events = list(
        client.responses.create(
            model="fake/scripted",
            tools=[ADD],
            tool_choice={"type": "function", "name": "add"},
            input=script({"tool_calls": calls}),
            stream=True,
        )
    )

    kind = "response.function_call_arguments"
    deltas = [e.delta for e in events if e.type == f"{kind}.delta"]
    [done] = [e for e in events if e.type == f"{kind}.done"]
    [added] = [e for e in events if e.type == "response.output_item.added"]
    assert len(deltas) > 1
    assert "".join(deltas) == done.arguments == '{"first":1,"second":2}'
    assert (added.item.name, added.item.arguments) == ("add", "")
    assert events[-1].response.output[0].arguments == done.arguments
    assert events[-1].response.tool_choice.name == "add"


@pytest.mark.parametrize("is_stream", [False, True])
def test_thoughts_are_an_item_of_their_own(client, is_stream):
    items = script({"reasoning": "Hmm, let me think.", "text": "Yes."})

    response = ask(client, is_stream, model="fake/scripted", input=items)

    thought, message = response.output
    assert (thought.type, thought.content[0].text) == (
        "reasoning",
        "Hmm, let me think.",
    )
    assert message.content[0].text == response.output_text == "Yes."


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_refusal_is_no_text(client, is_stream):
    items = script({"refusal": "I would rather not say."})

    response = ask(client, is_stream, model="fake/scripted", input=items)

    [part] = response.output[0].content
    assert (part.type, part.refusal) == ("refusal", "I would rather not say.")
    assert response.output_text == ""


def test_thoughts_are_streamed(client):
    items = script({"reasoning": "Hmm, let me think.", "text": "Yes."})

    events = list(
        client.responses.create(model="fake/scripted", input=items, stream=True)
    )

    thoughts = [e.delta for e in events if e.type == "response.reasoning_text.delta"]
    assert "".join(thoughts) == "Hmm, let me think."


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_limit_on_tokens_leaves_it_incomplete(client, is_stream):
    asked = {"model": "fake/echo", "input": HELLO, "max_output_tokens": 2}
    if is_stream:
        *_, last = client.responses.create(**asked, stream=True)
        assert last.type == "response.incomplete"
        response = last.response
    else:
        response = client.responses.create(**asked)

    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output[0].status == "incomplete"
    assert response.output[0].content[0].text == HELLO[:8]


def failing(**error):
    step = {"text": "x" * 30, "error": error}
    return {"model": "fake/scripted", "input": script(step)}


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("asked", "kind", "code", "param"),
    [
        ({"input": []}, openai.BadRequestError, None, "input"),
        ({"temperature": 3}, openai.BadRequestError, None, "temperature"),
        (
            {"previous_response_id": "resp_1"},
            openai.BadRequestError,
            "unsupported_value",
            "previous_response_id",
        ),
        (
            {"tools": [{"type": "web_search"}]},
            openai.BadRequestError,
            "unsupported_value",
            "tools[0].type",
        ),
        ({"model": "foo"}, openai.NotFoundError, "model_not_found", "model"),
        (
            {"model": "claude-x"},
            openai.BadRequestError,
            "provider_not_configured",
            "model",
        ),
        (failing(status=400, code="c"), openai.BadRequestError, "c", None),
        (failing(status=429), openai.RateLimitError, "rate_limit_exceeded", None),
        (failing(status=401), openai.InternalServerError, "provider_auth_error", None),
        (failing(status=504), openai.InternalServerError, "timeout", None),
    ],
)
def test_c01_o4_o6_errors_have_their_classes(
    client, asked, kind, code, param, is_stream
):
    with pytest.raises(kind) as raised:
        client.responses.create(
            **{"model": "fake/echo", "input": HELLO, "stream": is_stream, **asked}
        )

    assert (raised.value.code, raised.value.param) == (code, param)
    assert raised.value.type


def test_c02_a_failure_in_the_stream_is_told_and_raised(client):
    stream = client.responses.create(
        **failing(status=429, message="slow down", after=2), stream=True
    )
    events = []

    with pytest.raises(openai.APIError, match="slow down") as raised:
        events.extend(stream)

    # ``extend`` keeps what came before the failure
    assert [e.delta for e in events if e.type == "response.output_text.delta"] == [
        "x" * 10
    ] * 2
    failed = events[-1]
    assert failed.type == "response.failed"
    assert failed.response.status == "failed"
    assert failed.response.error.code == "rate_limit_exceeded"
    assert raised.value.code == "rate_limit_exceeded"


def test_c01_what_would_be_stored_is_not_found(client):
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_1")
