"""OpenAI's responses API: which calls go there, what is sent and what comes back."""

import pytest

from tests.providers.calling import answer, asked, provider, said, summary
from tests.providers.recorded import TEXT, THOUGHT
from tests.providers.test_requests import IMAGE, IMAGE_TEXT, SCHEMA, TOOLS
from tests.providers.vendor import events, stream, vendor
from workflows.agents.answers import Answer
from workflows.providers.base import ProviderError
from workflows.providers.messages import (
    AudioPart,
    FilePart,
    Message,
    NamedTool,
    ResponseFormat,
    TextPart,
    ToolCall,
    Usage,
)

MODEL = "gpt-5.5"
REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": THOUGHT}],
    "encrypted_content": "gAAAAABo",
}


def event(kind, **members):
    return {"type": f"response.{kind}", "sequence_number": 1, **members}


def item(kind, index, **members):
    return event(f"output_item.{kind}", output_index=index, item=members)


def call(index, call_id, name, *pieces):
    head = {"type": "function_call", "id": f"fc_{index}", "call_id": call_id}
    yield item("added", index, **head, name=name, arguments="", status="in_progress")
    for piece in pieces:
        yield event("function_call_arguments.delta", output_index=index, delta=piece)
    whole = "".join(pieces)
    yield event("function_call_arguments.done", output_index=index, arguments=whole)
    yield item("done", index, **head, name=name, arguments=whole, status="completed")


def message(index, *pieces, **members):
    head = {"type": "message", "id": "msg_1", "role": "assistant", **members}
    yield item("added", index, **head, content=[], status="in_progress")
    for piece in pieces:
        yield event(
            "output_text.delta",
            output_index=index,
            content_index=0,
            delta=piece,
            logprobs=[],
        )
    part = {"type": "output_text", "text": "".join(pieces), "annotations": []}
    yield item("done", index, **head, content=[part], status="completed")


def completed(**members):
    usage = {
        "input_tokens": 57,
        "input_tokens_details": {"cached_tokens": 10},
        "output_tokens": 17,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 74,
    }
    return event("completed", response={"id": "resp_1", "usage": usage, **members})


BODIES = (
    event("created", response={"id": "resp_1", "status": "in_progress", "error": None}),
    item("added", 0, **REASONING),
    event("reasoning_summary_text.delta", output_index=0, delta=THOUGHT),
    item("done", 0, **REASONING),
    *message(1, TEXT[:9], TEXT[9:], phase="commentary"),
    *call(2, "call_a", "weather", '{"city":', '"Köln"}'),
    *call(3, "call_b", "now", "{}"),
    completed(status="completed", incomplete_details=None),
)
CONTENT = events(*BODIES)
EXPECTED = {
    "text": TEXT,
    "reasoning": THOUGHT,
    "calls": [("call_a", "weather", '{"city":"Köln"}'), ("call_b", "now", "{}")],
    "ends": ["tool_calls"],
    "usage": Usage(57, 17, 10, 5),
}


def request_of(*messages, **members):
    return asked(*messages, **{"model": MODEL, "tools": TOOLS, **members})


async def sent(request, content=CONTENT):
    async with vendor(stream(content)) as served:
        await answer(provider("openai", served.url), request)
    return served.requests[0]


def read(pieces):
    adapter = provider("openai", "http://unused")
    parser, reading = adapter.parser(), adapter.reading(request_of())
    messages = [m for piece in pieces if piece for m in parser.feed(piece)]
    chunks = [c for m in [*messages, *parser.finish()] for c in reading.read(m)]
    return [*chunks, *reading.finish()]


@pytest.mark.parametrize(
    ("model", "tools", "path"),
    [
        ("gpt-4o", TOOLS, "/chat/completions"),
        ("gpt-5", TOOLS, "/chat/completions"),
        ("gpt-5.2", TOOLS, "/chat/completions"),
        ("gpt-5.4", (), "/chat/completions"),
        ("gpt-5.4-mini-2026-03-17", TOOLS, "/responses"),
        ("gpt-5.6-terra", TOOLS, "/responses"),
        ("gpt-5.2-pro", (), "/responses"),
        ("gpt-5.1-codex-max", (), "/responses"),
        ("o3-pro-2025-06-10", (), "/responses"),
        ("codex-mini-latest", (), "/responses"),
        ("o3", TOOLS, "/chat/completions"),
    ],
)
async def test_what_chat_completions_refuse_goes_to_responses(model, tools, path):
    async with vendor(stream(CONTENT)) as served:
        adapter = provider("openai", served.url)
        request = asked(model=model, tools=tools)
        assert adapter.call(request).path == path
        if path == "/responses":
            assert summary(await answer(adapter, request)) == EXPECTED


async def test_servers_that_only_speak_like_openai_are_not_asked_for_responses():
    for name in ("openrouter", "vllm"):
        call_ = provider(name, "http://unused").call(request_of())
        assert call_.path == "/chat/completions"


async def test_a_byte_at_a_time_makes_no_difference():
    assert summary(read(CONTENT[i : i + 1] for i in range(len(CONTENT)))) == EXPECTED


async def test_a_cut_at_any_byte_makes_no_difference():
    for cut in range(0, len(CONTENT) + 1, 7):
        assert summary(read((CONTENT[:cut], CONTENT[cut:]))) == EXPECTED, cut


async def test_f12_an_end_before_the_end_is_an_error():
    with pytest.raises(ProviderError, match="broke off"):
        await sent(request_of(), events(*BODIES[:-1]))


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (event("failed", response={"error": {"code": "server_error"}}), 502),
        (
            event("failed", response={"error": {"code": "rate_limit_exceeded"}}),
            429,
        ),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, 429),
        ({"type": "error", "error": {"type": "invalid_request_error"}}, 400),
        (event("failed", response=None), 502),
    ],
    ids=["server", "limit", "event", "framed", "bare"],
)
async def test_f12_a_failure_in_the_middle_is_an_error(failure, status):
    with pytest.raises(ProviderError) as caught:
        await sent(request_of(), events(*BODIES[:6], failure))

    assert caught.value.status == status


@pytest.mark.parametrize(
    ("reason", "end"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter")],
)
async def test_an_incomplete_answer_tells_why(reason, end):
    last = event("incomplete", response={"incomplete_details": {"reason": reason}})
    async with vendor(stream(events(*message(0, "a"), last))) as served:
        found = summary(await answer(provider("openai", served.url), request_of()))

    assert (found["text"], found["ends"]) == ("a", [end])


async def test_why_a_model_does_not_answer_is_told_as_that():
    said = (event("refusal.delta", delta=text) for text in ("I will ", "not."))
    about = ResponseFormat("json_schema", "n", SCHEMA, description="Where they live.")
    asked_for = request_of(response_format=about)
    async with vendor(stream(events(*said, completed()))) as served:
        chunks = await answer(provider("openai", served.url), asked_for)

    assert [c.text for c in chunks if c.is_refusal] == ["I will ", "not."]
    assert served.requests[0].body["text"]["format"]["description"] == about.description


async def test_messages_of_one_answer_stand_apart():
    content = events(*message(0, "Let me", " see."), *message(1, "Done."), completed())
    async with vendor(stream(content)) as served:
        found = summary(await answer(provider("openai", served.url), request_of()))

    assert (found["text"], found["ends"]) == ("Let me see.\n\nDone.", ["stop"])


async def test_a_conversation_is_sent_as_items():
    pdf = FilePart(b"%PDF", "application/pdf", "a.pdf")
    request = request_of(
        said("system", "Be brief."),
        Message("user", (TextPart("What is this?"), IMAGE, pdf), name="ann"),
        Message(
            "assistant",
            (TextPart("Let me see."),),
            tool_calls=(ToolCall("c1", "weather", '{"city":"Ulm"}'),),
        ),
        said("tool", "7", tool_call_id="c1", name="weather"),
        temperature=0.5,
        top_p=0.5,
        max_tokens=3,
        stop=("END",),
        seed=7,
        reasoning_effort="low",
        verbosity="low",
        tool_choice=NamedTool("now"),
        parallel_tool_calls=False,
        response_format=ResponseFormat("json_schema", "city", SCHEMA, strict=True),
        extras={"user": "u1", "prediction": {}},
    )

    assert (await sent(request)).body == {
        "model": MODEL,
        "input": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {
                        "type": "input_image",
                        "image_url": f"data:image/png;base64,{IMAGE_TEXT}",
                        "detail": "low",
                    },
                    {
                        "type": "input_file",
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,JVBERg==",
                    },
                ],
            },
            {"role": "assistant", "content": "Let me see."},
            {
                "type": "function_call",
                "call_id": "c1",
                "name": "weather",
                "arguments": '{"city":"Ulm"}',
            },
            {"type": "function_call_output", "call_id": "c1", "output": "7"},
        ],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 16,
        "text": {
            "verbosity": "low",
            "format": {
                "type": "json_schema",
                "name": "city",
                "schema": SCHEMA,
                "strict": True,
            },
        },
        "reasoning": {"effort": "low"},
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "description": "Tells the weather.",
                "parameters": SCHEMA,
                "strict": True,
            },
            {
                "type": "function",
                "name": "now",
                "parameters": {"type": "object", "properties": {}},
                "strict": False,
            },
        ],
        "tool_choice": {"type": "function", "name": "now"},
        "parallel_tool_calls": False,
        "user": "u1",
    }


async def test_a_temperature_is_sent_where_the_model_does_not_think():
    request = request_of(temperature=0.5, reasoning_effort="none")

    body = (await sent(request)).body

    assert (body["temperature"], body["reasoning"]) == (0.5, {"effort": "none"})


async def test_what_was_thought_goes_back_in_its_place():
    request, said_ = request_of(), Answer(request_of())
    async with vendor(stream(CONTENT)) as served:
        for chunk in await answer(provider("openai", served.url), request):
            said_.take(chunk)
    results = [said("tool", "7", tool_call_id=c.id) for c in said_.tool_calls]

    body = (await sent(request_of(*request.messages, said_.message(), *results))).body

    _, thought, told, first, second, *outputs = body["input"]
    assert thought == {key: each for key, each in REASONING.items() if key != "id"}
    assert told == {"role": "assistant", "phase": "commentary", "content": TEXT}
    assert [each["call_id"] for each in (first, second)] == ["call_a", "call_b"]
    assert [each["call_id"] for each in outputs] == ["call_a", "call_b"]


async def test_of_calls_that_were_not_kept_nothing_goes_back():
    memory = ({"type": "function_call", "call_id": "lost"},)
    talk = (said("user", "?"), Message("assistant", memory=memory))

    body = (await sent(request_of(*talk))).body

    assert body["input"] == [{"role": "user", "content": "?"}]


async def test_sound_is_refused():
    with pytest.raises(ProviderError) as caught:
        await sent(request_of(Message("user", (AudioPart(b"RIFF", "wav"),))))

    assert (caught.value.status, caught.value.code) == (400, "unsupported_value")
