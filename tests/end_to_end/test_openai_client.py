"""The official client of OpenAI, unmodified, against a running server in both modes."""

import asyncio
import base64
import io
import json
import time

import aiohttp
import openai
import pydantic
import pytest

from tests.jobs.http_client import parse_sse

HI = [{"role": "user", "content": "Hello, whoever is there!"}]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
TOKEN = "the-right-token-of-32-bytes-0000"
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        },
    },
}


def client_of(server, **options):
    options.setdefault("api_key", "any")
    options.setdefault("max_retries", 0)
    return openai.OpenAI(
        base_url=f"{server.base_url}/v1", _strict_response_validation=True, **options
    )


def script(*steps):
    return [{"role": "user", "content": json.dumps(list(steps))}]


def failing(**error):
    return {
        "model": "fake/scripted",
        "messages": script({"text": "x" * 30, "error": error}),
    }


@pytest.fixture
def client(server):
    with client_of(server) as client:
        yield client


@pytest.fixture
async def raw(server):
    """Sends a body as it is; returns status, headers and bytes."""
    async with aiohttp.ClientSession(server.base_url) as session:

        async def send(body, method="POST", path="/v1/chat/completions", **options):
            async with session.request(method, path, json=body, **options) as reply:
                return reply.status, reply.headers, await reply.read()

        yield send


# --- Answers


def test_c01_o2_an_answer_is_whole(client):
    answer = client.chat.completions.create(model="fake/echo", messages=HI)

    choice = answer.choices[0]
    assert choice.message.content == HI[0]["content"]
    assert (choice.message.role, choice.finish_reason) == ("assistant", "stop")
    assert answer.model == "fake/echo"
    assert answer.id.startswith("chatcmpl-")
    assert len(answer.id) >= len("chatcmpl-") + 24
    assert abs(answer.created - time.time()) < 60
    assert answer.usage.total_tokens == 12
    assert answer._request_id


def test_c01_o3_a_stream_says_the_same_as_the_answer(client):
    asked = {"model": "fake/echo", "messages": HI}
    whole = client.chat.completions.create(**asked)

    stream = client.chat.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)

    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(delta.content or "" for delta in deltas) == HI[0]["content"]
    assert [delta.role for delta in deltas] == ["assistant"] + [None] * (
        len(deltas) - 1
    )
    assert [c.choices[0].finish_reason for c in chunks] == [None] * (
        len(chunks) - 1
    ) + ["stop"]
    assert len({(c.id, c.created, c.model) for c in [*chunks, last]}) == 1
    assert all(chunk.usage is None for chunk in chunks)
    assert (last.choices, last.usage) == ([], whole.usage)


def test_c01_o1_the_reference_loop_over_choices_works(client):
    stream = client.chat.completions.create(model="fake", messages=HI, stream=True)

    said = [chunk.choices[0].delta.content or "" for chunk in stream]

    assert "".join(said).startswith("Hello!")


@pytest.mark.parametrize("is_stream", [False, True])
def test_c01_o5_a_round_of_tools(client, is_stream):
    messages = script(
        {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 22}}]},
        {"text": "It is 23."},
    )
    asked = {"model": "fake/scripted", "tools": [ADD]}

    first = _ask(client, is_stream, messages=messages, **asked)
    [call] = first.choices[0].message.tool_calls
    arguments = json.loads(call.function.arguments)
    result = str(arguments["a"] + arguments["b"])
    messages += [
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]
    second = _ask(client, is_stream, messages=messages, **asked)

    assert (call.type, call.function.name) == ("function", "add")
    assert first.choices[0].finish_reason == "tool_calls"
    assert first.choices[0].message.content is None or is_stream
    assert second.choices[0].message.content == "It is 23."
    assert second.choices[0].message.tool_calls is None
    assert second.choices[0].finish_reason == "stop"


def _ask(client, is_stream, **asked):
    """An answer; of a stream, what the client itself puts together."""
    if not is_stream:
        return client.chat.completions.create(**asked)
    with client.chat.completions.stream(**asked) as stream:
        return stream.get_final_completion()


async def test_c01_a_conversation_is_kept_in_a_thread(client, raw):
    extra = {"thread_id": "kept-by-the-client"}
    first = client.chat.completions.create(
        model="fake/echo", messages=HI, extra_body=extra
    )
    messages = [
        *HI,
        {"role": "assistant", "content": first.choices[0].message.content},
        {"role": "user", "content": "Again!"},
    ]

    stream = client.chat.completions.create(
        model="fake/echo", messages=messages, stream=True, extra_body=extra
    )

    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Again!"
    path = f"/api/messages/?thread_id={extra['thread_id']}"
    status, _, body = await raw(None, method="GET", path=path)
    assert status == 200
    assert [(m["role"], m["content"]) for m in json.loads(body)["messages"]] == [
        ("user", HI[0]["content"]),
        ("assistant", HI[0]["content"]),
        ("user", "Again!"),
        ("assistant", "Again!"),
    ]


@pytest.mark.parametrize("is_stream", [False, True])
def test_several_answers_and_stop_strings(client, is_stream):
    asked = {"model": "fake/echo", "messages": HI, "n": 3, "stop": ["ever", "zzz"]}

    answer = _ask(client, is_stream, **asked)

    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.message.content for choice in answer.choices} == {"Hello, who"}
    assert {choice.finish_reason for choice in answer.choices} == {"stop"}


def test_a_limit_on_tokens_shows(client):
    answer = client.chat.completions.create(
        model="fake/echo", messages=HI, max_completion_tokens=2
    )

    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == HI[0]["content"][:8]


def test_c01_o9_models_are_listed_and_found(client):
    models = client.models.list().data
    one = client.models.retrieve("fake/echo")

    assert {"fake", "fake/echo", "fake/scripted"} <= {model.id for model in models}
    assert all(model.object == "model" for model in models)
    assert (one.id, one.owned_by) == ("fake/echo", "fake")
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("no/such:model")
    assert raised.value.code == "model_not_found"


class Place(pydantic.BaseModel):
    city: str
    people: int


@pytest.mark.parametrize("is_stream", [False, True])
def test_c01_an_answer_is_parsed_into_a_class(client, is_stream):
    asked = {
        "model": "fake/scripted",
        "messages": script({"text": '{"city": "東京", "people": 14}'}),
        "response_format": Place,
    }
    if is_stream:
        with client.chat.completions.stream(**asked) as stream:
            answer = stream.get_final_completion()
    else:
        answer = client.chat.completions.parse(**asked)

    assert answer.choices[0].message.parsed == Place(city="東京", people=14)


@pytest.mark.parametrize("is_stream", [False, True])
def test_c01_a_refusal_is_no_content(client, is_stream):
    why = "I would rather not say."
    asked = {
        "model": "fake/scripted",
        "messages": script({"refusal": why}),
        "response_format": Place,
    }
    if is_stream:
        with client.chat.completions.stream(**asked) as stream:
            message = stream.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.parse(**asked).choices[0].message

    assert (message.refusal, message.parsed) == (why, None)
    assert not message.content


def test_c01_what_is_sent_as_it_is(client):
    raw = client.chat.completions.with_raw_response.create(
        model="fake/echo", messages=HI, extra_headers={"X-Request-Id": "mine-1"}
    )
    with client.chat.completions.with_streaming_response.create(
        model="fake/echo", messages=HI, stream=True
    ) as response:
        lines = list(response.iter_lines())

    assert raw.headers["x-request-id"] == "mine-1"
    assert raw.parse().choices[0].message.content == HI[0]["content"]
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "data: [DONE]" in lines


def test_c01_a_conversation_in_every_form_of_a_message(client):
    pixel = "data:image/png;base64," + base64.b64encode(PNG).decode()
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "And kind."}]},
        {"role": "user", "name": "ann", "content": "First."},
        {"role": "assistant", "content": "Yes?", "refusal": None},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Grüße 🌍"},
                {"type": "image_url", "image_url": {"url": pixel, "detail": "low"}},
            ],
        },
    ]
    answer = client.chat.completions.create(model="fake/echo", messages=messages)

    assert answer.choices[0].message.content == "Grüße 🌍"


def test_c01_every_setting_that_the_client_knows_is_taken(client):
    answer = client.chat.completions.create(
        model="fake/echo",
        messages=HI,
        temperature=0.5,
        top_p=0.9,
        seed=7,
        frequency_penalty=0.1,
        presence_penalty=-0.1,
        logit_bias={"50256": -100},
        logprobs=True,
        top_logprobs=2,
        max_tokens=50,
        metadata={"a": "b"},
        parallel_tool_calls=False,
        reasoning_effort="low",
        service_tier="auto",
        store=False,
        user="ann",
        verbosity="low",
        extra_body={"provider": "fake", "unheard_of": {"a": 1}},
    )

    assert answer.choices[0].message.content == HI[0]["content"]
    assert answer.choices[0].logprobs is None


async def test_c01_e11_the_asynchronous_client_may_leave(server):
    async with openai.AsyncOpenAI(
        base_url=f"{server.base_url}/v1", api_key="any"
    ) as client:
        stream = await client.chat.completions.create(
            model="fake/scripted",
            messages=script({"text": "x" * 300, "delay_s": 0.05}),
            stream=True,
        )
        async with stream:
            said = [(await anext(stream)).choices[0].delta.content for _ in range(3)]
        again = await client.chat.completions.create(model="fake/echo", messages=HI)

    assert "".join(said) == "x" * 20
    assert again.choices[0].message.content == HI[0]["content"]


# --- Errors


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("asked", "kind", "code", "param"),
    [
        ({"temperature": 3}, openai.BadRequestError, None, "temperature"),
        ({"messages": []}, openai.BadRequestError, None, "messages"),
        ({"model": "foo"}, openai.NotFoundError, "model_not_found", "model"),
        ({"model": "workflow:x"}, openai.NotFoundError, "model_not_found", "model"),
        (
            {"model": "claude-x"},
            openai.BadRequestError,
            "provider_not_configured",
            "model",
        ),
        (
            {"extra_body": {"provider": "nobody"}},
            openai.BadRequestError,
            "unsupported_value",
            "provider",
        ),
        (failing(status=400, code="c"), openai.BadRequestError, "c", None),
        (
            failing(status=401),
            openai.InternalServerError,
            "provider_auth_error",
            None,
        ),
        (
            failing(status=404),
            openai.NotFoundError,
            "model_not_found",
            None,
        ),
        (
            failing(status=429, code="insufficient_quota"),
            openai.RateLimitError,
            "insufficient_quota",
            None,
        ),
        (failing(status=500), openai.InternalServerError, "provider_error", None),
        (
            failing(status=503),
            openai.InternalServerError,
            "provider_unavailable",
            None,
        ),
        (failing(status=504), openai.InternalServerError, "timeout", None),
    ],
)
def test_c01_o4_o6_errors_have_their_classes(
    client, asked, kind, code, param, is_stream
):
    with pytest.raises(kind) as raised:
        client.chat.completions.create(
            **{"model": "fake/echo", "messages": HI, "stream": is_stream, **asked}
        )

    assert (raised.value.code, raised.value.param) == (code, param)
    assert raised.value.type


def test_a_missing_key_names_its_secret_and_the_cure(client):
    with pytest.raises(openai.BadRequestError, match="ANTHROPIC_API_KEY") as raised:
        client.chat.completions.create(model="claude-x", messages=HI)

    assert "/api/settings/secrets/ANTHROPIC_API_KEY" in str(raised.value)


async def test_retry_after_and_vain_retries_are_told(raw):
    limited = await raw(failing(status=429, retry_after_s=6.2))
    refused = await raw(failing(status=401))
    broken = await raw(failing(status=500))

    assert (limited[0], limited[1]["Retry-After"]) == (429, "7")
    assert json.loads(limited[2])["error"]["type"] == "rate_limit_error"
    assert (refused[0], refused[1]["x-should-retry"]) == (502, "false")
    assert (broken[0], broken[1].get("x-should-retry")) == (502, None)


async def test_c01_other_refusals_have_the_same_form(raw):
    answers = [
        await raw(None, method="GET"),
        await raw({}, path="/v1/completions"),
        await raw({}, path="/v1"),
        await raw(None, path="/v1/models/a%0Ab", method="GET"),
        await raw(None, data=b"{", headers={"Content-Type": "application/json"}),
        await raw([1]),
        await raw(None, data=io.BytesIO(b"x" * 11_000_000)),
    ]

    errors = [json.loads(body)["error"] for _, _, body in answers]
    assert [status for status, _, _ in answers] == [405, 404, 404, 404, 400, 400, 413]
    assert [error["code"] for error in errors] == [
        "method_not_allowed", "not_found", "not_found", "not_found", None, None,
        "request_too_large",
    ]  # fmt: skip
    assert all(set(e) == {"message", "type", "param", "code"} for e in errors)
    assert all("x-request-id" in headers for _, headers, _ in answers)
    assert answers[0][1]["Allow"]


def test_c01_a_wrong_token_is_an_authentication_error(new_server):
    server = new_server(
        env={
            "AUTH_PROVIDER": "static",
            "SERVER_AUTH_TOKEN": TOKEN,
        },
        token=TOKEN,
    )
    with (
        client_of(server, api_key="wrong") as client,
        pytest.raises(openai.AuthenticationError) as raised,
    ):
        client.models.list()
    with client_of(server, api_key=TOKEN) as client:
        answer = client.chat.completions.create(model="fake", messages=HI)

    assert raised.value.code == "invalid_api_key"
    assert raised.value.response.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.choices[0].message.content


# --- Streams, to the byte


async def test_c02_a_stream_is_framed_and_ends(raw):
    status, headers, body = await raw(
        {"model": "fake/echo", "messages": HI, "stream": True}
    )

    lines = body.decode().split("\n\n")
    assert status == 200
    assert headers["Content-Type"].startswith("text/event-stream")
    assert headers["Cache-Control"] == "no-cache, no-transform"
    assert headers["X-Accel-Buffering"] == "no"
    assert all(line.startswith("data: ") for line in lines[:-1])
    assert lines[-2:] == ["data: [DONE]", ""]
    events = [json.loads(line[6:]) for line in lines[:-2]]
    assert all(event["choices"] and "usage" not in event for event in events)
    assert events[-1]["choices"][0]["delta"] == {}


async def test_c02_a_failure_in_the_stream_is_an_event_and_the_end(raw, client):
    asked = {**failing(status=500, message="it broke", after=2), "stream": True}

    status, _, body = await raw(asked)
    stream = client.chat.completions.create(**asked)
    said = [next(stream).choices[0].delta.content for _ in range(3)]
    with pytest.raises(openai.APIError, match="it broke"):
        next(stream)

    *_, error, done = parse_sse(body).events
    assert status == 200
    assert "".join(said) == "x" * 20
    assert json.loads(error.data)["error"]["code"] == "provider_error"
    assert done.data == "[DONE]"


async def test_c02_silence_is_kept_alive_and_ends_in_time(impatient_server):
    asked = {
        "model": "fake/scripted",
        "messages": script({"text": "x" * 20, "delay_s": 1.3}),
    }
    silent = {**asked, "messages": script({"text": "x", "delay_s": 60})}
    async with aiohttp.ClientSession(impatient_server.base_url) as session:
        path = "/v1/chat/completions"
        requests = [{**asked, "stream": True}, {**silent, "stream": True}, silent]
        streamed, *failed = await asyncio.gather(
            *(session.post(path, json=body) for body in requests)
        )
        body = await streamed.read()
        errors = [await reply.json() for reply in failed]

    assert b": keep-alive\n\n" in body
    assert body.endswith(b"data: [DONE]\n\n")
    assert [reply.status for reply in failed] == [504, 504]
    assert {error["error"]["code"] for error in errors} == {"timeout"}


async def test_many_streams_at_once_keep_their_texts_apart(server):
    async with openai.AsyncOpenAI(
        base_url=f"{server.base_url}/v1", api_key="any"
    ) as client:

        async def one(number):
            text = f"stream {number} " * 20
            stream = await client.chat.completions.create(
                model="fake/echo",
                messages=[{"role": "user", "content": text}],
                stream=True,
            )
            said = [c.choices[0].delta.content or "" async for c in stream]
            return "".join(said) == text

        assert all(await asyncio.gather(*(one(n) for n in range(30))))
