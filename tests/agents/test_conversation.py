"""A stored conversation becomes what a model is given."""

from typing import Any

from tests.agents.scripted import said
from workflows.agents.conversation import read_conversation
from workflows.providers.messages import ImagePart, Message, TextPart, ToolCall

PICTURE = ImagePart(b"png", "image/png")


async def read(*stored: dict[str, Any]) -> list[Message]:
    async def read_part(part, *, is_last):
        assert part["type"] == "image_url"
        return PICTURE if is_last else TextPart("[image]")

    return await read_conversation(stored, read_part)


def asked(*ids: str, **fields: Any) -> dict[str, Any]:
    calls = [{"id": i, "name": "add", "args": {"a": 1}, "result": 7} for i in ids]
    return {"role": "assistant", "content": "", "tool_calls": calls, **fields}


async def test_texts_keep_their_roles_and_order():
    read_back = await read(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "agent_execution", "content": "planning"},
        {"role": "assistant", "content": "Hello"},
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": "", "tool_calls": [{"id": 1}, "x", {}]},
        {"role": "user", "content": {"a": 1}},
    )

    assert read_back == [
        said("system", "Be brief."),
        said("user", "Hi"),
        said("assistant", "Hello"),
        said("user", '{"a":1}'),
    ]


async def test_parts_are_texts_and_what_the_port_reads():
    content = [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image": {"type": "image"}},
        {"type": "thought", "text": "hm"},
        {"type": "text", "text": ""},
    ]

    messages = [{"role": "user", "content": content} for _ in range(2)]
    earlier, last = await read(*messages)

    assert earlier.content == (TextPart("Look:"), TextPart("[image]"))
    assert last.content == (TextPart("Look:"), PICTURE)


async def test_a_result_follows_its_call():
    calls = tuple(ToolCall(i, "add", '{"a":1}') for i in ("1", "2"))

    read_back = await read(
        {"role": "tool", "tool_call_id": "0", "content": "cut off from its call"},
        {"role": "user", "content": "Add"},
        asked("1", "2"),
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "user", "content": "Go on"},
    )

    assert read_back == [
        said("user", "Add"),
        Message("assistant", tool_calls=calls),
        said("tool", "one", tool_call_id="1", name="add"),
        said("tool", "7", tool_call_id="2", name="add"),
        said("user", "Go on"),
    ]


async def test_of_a_turn_without_its_question_nothing_is_left():
    read_back = await read(
        {"role": "system", "content": "Be brief."},
        asked("1"),
        {"role": "assistant", "content": "Seven."},
        {"role": "user", "content": "And?"},
    )

    assert read_back == [said("system", "Be brief."), said("user", "And?")]


async def test_what_the_assistant_said_first_stays():
    read_back = await read(
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Hi"},
        asked("1"),
    )

    assert [m.role for m in read_back] == ["assistant", "user", "assistant", "tool"]


async def test_a_name_that_a_model_made_up_goes_back_as_vendors_take_it():
    call = {"id": "1", "name": "no tool!", "args": {}}

    read_back = await read(
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    )

    assert read_back[1].tool_calls == (ToolCall("1", "no_tool_"),)
    assert read_back[2].name == "no_tool_"


async def test_what_was_thought_comes_back_with_calls_alone():
    read_back = await read(
        {"role": "user", "content": "Hi"},
        asked("1", thinking="hm"),
        {"role": "assistant", "content": "Seven.", "thinking": "so"},
    )

    assert [message.reasoning for message in read_back] == ["", "hm", "", ""]
