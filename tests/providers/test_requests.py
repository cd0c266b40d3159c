"""What each wire is sent for one conversation, and what is left out of it."""

import json

import pytest

from tests.providers import recorded
from tests.providers.calling import KEY, answer, asked, provider, said
from tests.providers.vendor import stream, vendor
from workflows.providers.base import ProviderError
from workflows.providers.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    NamedTool,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
)

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
IMAGE = ImagePart(b"\x89PNG", "image/png", "low")
IMAGE_TEXT = "iVBORw=="
CALLS = (ToolCall("c1", "weather", '{"city":"Ulm"}'), ToolCall("c2", "now"))
TALK = (
    said("system", "Be brief."),
    said("developer", "Be kind."),
    Message("user", (TextPart("What is this?"), IMAGE)),
    Message("assistant", (TextPart("Let me see."),), tool_calls=CALLS),
    said("tool", '{"degrees":7}', tool_call_id="c1"),
    said("tool", "noon", tool_call_id="c2"),
    said("user", "And?", name="ann"),
)
TOOLS = (Tool("weather", "Tells the weather.", SCHEMA, strict=True), Tool("now"))
FULL = asked(
    *TALK,
    temperature=1.5,
    top_p=0.5,
    max_tokens=99,
    stop=("END", "\n\n"),
    seed=7,
    frequency_penalty=0.1,
    presence_penalty=0.2,
    logit_bias={"5": 1.0},
    logprobs=True,
    top_logprobs=2,
    reasoning_effort="low",
    verbosity="low",
    tools=TOOLS,
    tool_choice="required",
    parallel_tool_calls=False,
    response_format=ResponseFormat("json_schema", "city", SCHEMA, strict=True),
    extras={"user": "u1", "service_tier": "flex", "made_up": 1},
)
SHAPES = {shape.provider: shape for shape in recorded.ALL}


async def sent(name, request):
    shape = SHAPES.get(name, recorded.OPENAI)
    async with vendor(stream(shape.content, kind=shape.kind)) as served:
        await answer(provider(name, served.url), request)
    return served.requests[0]


async def test_openai_is_sent_all_of_it():
    request = await sent("openai", FULL)

    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "model-1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Be kind."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image_url",
                        "image_url": {
                            "url": f"data:image/png;base64,{IMAGE_TEXT}",
                            "detail": "low",
                        },
                    },
                ],
            },
            {
                "role": "assistant",
                "content": "Let me see.",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {
                            "name": "weather",
                            "arguments": '{"city":"Ulm"}',
                        },
                    },
                    {
                        "id": "c2",
                        "type": "function",
                        "function": {"name": "now", "arguments": "{}"},
                    },
                ],
            },
            {"role": "tool", "content": '{"degrees":7}', "tool_call_id": "c1"},
            {"role": "tool", "content": "noon", "tool_call_id": "c2"},
            {"role": "user", "content": "And?", "name": "ann"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 1.5,
        "top_p": 0.5,
        "max_completion_tokens": 99,
        "stop": ["END", "\n\n"],
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "logit_bias": {"5": 1.0},
        "logprobs": True,
        "top_logprobs": 2,
        "reasoning_effort": "low",
        "verbosity": "low",
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "description": "Tells the weather.",
                    "parameters": SCHEMA,
                    "strict": True,
                },
            },
            {
                "type": "function",
                "function": {
                    "name": "now",
                    "parameters": {"type": "object", "properties": {}},
                },
            },
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "city", "schema": SCHEMA, "strict": True},
        },
        "user": "u1",
        "service_tier": "flex",
    }


async def test_what_was_not_asked_for_is_not_sent():
    body = (await sent("openai", asked())).body

    assert sorted(body) == ["messages", "model", "stream", "stream_options"]


async def test_mistral_is_sent_its_own_words():
    body = (await sent("mistral", FULL)).body

    assert (body["max_tokens"], body["random_seed"]) == (99, 7)
    assert body["tool_choice"] == "any"
    assert [m["role"] for m in body["messages"]][:2] == ["system", "system"]
    assert not {"seed", "stream_options", "logprobs", "user"} & body.keys()
    assert "name" not in body["messages"][-1]


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("groq", {"logprobs", "top_logprobs", "logit_bias"}),
        ("cerebras", {"frequency_penalty", "presence_penalty", "logit_bias"}),
        ("vllm", {"verbosity", "service_tier"}),
    ],
)
async def test_what_a_server_refuses_is_left_out(name, lacks):
    body = (await sent(name, FULL)).body

    assert not (lacks | {"max_completion_tokens"}) & body.keys()
    assert body["max_tokens"] == 99


async def test_a_local_server_is_sent_no_key_and_found_below_its_version():
    request = await sent("llama_cpp", asked())

    assert "authorization" not in request.headers
    assert request.path == "/v1/chat/completions"


async def test_anthropic_is_sent_turns():
    request = await sent("anthropic", FULL)

    assert request.headers["x-api-key"] == KEY
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in request.headers
    body = request.body
    instruction = body["system"].split("\n\n")[-1]
    assert body["system"].startswith("Be brief.\n\nBe kind.\n\n")
    assert json.dumps(SCHEMA, separators=(",", ":")) in instruction
    del body["system"]
    assert body == {
        "model": "model-1",
        "max_tokens": 99,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image",
                        "source": {
                            "type": "base64",
                            "media_type": "image/png",
                            "data": IMAGE_TEXT,
                        },
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Let me see."},
                    {
                        "type": "tool_use",
                        "id": "c1",
                        "name": "weather",
                        "input": {"city": "Ulm"},
                    },
                    {"type": "tool_use", "id": "c2", "name": "now", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c1",
                        "content": [{"type": "text", "text": '{"degrees":7}'}],
                    },
                    {
                        "type": "tool_result",
                        "tool_use_id": "c2",
                        "content": [{"type": "text", "text": "noon"}],
                    },
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
        "stream": True,
        "temperature": 1.0,
        "stop_sequences": ["END"],
        "tools": [
            {
                "name": "weather",
                "description": "Tells the weather.",
                "input_schema": SCHEMA,
            },
            {
                "name": "now",
                "description": "",
                "input_schema": {"type": "object", "properties": {}},
            },
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "metadata": {"user_id": "u1"},
    }


async def test_gemini_is_sent_contents():
    request = await sent("gemini", FULL)

    assert request.headers["x-goog-api-key"] == KEY
    assert KEY not in request.path
    body = request.body
    instructions = body.pop("systemInstruction")["parts"]
    assert [part["text"] for part in instructions[1:]] == ["Be kind."]
    assert instructions[0]["text"].startswith("Be brief.")
    assert json.dumps(SCHEMA, separators=(",", ":")) in instructions[0]["text"]
    assert body == {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "What is this?"},
                    {"inlineData": {"mimeType": "image/png", "data": IMAGE_TEXT}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "Let me see."},
                    {"functionCall": {"name": "weather", "args": {"city": "Ulm"}}},
                    {"functionCall": {"name": "now", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {
                        "functionResponse": {
                            "name": "weather",
                            "response": {"degrees": 7},
                        }
                    },
                    {
                        "functionResponse": {
                            "name": "now",
                            "response": {"result": "noon"},
                        }
                    },
                    {"text": "And?"},
                ],
            },
        ],
        "generationConfig": {
            "temperature": 1.5,
            "topP": 0.5,
            "maxOutputTokens": 99,
            "stopSequences": ["END", "\n\n"],
            "seed": 7,
        },
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "weather",
                        "description": "Tells the weather.",
                        "parametersJsonSchema": SCHEMA,
                    },
                    {"name": "now", "description": ""},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    }


async def test_ollama_is_sent_options():
    request = await sent("ollama", FULL)

    assert request.body == {
        "model": "model-1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "What is this?", "images": [IMAGE_TEXT]},
            {
                "role": "assistant",
                "content": "Let me see.",
                "tool_calls": [
                    {"function": {"name": "weather", "arguments": {"city": "Ulm"}}},
                    {"function": {"name": "now", "arguments": {}}},
                ],
            },
            {"role": "tool", "content": '{"degrees":7}', "tool_name": "weather"},
            {"role": "tool", "content": "noon", "tool_name": "now"},
            {"role": "user", "content": "And?"},
        ],
        "stream": True,
        "format": SCHEMA,
        "options": {
            "temperature": 1.5,
            "top_p": 0.5,
            "num_predict": 99,
            "stop": ["END", "\n\n"],
            "seed": 7,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
        },
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "description": "Tells the weather.",
                    "parameters": SCHEMA,
                },
            },
            {
                "type": "function",
                "function": {
                    "name": "now",
                    "description": "",
                    "parameters": {"type": "object", "properties": {}},
                },
            },
        ],
    }


@pytest.mark.parametrize(
    ("choice", "openai", "anthropic", "gemini"),
    [
        ("none", "none", {"type": "none"}, {"mode": "NONE"}),
        ("auto", "auto", {"type": "auto"}, {"mode": "AUTO"}),
        ("required", "required", {"type": "any"}, {"mode": "ANY"}),
        (
            NamedTool("now"),
            {"type": "function", "function": {"name": "now"}},
            {"type": "tool", "name": "now"},
            {"mode": "ANY", "allowedFunctionNames": ["now"]},
        ),
    ],
)
async def test_a_choice_of_tools_is_said_in_each_language(
    choice, openai, anthropic, gemini
):
    request = asked(tools=TOOLS, tool_choice=choice)

    assert (await sent("openai", request)).body["tool_choice"] == openai
    assert (await sent("anthropic", request)).body["tool_choice"] == anthropic
    config = (await sent("gemini", request)).body["toolConfig"]
    assert config == {"functionCallingConfig": gemini}
    assert ("tools" in (await sent("ollama", request)).body) is (choice != "none")


async def test_a_choice_without_tools_is_not_sent():
    request = asked(tool_choice="auto", parallel_tool_calls=True)
    for name in SHAPES:
        body = (await sent(name, request)).body
        assert not {"tool_choice", "toolConfig", "parallel_tool_calls"} & body.keys()


async def test_json_without_a_schema_is_asked_for_in_each_language():
    request = asked(response_format=ResponseFormat("json_object"))

    openai = (await sent("openai", request)).body
    assert openai["response_format"] == {"type": "json_object"}
    assert "JSON object" in (await sent("anthropic", request)).body["system"]
    gemini = (await sent("gemini", request)).body["generationConfig"]
    assert gemini == {"responseMimeType": "application/json"}
    assert (await sent("ollama", request)).body["format"] == "json"


async def test_what_an_answer_is_for_is_told_with_its_schema():
    about = "Where they live."
    wanted = ResponseFormat("json_schema", "city", SCHEMA, description=about)
    request = asked(response_format=wanted)

    sent_schema = (await sent("openai", request)).body["response_format"]["json_schema"]
    assert sent_schema == {"name": "city", "schema": SCHEMA, "description": about}
    assert about in (await sent("anthropic", request)).body["system"]


@pytest.mark.parametrize("name", ["anthropic", "ollama"])
async def test_sound_is_refused_where_there_is_no_place_for_it(name):
    with pytest.raises(ProviderError) as caught:
        await sent(name, asked(Message("user", (AudioPart(b"RIFF", "wav"),))))

    assert (caught.value.status, caught.value.code) == (400, "unsupported_value")
    assert not caught.value.is_transient


async def test_sound_and_files_are_sent_where_there_is_a_place():
    pdf = FilePart(b"%PDF", "application/pdf", "a.pdf")
    request = asked(Message("user", (AudioPart(b"RIFF", "wav"), pdf)))

    openai = (await sent("openai", request)).body["messages"][0]["content"]
    gemini = (await sent("gemini", request)).body["contents"][0]["parts"]

    assert openai == [
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {
            "type": "file",
            "file": {
                "filename": "a.pdf",
                "file_data": "data:application/pdf;base64,JVBERg==",
            },
        },
    ]
    assert gemini == [
        {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
    ]


@pytest.mark.parametrize("name", ["anthropic", "gemini", "ollama"])
@pytest.mark.parametrize("arguments", ["{", "[1]", "7", "[" * 100_000])
async def test_arguments_that_are_no_object_are_refused(name, arguments):
    call = ToolCall("c1", "now", arguments)
    talk = (said("user", "Hi"), Message("assistant", tool_calls=(call,)))
    with pytest.raises(ProviderError, match="'c1'") as caught:
        await sent(name, asked(*talk))

    assert caught.value.status == 400


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"x": value}
    return value


@pytest.mark.parametrize("name", sorted(SHAPES))
@pytest.mark.parametrize(
    "request_",
    [
        asked(said("user", "half: \ud83c")),
        asked(model="half-\ud83c", tools=(Tool("f", "\udf0d"),)),
        asked(tools=(Tool("f", "", nested(100_000)),)),
    ],
    ids=["text", "model", "schema"],
)
async def test_what_cannot_be_written_is_refused(name, request_):
    with pytest.raises(ProviderError) as caught:
        await sent(name, request_)

    assert caught.value.status == 400


async def test_claude_without_a_bound_is_sent_its_largest():
    old = (await sent("anthropic", asked(model="claude-3-haiku-20240307"))).body
    new = (await sent("anthropic", asked(model="claude-sonnet-4-5"))).body

    assert (old["max_tokens"], new["max_tokens"]) == (4096, 32000)


async def test_mistral_is_sent_what_surrounds_the_code_that_is_asked_for():
    request = asked(said("user", "def f("), temperature=0.0, extras={"suffix": "x"})

    sent_ = await sent("mistral", request)

    assert sent_.path == "/fim/completions"
    assert sent_.body == {
        "model": "model-1",
        "prompt": "def f(",
        "suffix": "x",
        "temperature": 0.0,
        "stream": True,
    }


async def test_gemini_is_asked_to_search():
    sent_ = await sent("gemini", asked(extras={"google_search": True}))

    assert sent_.body["tools"] == [{"google_search": {}}]
