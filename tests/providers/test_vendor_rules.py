"""What single vendors refuse, and what they want back: as they document it."""

import pytest

from tests.providers import recorded
from tests.providers.calling import answer, asked, provider, said, summary
from tests.providers.test_requests import SCHEMA, TALK, TOOLS, sent
from tests.providers.vendor import events, lines, stream, vendor
from workflows.agents.answers import Answer
from workflows.providers.base import ProviderError
from workflows.providers.messages import (
    Message,
    NamedTool,
    ResponseFormat,
    Tool,
    ToolCall,
)

SAMPLING = {
    "temperature": 0.5,
    "top_p": 0.5,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "logit_bias": {"5": 1.0},
    "logprobs": True,
    "top_logprobs": 2,
    "stop": ("END",),
}
CITY = ResponseFormat("json_schema", "city", SCHEMA)


async def sent_back(name, content, request, *, kind="text/event-stream"):
    """Return what is sent after an answer with calls: the answer and their results."""
    said_ = Answer(request)
    async with vendor(stream(content, kind=kind)) as served:
        for chunk in await answer(provider(name, served.url), request):
            said_.take(chunk)
    results = [said("tool", "7", tool_call_id=call.id) for call in said_.tool_calls]
    messages = (*request.messages, said_.message(), *results)
    again = asked(*messages, model=request.model, tools=request.tools)
    return (await sent(name, again)).body


@pytest.mark.parametrize(
    ("model", "effort", "samples"),
    [
        ("gpt-4o", None, True),
        ("gpt-4.1-mini", None, True),
        ("gpt-5-chat-latest", None, True),
        ("o3-mini", None, False),
        ("gpt-5", None, False),
        ("gpt-5-nano-2025-08-07", "minimal", False),
        ("gpt-5.1", None, True),
        ("gpt-5.2-2025-12-11", "none", True),
        ("gpt-5.2", "high", False),
        ("gpt-5.5", None, False),
        ("gpt-5.5", "none", True),
    ],
)
async def test_models_that_think_are_not_told_how_to_sample(model, effort, samples):
    request = asked(model=model, reasoning_effort=effort, **SAMPLING)

    body = (await sent("openai", request)).body

    assert (SAMPLING.keys() <= body.keys()) is samples
    assert bool(SAMPLING.keys() & body.keys()) is samples


@pytest.mark.parametrize(
    ("model", "samples"),
    [
        ("claude-3-5-haiku-latest", True),
        ("claude-opus-4-20250514", True),
        ("claude-haiku-4-5-20251001", True),
        ("claude-sonnet-4-6", True),
        ("claude-opus-4-7", False),
        ("claude-sonnet-5", False),
        ("claude-fable-5-1", False),
        ("minimax-m2", True),
    ],
)
async def test_claude_is_told_a_temperature_only_where_it_takes_one(model, samples):
    body = (await sent("anthropic", asked(model=model, temperature=0.5))).body

    assert ("temperature" in body) is samples


@pytest.mark.parametrize(
    ("model", "wanted", "given"),
    [
        ("claude-3-haiku-20240307", 8192, 4096),
        ("claude-3-haiku-20240307", 100, 100),
        ("claude-opus-5", 64_000, 64_000),
    ],
)
async def test_claude_is_asked_for_no_more_than_its_family_says(model, wanted, given):
    body = (await sent("anthropic", asked(model=model, max_tokens=wanted))).body

    assert body["max_tokens"] == given


@pytest.mark.parametrize(
    ("model", "choice", "sent_choice", "told"),
    [
        ("claude-sonnet-4-5", "required", {"type": "any"}, None),
        ("claude-opus-4-8", NamedTool("now"), {"type": "tool", "name": "now"}, None),
        ("claude-opus-5-5", "required", {"type": "auto"}, "Call a tool now"),
        ("claude-sonnet-5", NamedTool("now"), {"type": "auto"}, "Call the tool now"),
        ("claude-sonnet-5", "none", {"type": "none"}, None),
    ],
)
async def test_a_call_that_cannot_be_forced_is_asked_for(
    model, choice, sent_choice, told
):
    request = asked(model=model, tools=TOOLS, tool_choice=choice)

    body = (await sent("anthropic", request)).body

    assert body["tool_choice"] == sent_choice
    assert body.get("system", "").startswith(told or "")
    assert ("system" in body) is (told is not None)


LONG_ID = "functions.add:0" + "x" * 80


@pytest.mark.parametrize("name", ["openai", "mistral", "anthropic", "openrouter"])
async def test_the_id_of_another_vendors_call_is_made_to_fit(name):
    limits = {"mistral": 9, "openai": 40, "anthropic": 64, "openrouter": 40}
    talk = (
        said("user", "?"),
        Message("assistant", tool_calls=(ToolCall(LONG_ID, "now"),)),
        said("tool", "noon", tool_call_id=LONG_ID),
    )

    called, result = (await sent(name, asked(*talk, tools=TOOLS))).body["messages"][1:]

    if name == "anthropic":
        made, answered = called["content"][0]["id"], result["content"][0]["tool_use_id"]
    else:
        made, answered = called["tool_calls"][0]["id"], result["tool_call_id"]
    assert made == answered
    assert made.isalnum()
    assert len(made) <= limits[name]


async def test_the_id_of_the_vendors_own_call_stays():
    talk = (
        said("user", "?"),
        Message("assistant", tool_calls=(ToolCall("D681PevKs", "now"),)),
        said("tool", "noon", tool_call_id="D681PevKs"),
    )

    for name in ("openai", "mistral", "vllm"):
        called, result = (await sent(name, asked(*talk))).body["messages"][1:]
        assert called["tool_calls"][0]["id"] == "D681PevKs" == result["tool_call_id"]


async def test_mistral_gets_a_word_between_a_result_and_the_user():
    mistral = (await sent("mistral", asked(*TALK, tools=TOOLS))).body["messages"]
    openai = (await sent("openai", asked(*TALK, tools=TOOLS))).body["messages"]

    assert [m["role"] for m in mistral[-4:]] == ["tool", "tool", "assistant", "user"]
    assert mistral[-2]["content"]
    assert [m["role"] for m in openai[-3:]] == ["tool", "tool", "user"]


@pytest.mark.parametrize("name", ["groq", "cerebras"])
async def test_a_server_that_refuses_names_is_told_none(name):
    talk = (*TALK[:4], said("tool", "7", tool_call_id="c1", name="weather"), *TALK[5:])

    body = (await sent(name, asked(*talk, tools=TOOLS))).body

    assert not any("name" in message for message in body["messages"])


OBJECT = {"type": "json_object"}
JUST = {"name": "answer", "schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("name", "wanted", "format_", "is_told"),
    [
        ("openai", CITY, "json_schema", False),
        ("vllm", CITY, "json_schema", False),
        ("lmstudio", CITY, "json_schema", False),
        ("lmstudio", ResponseFormat("json_object"), "json_schema", True),
        ("deepseek", CITY, "json_object", True),
        ("deepseek", ResponseFormat("json_object"), "json_object", False),
        ("zhipu", CITY, "json_object", True),
        ("groq", CITY, None, True),
        ("cerebras", CITY, None, True),
        ("minimax", CITY, None, True),
    ],
)
async def test_a_format_that_a_server_refuses_is_told_in_words(
    name, wanted, format_, is_told
):
    request = asked(said("system", "Brief."), said("user", "?"), response_format=wanted)

    body = (await sent(name, request)).body

    assert body.get("response_format", {}).get("type") == format_
    first, second = body["messages"]
    assert (first["role"], second["role"]) == ("system", "user")
    assert first["content"].startswith("Brief.")
    assert ("JSON" in first["content"]) is is_told


async def test_words_about_a_format_make_a_system_message_where_there_is_none():
    body = (await sent("groq", asked(response_format=CITY))).body

    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert '"city"' in body["messages"][0]["content"]


@pytest.mark.parametrize("name", ["groq", "deepseek", "anthropic", "gemini"])
async def test_what_the_messages_say_of_the_format_is_not_repeated(name):
    explained = ResponseFormat("json_schema", "city", SCHEMA, is_explained=True)
    request = asked(response_format=explained, tools=TOOLS)

    body = (await sent(name, request)).body

    assert not {"system", "systemInstruction"} & body.keys()
    assert all(m["role"] != "system" for m in body.get("messages", ()))


async def test_deepseek_gets_back_what_it_thought():
    thinking = recorded.OPENAI.content
    body = await sent_back("deepseek", thinking, asked(tools=TOOLS))

    assert body["messages"][1]["reasoning_content"] == recorded.THOUGHT
    assert "reasoning_content" not in body["messages"][2]


async def test_deepseek_gets_an_empty_thought_with_an_answer_of_an_earlier_time():
    body = (await sent("deepseek", asked(*TALK))).body
    others = (await sent("openai", asked(*TALK))).body

    assert body["messages"][3]["reasoning_content"] == ""
    assert "reasoning_content" not in others["messages"][3]


@pytest.mark.parametrize(
    ("choice", "thinks"),
    [
        (None, True),
        ("auto", True),
        ("none", True),
        ("required", False),
        (NamedTool("now"), False),
    ],
)
async def test_deepseek_does_not_think_where_a_call_is_demanded(choice, thinks):
    request = asked(tools=TOOLS, tool_choice=choice)

    body = (await sent("deepseek", request)).body
    other = (await sent("openai", request)).body

    assert body.get("thinking") == (None if thinks else {"type": "disabled"})
    assert "thinking" not in other


async def test_openrouter_gets_back_whole_what_came_in_pieces():
    def piece(**details):
        return {"choices": [{"delta": {"reasoning_details": [details]}}]}

    text = {"type": "reasoning.text", "index": 0}
    secret = {"type": "reasoning.encrypted", "data": "x", "id": "call_a", "index": 1}
    content = events(
        piece(**text, text="Let", format="anthropic-claude-v1"),
        piece(**text, text=" me", signature=None),
        piece(**text, signature="sig"),
        piece(**secret),
        piece(type="reasoning.encrypted", data="a"),
        piece(type="reasoning.encrypted", data="b"),
    )

    body = await sent_back(
        "openrouter", content + recorded.OPENAI.content, asked(tools=TOOLS)
    )

    form = "anthropic-claude-v1"
    assert body["messages"][1]["reasoning_details"] == [
        {**text, "text": "Let me", "format": form, "signature": "sig"},
        secret,
        {"type": "reasoning.encrypted", "data": "a"},
        {"type": "reasoning.encrypted", "data": "b"},
    ]


async def test_an_answer_that_its_server_had_no_means_for_is_an_error():
    content = events(
        {"choices": [{"delta": {"content": "a"}}]},
        {"choices": [{"finish_reason": "insufficient_system_resource"}]},
    )
    async with vendor(stream(content)) as served:
        with pytest.raises(ProviderError) as caught:
            await answer(provider("deepseek", served.url))

    assert caught.value.is_transient


async def test_an_error_that_groq_tells_beside_an_answer_is_one():
    content = events(
        {"choices": [{"index": 0, "delta": {"content": "a"}}]},
        {"choices": [], "x_groq": {"id": "req_1", "error": "over capacity"}},
    )
    async with vendor(stream(content)) as served:
        with pytest.raises(ProviderError, match="over capacity"):
            await answer(provider("groq", served.url))


async def test_members_that_are_null_are_taken_for_absent():
    piece = {"type": "reference", "text": None}
    content = events(
        {"choices": [{"index": None, "delta": {"content": [piece]}}]},
        {"choices": [{"index": None, "delta": {"content": "a"}}]},
        {"choices": [{"index": None, "finish_reason": "stop"}]},
    )
    async with vendor(stream(content)) as served:
        found = summary(await answer(provider("mistral", served.url)))

    assert (found["text"], found["ends"]) == ("a", ["stop"])


async def test_claude_gets_back_its_thoughts_to_the_letter_and_in_their_place():
    body = await sent_back("anthropic", recorded.ANTHROPIC.content, asked(tools=TOOLS))

    signature = "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": recorded.THOUGHT, "signature": signature},
        {"type": "text", "text": recorded.TEXT},
        {
            "type": "tool_use",
            "id": "toolu_a",
            "name": "weather",
            "input": {"city": "Köln"},
        },
        {"type": "tool_use", "id": "toolu_b", "name": "now", "input": {}},
    ]


def block(index, **members):
    return [
        {
            "type": "content_block_start",
            "index": index,
            "content_block": members,
        },
        {"type": "content_block_stop", "index": index},
    ]


STOP = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}


async def test_thoughts_between_calls_and_hidden_ones_stay_where_they_were():
    content = events(
        *block(0, type="redacted_thinking", data="secret"),
        *block(1, type="tool_use", id="t1", name="now", input={}),
        *block(2, type="thinking", thinking="", signature="sig"),
        *block(3, type="tool_use", id="t2", name="now", input={}),
        STOP,
    )

    body = await sent_back("anthropic", content, asked(tools=TOOLS))

    kinds = [block["type"] for block in body["messages"][1]["content"]]
    assert kinds == ["redacted_thinking", "tool_use", "thinking", "tool_use"]
    assert body["messages"][1]["content"][0]["data"] == "secret"
    assert body["messages"][1]["content"][2]["signature"] == "sig"


async def test_claude_keeps_nothing_of_an_answer_without_calls():
    content = events(
        *block(0, type="thinking", thinking="hm", signature="sig"),
        *block(1, type="text", text="Hello"),
        STOP,
    )
    async with vendor(stream(content)) as served:
        chunks = await answer(provider("anthropic", served.url), asked(tools=TOOLS))

    assert not any(chunk.memory for chunk in chunks)
    assert summary(chunks)["text"] == "Hello"


async def test_claude_gets_no_content_with_a_result_that_has_none():
    talk = (*TALK[2:4], said("tool", " ", tool_call_id="c1"), *TALK[5:])

    body = (await sent("anthropic", asked(*talk, tools=TOOLS))).body

    result = {"type": "tool_result", "tool_use_id": "c1"}
    assert body["messages"][2]["content"][0] == result


def gemini_calls(*calls):
    parts = [{"functionCall": call, **rest} for call, rest in calls]
    candidate = {"content": {"parts": parts}, "finishReason": "STOP"}
    return events({"candidates": [candidate]})


async def test_gemini_gets_back_the_signature_and_the_ids_of_its_calls():
    content = gemini_calls(
        ({"name": "weather", "args": {"city": "Ulm"}, "id": "g1"}, SIGNED),
        ({"name": "now", "args": {}, "id": "g2"}, {}),
    )
    request = asked(model="gemini-3-pro", tools=TOOLS)

    body = await sent_back("gemini", content, request)

    first, second = body["contents"][1]["parts"]
    call = {"id": "g1", "name": "weather", "args": {"city": "Ulm"}}
    assert first == {"functionCall": call, **SIGNED}
    assert second == {"functionCall": {"id": "g2", "name": "now", "args": {}}}
    results = [part["functionResponse"] for part in body["contents"][2]["parts"]]
    assert [(each["id"], each["name"]) for each in results] == [
        ("g1", "weather"),
        ("g2", "now"),
    ]


SIGNED = {"thoughtSignature": "c2lnbmVk"}


async def test_gemini_is_told_no_id_that_it_has_not_given():
    content = gemini_calls(({"name": "now", "args": {}}, SIGNED))

    body = await sent_back("gemini", content, asked(tools=TOOLS))

    assert body["contents"][1]["parts"] == [
        {"functionCall": {"name": "now", "args": {}}, **SIGNED}
    ]
    assert "id" not in body["contents"][2]["parts"][0]["functionResponse"]


@pytest.mark.parametrize(
    ("model", "signed"),
    [
        ("gemini-3-pro", [True, False]),
        ("models/gemini-3.1-flash", [True, False]),
        ("gemini-flash-latest", [True, False]),
        ("gemini-2.5-flash", [False, False]),
    ],
)
async def test_gemini_gets_a_stand_in_for_a_lost_signature(model, signed):
    body = (await sent("gemini", asked(*TALK, model=model, tools=TOOLS))).body

    calls = [p for p in body["contents"][1]["parts"] if "functionCall" in p]
    results = body["contents"][2]["parts"][:2]
    assert ["thoughtSignature" in part for part in calls] == signed
    ids = ["c1", "c2"] if any(signed) else [None, None]
    assert [part["functionCall"].get("id") for part in calls] == ids
    assert [part["functionResponse"].get("id") for part in results] == ids


@pytest.mark.parametrize(
    ("model", "tools", "is_sent"),
    [
        ("gemini-2.5-flash", (), True),
        ("gemini-2.5-flash", TOOLS, False),
        ("gemini-3-flash", TOOLS, True),
        ("gemma-3-27b-it", (), False),
    ],
)
async def test_gemini_is_sent_a_format_where_it_takes_one(model, tools, is_sent):
    request = asked(model=model, tools=tools, response_format=CITY)

    body = (await sent("gemini", request)).body

    config = body.get("generationConfig", {})
    assert ("responseJsonSchema" in config) is is_sent
    assert ("responseMimeType" in config) is is_sent
    assert ("JSON" in str(body)) is not is_sent


async def test_gemma_is_told_its_instructions_by_the_user():
    request = asked(said("system", "Brief."), said("user", "?"), model="gemma-3-27b-it")

    body = (await sent("gemini", request)).body

    assert "systemInstruction" not in body
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Brief."}, {"text": "?"}]}
    ]


@pytest.mark.parametrize(
    "parameters",
    [{}, {"type": "object", "properties": {}, "additionalProperties": False}],
    ids=["none", "empty"],
)
async def test_gemini_is_sent_no_parameters_where_there_are_none(parameters):
    body = (await sent("gemini", asked(tools=(Tool("now", "", parameters),)))).body

    (function,) = body["tools"][0]["functionDeclarations"]
    assert function == {"name": "now", "description": ""}


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "ollama"])
async def test_the_schema_of_a_tool_says_that_it_is_an_object(name):
    properties = {"city": {"type": "string"}}
    tool = Tool("weather", "", {"properties": properties})

    body = (await sent(name, asked(tools=(tool,)))).body

    (said_,) = body["tools"]
    given = {
        "openai": lambda: said_["function"]["parameters"],
        "ollama": lambda: said_["function"]["parameters"],
        "anthropic": lambda: said_["input_schema"],
        "gemini": lambda: said_["functionDeclarations"][0]["parametersJsonSchema"],
    }[name]()
    assert given == {"type": "object", "properties": properties}


async def test_what_gemini_has_read_for_a_search_is_counted():
    usage = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 30,
        "candidatesTokenCount": 5,
    }
    content = events({"candidates": [{"finishReason": "STOP"}], "usageMetadata": usage})
    async with vendor(stream(content)) as served:
        found = summary(await answer(provider("gemini", served.url)))

    assert (found["usage"].prompt_tokens, found["usage"].completion_tokens) == (40, 5)


async def test_ollama_gets_back_what_it_thought():
    body = await sent_back(
        "ollama",
        recorded.OLLAMA.content,
        asked(tools=TOOLS),
        kind="application/x-ndjson",
    )

    assert body["messages"][1]["thinking"] == recorded.THOUGHT
    assert "thinking" not in body["messages"][0]


async def test_ollama_takes_the_name_of_a_tool_from_its_result():
    talk = (said("user", "?"), said("tool", "noon", tool_call_id="c9", name="now"))
    async with vendor(
        stream(lines({"done": True}), kind="application/x-ndjson")
    ) as served:
        await answer(provider("ollama", served.url), asked(*talk))

    assert served.requests[0].body["messages"][1]["tool_name"] == "now"
