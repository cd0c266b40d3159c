"""The official client of OpenAI for Node, unmodified, against a running server."""

import base64

import pytest

from tests.end_to_end.node import node_with_client, travel
from tests.providers.vendor import events, stream, vendor

TOKEN = "the-right-token-of-32-bytes-0000"
SAID = "Hello, whoever is there!"


@pytest.fixture(scope="session")
def node():
    """The path of Node, with the client within its reach."""
    return node_with_client()


@pytest.fixture
def told(node, server):
    """Makes journeys to the shared server; returns what each told."""

    async def told(*names):
        return await travel(node, server.base_url, "any", *names)

    return told


async def test_c01_node_reads_whole_answers_and_streams(told):
    answers = await told("chat", "stream", "stream_helper", "leaving_a_stream")

    whole = answers["chat"]["value"]
    assert whole["choices"][0]["message"]["content"] == SAID
    assert whole["choices"][0]["finish_reason"] == "stop"
    *chunks, last = answers["stream"]["value"]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content") or "" for delta in deltas) == SAID
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    helped = answers["stream_helper"]["value"]
    assert helped["text"] == "".join(helped["deltas"]) == SAID
    assert helped["all"]["choices"][0]["message"]["content"] == SAID
    assert answers["leaving_a_stream"]["value"] == {"count": 2, "aborted": True}


async def test_c01_node_calls_tools_and_reads_structured_answers(told):
    answers = await told("tools", "tools_run_by_the_client", "structured")

    first, second = answers["tools"]["value"].values()
    assert first["choices"][0]["finish_reason"] == "tool_calls"
    assert first["choices"][0]["message"]["content"] is None
    assert second["choices"][0]["message"]["content"] == "It is 23."
    assert answers["tools_run_by_the_client"]["value"] == {
        "called": [[1, 22]],
        "text": "It is 23.",
    }
    assert answers["structured"]["value"] == {"city": "東京"}


async def test_c01_node_lists_models(told):
    answer = (await told("models"))["models"]["value"]

    ids = {model["id"] for model in answer["listed"]}
    assert {"fake", "fake/echo", "fake/scripted"} <= ids
    assert answer["one"] in answer["listed"]


async def test_c01_node_throws_its_classes_of_errors(told):
    names = ("bad_request", "not_found", "no_such_model", "limited", "fault")
    answers = await told(*names, "fault_in_the_stream")

    errors = {name: answer["error"] for name, answer in answers.items()}
    assert {
        name: (error["class"], error.get("status"), error["code"], error["param"])
        for name, error in errors.items()
    } == {
        "bad_request": ("BadRequestError", 400, None, "temperature"),
        "not_found": ("NotFoundError", 404, "model_not_found", "model"),
        "no_such_model": ("NotFoundError", 404, "model_not_found", "model"),
        "limited": ("RateLimitError", 429, "rate_limit_exceeded", None),
        "fault": ("InternalServerError", 502, "provider_error", None),
        "fault_in_the_stream": ("APIError", None, "provider_error", None),
    }
    assert errors["limited"]["retryAfter"] == "7"
    assert "it broke" in errors["fault_in_the_stream"]["message"]
    assert all(errors[name]["requestID"] for name in names)


async def test_c01_node_shows_who_it_is_and_sends_pictures(node, new_server):
    seen = events({"choices": [{"delta": {"content": "A pixel."}}]}, "[DONE]")
    async with vendor(stream(seen)) as served:
        server = new_server(
            env={
                "AUTH_PROVIDER": "static",
                "SERVER_AUTH_TOKEN": TOKEN,
                "OPENAI_BASE_URL": f"{served.url}/v1",
                "OPENAI_API_KEY": "sk-fake",
            },
            token=TOKEN,
        )
        wrong = await travel(node, server.base_url, "wrong", "chat")
        right = await travel(node, server.base_url, TOKEN, "image")

    error = wrong["chat"]["error"]
    assert (error["class"], error["status"]) == ("AuthenticationError", 401)
    assert error["code"] == "invalid_api_key"
    answer = right["image"]["value"]["choices"][0]["message"]
    assert answer["content"] == "A pixel."
    text, picture = served.requests[0].body["messages"][0]["content"]
    kind, _, data = picture["image_url"]["url"].partition(";base64,")
    assert text == {"type": "text", "text": "What is this?"}
    assert (kind, picture["image_url"]["detail"]) == ("data:image/png", "low")
    assert base64.b64decode(data).startswith(b"\x89PNG")
