"""What a request's body may say, and which field a refusal names."""

import base64

import pytest
from django.test import override_settings

from chat.attachments import FileReference, ImageReference
from chat.openai_api.errors import InvalidField
from chat.openai_api.messages import Pending
from chat.openai_api.requests import read_completion
from workflows.providers.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    NamedTool,
    TextPart,
    Tool,
)

HI = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"a": 1}}}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "add", "arguments": '{"a":1}'},
        }
    ],
}
PNG = base64.b64encode(b"\x89PNG").decode()


def read(**fields):
    return read_completion({"model": "m", "messages": [HI], **fields})


def part(value, role="user"):
    wanted = read(messages=[{"role": role, "content": [value]}])
    return wanted.messages[0].content[0]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [HI, {"role": "pope", "content": ""}]}, "messages[1].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{**HI, "name": 1}]}, "messages[0].name"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "tool", "content": "", "tool_call_id": "c1"}]},
            "messages[0].tool_call_id",
        ),
        ({"model": 1}, "model"),
        ({"model": " "}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {}}, "stream_options"),
        ({"stream": True, "stream_options": 1}, "stream_options"),
        (
            {"stream": True, "stream_options": {"include_usage": 1}},
            "stream_options.include_usage",
        ),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"top_p": 1.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"stop": 1}, "stop"),
        ({"stop": ["a", 1]}, "stop"),
        ({"stop": list("abcde")}, "stop"),
        ({"stop": ["a", "x" * 1025]}, "stop"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"seed": "1"}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"max_tokens": 2**63}, "max_tokens"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"logit_bias": {"5": 101}}, "logit_bias.5"),
        ({"logprobs": 1}, "logprobs"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"tools": {}}, "tools"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [TOOL, {"type": "magic"}]}, "tools[1].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{**TOOL, "function": {}}]}, "tools[0].function.name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {
                "tools": [TOOL],
                "tool_choice": {"type": "function", "function": {"name": "sub"}},
            },
            "tool_choice",
        ),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"metadata": "x"}, "metadata"),
        ({"user": 1}, "user"),
        ({"provider": 1}, "provider"),
        ({"functions": [{}]}, "functions[0].name"),
        ({"functions": [1]}, "functions[0]"),
        ({"functions": [{"name": "f"}], "tools": [TOOL]}, "functions"),
        ({"functions": [{"name": "f"}], "tool_choice": "auto"}, "functions"),
        ({"tools": [TOOL], "function_call": "auto"}, "function_call"),
        ({"function_call": "auto"}, "function_call"),
        ({"functions": [{"name": "f"}], "function_call": "must"}, "function_call"),
        (
            {"functions": [{"name": "f"}], "function_call": {"name": "g"}},
            "function_call",
        ),
        ({"functions": [{"name": "f"}], "function_call": {}}, "function_call.name"),
        (
            {"messages": [{"role": "assistant", "function_call": {}}]},
            "messages[0].function_call.name",
        ),
        (
            {"messages": [{"role": "function", "content": "1"}]},
            "messages[0].name",
        ),
        (
            {"messages": [CALLED, {"role": "function", "name": "add", "content": ""}]},
            "messages[1].name",
        ),
    ],
)
def test_a_refusal_names_the_field(fields, param):
    with pytest.raises(InvalidField) as raised:
        read(**fields)

    assert raised.value.param == param
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({"type": "video"}, "type"),
        ({"text": "x"}, "type"),
        ({"type": "text"}, "text"),
        ({"type": "image_url"}, "image_url"),
        ({"type": "image_url", "image_url": {}}, "image_url.url"),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%"}},
            "image_url.url",
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:text/x;base64,{PNG}"}},
            "image_url.url",
        ),
        (
            {"type": "input_audio", "input_audio": {"data": PNG, "format": "ogg"}},
            "input_audio.format",
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}},
            "input_audio.data",
        ),
        ({"type": "file", "file": {"file_id": 1}}, "file.file_id"),
        ({"type": "file", "file": {}}, "file.file_data"),
    ],
)
def test_a_refusal_names_the_part(value, param):
    with pytest.raises(InvalidField) as raised:
        part(value)

    assert raised.value.param == f"messages[0].content[0].{param}"


def test_parts_are_read():
    url = f"data:image/png;base64,{PNG}"
    sound = {"data": PNG, "format": "wav"}
    document = {"file_data": f"data:application/pdf;base64,{PNG}", "filename": "a.pdf"}

    assert part({"type": "text", "text": "x"}) == TextPart("x")
    assert part({"type": "image_url", "image_url": url}) == ImagePart(
        b"\x89PNG", "image/png"
    )
    assert part(
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    ) == ImagePart(b"\x89PNG", "image/png", "low")
    assert part({"type": "input_audio", "input_audio": sound}) == AudioPart(
        b"\x89PNG", "wav"
    )
    assert part({"type": "file", "file": document}) == FilePart(
        b"\x89PNG", "application/pdf", "a.pdf"
    )
    with pytest.raises(InvalidField):
        part({"type": "image_url", "image_url": url}, role="system")


def test_what_is_absent_or_null_was_not_asked_for():
    names = ("stream", "n", "stop", "tools", "temperature", "user", "stream_options")

    wanted = read(**dict.fromkeys(names), unknown=1, tool_choice=None)

    assert wanted == read()
    assert (wanted.choices, wanted.is_stream, wanted.wants_usage) == (1, False, False)
    assert wanted.request.extras == {}


@override_settings(DEFAULT_MODEL="theirs")
def test_a_request_without_a_model_gets_the_default_one():
    assert read_completion({"messages": [HI]}).model == "theirs"


def test_fields_go_on_to_the_provider():
    wanted = read(
        stream=True,
        stream_options={"include_usage": True},
        temperature=1,
        max_tokens=5,
        max_completion_tokens=7,
        stop="END",
        n=2,
        seed=-1,
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "add"}},
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
        },
        metadata={"a": "b"},
        store=False,
    )

    request = wanted.request
    assert (wanted.choices, wanted.is_stream, wanted.wants_usage) == (2, True, True)
    assert (request.temperature, request.max_tokens, request.seed) == (1.0, 7, -1)
    assert request.stop == ("END",)
    assert request.tools == (Tool("add", parameters={"a": 1}),)
    assert request.tool_choice == NamedTool("add")
    assert request.response_format.schema == {"type": "object"}
    assert request.extras == {"metadata": {"a": "b"}, "store": False}


def test_a_round_of_tools_is_accepted_as_it_came():
    wanted = read(
        messages=[HI, CALLED, {"role": "tool", "tool_call_id": "c1", "content": "2"}]
    )

    _, (assistant, *_), (result, content, _) = wanted.messages
    assert assistant.tool_calls[0].arguments == '{"a":1}'
    assert (result.tool_call_id, content) == ("c1", (TextPart("2"),))


@pytest.mark.parametrize(("given", "taken"), [("hm", "hm"), (None, ""), (7, "")])
def test_a_thought_comes_back_with_the_answer_it_came_with(given, taken):
    answered = {**CALLED, "reasoning_content": given}
    wanted = read(messages=[{**HI, "reasoning_content": given}, answered])

    (asked, *_), (assistant, *_) = wanted.messages
    assert (asked.reasoning, assistant.reasoning) == ("", taken)


def test_what_a_message_refers_to_is_read_later():
    url = "http://public.test/a.png"
    image = {"type": "image_url", "image_url": {"url": url, "detail": "high"}}
    file = {"type": "file", "file": {"file_id": "a1", "filename": "b.pdf"}}

    where = "messages[0].content[0]"
    assert part(image) == Pending(f"{where}.image_url.url", ImageReference(url, "high"))
    assert part({"type": "image_url", "image_url": "/storage/a.png"}) == Pending(
        f"{where}.image_url", ImageReference("/storage/a.png")
    )
    assert part(file) == Pending(f"{where}.file.file_id", FileReference("a1", "b.pdf"))


def test_references_have_a_bound():
    image = {"type": "image_url", "image_url": {"url": "http://public.test/"}}

    assert read(messages=[{"role": "user", "content": [image] * 100}])
    with pytest.raises(InvalidField, match="at most 100 pictures and files"):
        read(messages=[{"role": "user", "content": [image] * 101}])


def test_a_picture_is_what_its_bytes_say():
    jpeg = base64.b64encode(b"\xff\xd8\xff\xe0").decode()
    odd = base64.b64encode(b"BMxx").decode()

    for data, media_type in ((jpeg, "image/jpeg"), (odd, "image/png")):
        image = {"type": "image_url", "image_url": f"data:image/png;base64,{data}"}
        assert part(image).media_type == media_type


def test_functions_are_tools():
    function = {"name": "add", "description": "Adds.", "parameters": {"a": 1}}

    wanted = read(functions=[function], function_call={"name": "add"})

    assert wanted.is_legacy
    assert wanted.request.tools == (Tool("add", "Adds.", {"a": 1}),)
    assert wanted.request.tool_choice == NamedTool("add")
    assert wanted.request.parallel_tool_calls is False
    assert not read(tools=[TOOL]).is_legacy


def test_a_round_of_functions_is_a_round_of_tools():
    called = {
        "role": "assistant",
        "content": None,
        "function_call": {"name": "add", "arguments": "{}"},
    }
    wanted = read(
        messages=[
            *(HI, called, {"role": "function", "name": "add", "content": "1"}),
            *(called, {"role": "function", "name": "add", "content": "2"}),
        ]
    )

    _, *messages = (draft.message for draft in wanted.messages)
    first, one, second, two = messages
    assert [message.role for message in messages] == ["assistant", "tool"] * 2
    assert one.tool_call_id == first.tool_calls[0].id
    assert two.tool_call_id == second.tool_calls[0].id != one.tool_call_id
    assert wanted.messages[2].content == (TextPart("1"),)


def test_c03_no_address_of_a_provider_comes_from_a_request():
    evil = {"api_base": "http://evil", "base_url": "http://evil", "api_key": "k"}

    assert read(**evil) == read()
