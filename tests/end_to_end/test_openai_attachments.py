"""Pictures, files and functions of chat requests, with the official client."""

import base64
import json

import aiohttp
import openai
import pytest

from tests.end_to_end.test_openai_client import client_of, script
from tests.providers.vendor import events, stream, vendor, whole

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)
GIF = b"GIF89a\x01\x00\x01\x00"
ADD = {"name": "add", "parameters": {"type": "object", "properties": {}}}
SAID = stream(
    events(
        {"choices": [{"index": 0, "delta": {"content": "I see."}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        "[DONE]",
    )
)


def asking(*parts, model="fake/echo"):
    return {"model": model, "messages": [{"role": "user", "content": list(parts)}]}


def image(url):
    return {"type": "image_url", "image_url": {"url": url}}


def data_uri(content, media_type):
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


async def upload(server, content, name, content_type):
    form = aiohttp.FormData()
    form.add_field("file", content, filename=name, content_type=content_type)
    async with (
        aiohttp.ClientSession(server.base_url) as session,
        session.post("/api/assets", data=form) as reply,
    ):
        assert reply.status == 200, await reply.text()
        return await reply.json()


async def test_c01_all_that_a_message_refers_to_reaches_the_model(new_server):
    async with (
        vendor(SAID) as model,
        vendor(
            whole(GIF, kind="text/plain"), whole(b"<html>", kind="image/png")
        ) as web,
    ):
        server = new_server(
            env={
                "OPENAI_BASE_URL": f"{model.url}/v1",
                "OPENAI_API_KEY": "k",
                "ALLOW_PRIVATE_EGRESS": "127.0.0.1",
            }
        )
        picture = await upload(server, PNG, "a.png", "image/png")
        document = await upload(server, b"%PDF-1.7", "a.pdf", "application/pdf")
        asked = asking(
            image(data_uri(PNG, "image/png")),
            image(f"{web.url}/a.gif"),
            image(picture["get_url"]),
            image(picture["get_url"].removeprefix(server.base_url)),
            {"type": "file", "file": {"file_id": document["id"]}},
            model="gpt-x",
        )
        async with openai.AsyncOpenAI(
            base_url=f"{server.base_url}/v1", api_key="any", max_retries=0
        ) as client:
            answer = await client.chat.completions.create(**asked)
            failures = {}
            for url in (
                f"{web.url}/b.png",
                "http://169.254.169.254/",
                "/storage/x.png",
            ):
                with pytest.raises(openai.BadRequestError) as raised:
                    await client.chat.completions.create(
                        **asking(
                            {"type": "text", "text": "?"}, image(url), model="gpt-x"
                        )
                    )
                failures[url] = raised.value

    assert answer.choices[0].message.content == "I see."
    png, gif = data_uri(PNG, "image/png"), data_uri(GIF, "image/gif")
    file = {"filename": "a.pdf", "file_data": data_uri(b"%PDF-1.7", "application/pdf")}
    [sent] = [r.body["messages"][0]["content"] for r in model.requests if r.content]
    assert sent == [*map(image, (png, gif, png, png)), {"type": "file", "file": file}]
    assert len(web.requests) == 2
    assert {error.param for error in failures.values()} == {
        "messages[0].content[1].image_url.url"
    }
    texts = [str(error) for error in failures.values()]
    for text, reason in zip(
        texts, ("no picture", "not a public address", "no such file"), strict=True
    ):
        assert reason in text


@pytest.mark.parametrize(
    ("part", "param", "reason"),
    [
        (image("http://127.0.0.1:1/a.png"), "image_url.url", "_EGRESS=127.0.0.1"),
        (image("http://[::ffff:10.0.0.1]/"), "image_url.url", "not a public address"),
        (image("http://2130706433/"), "image_url.url", "four decimal numbers"),
        (image("ftp://public.test/a.png"), "image_url.url", "http"),
        (image("data:image/png,x"), "image_url.url", "base64"),
        (
            {"type": "image_url", "image_url": "http://localhost/"},
            "image_url",
            "not a public address",
        ),
        ({"type": "file", "file": {"file_id": "x"}}, "file.file_id", "no such file"),
    ],
)
def test_h08_o4_refused_references_are_bad_requests(server, part, param, reason):
    with client_of(server) as client, pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(**asking(part))

    assert raised.value.param == f"messages[0].content[0].{param}"
    assert raised.value.type == "invalid_request_error"
    assert reason in str(raised.value)


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_round_of_functions(server, is_stream):
    messages = script(
        {
            "tool_calls": [
                {"name": n, "arguments": {"a": "x" * 30}} for n in ("add", "b")
            ]
        },
        {"text": "It is 23."},
    )
    asked = {"model": "fake/scripted", "functions": [ADD], "stream": is_stream}

    with client_of(server) as client:
        first = client.chat.completions.create(**asked, messages=messages)
        called, reason = _called(first) if is_stream else _told(first)
        messages += [
            {"role": "assistant", "content": None, "function_call": called},
            {"role": "function", "name": "add", "content": "23"},
        ]
        second = client.chat.completions.create(
            **{**asked, "stream": False}, messages=messages
        )

    assert reason == "function_call"
    assert called["name"] == "add"
    assert json.loads(called["arguments"]) == {"a": "x" * 30}
    assert second.choices[0].message.content == "It is 23."
    assert second.choices[0].finish_reason == "stop"


def _told(answer):
    [choice] = answer.choices
    assert choice.message.tool_calls is None
    return choice.message.function_call.model_dump(), choice.finish_reason


def _called(chunks):
    """What the deltas of a stream say, put together as clients did."""
    called = {"name": "", "arguments": ""}
    reasons = []
    for chunk in chunks:
        [choice] = chunk.choices
        assert choice.delta.tool_calls is None
        if choice.delta.function_call:
            called["name"] += choice.delta.function_call.name or ""
            called["arguments"] += choice.delta.function_call.arguments or ""
        reasons += [choice.finish_reason] if choice.finish_reason else []
    [reason] = reasons
    return called, reason
