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
        asked("1", "2"),
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "user", "content": "Go on"},
    )

    assert read_back == [
        Message("assistant", tool_calls=calls),
        said("tool", "one", tool_call_id="1", name="add"),
        said("tool", "7", tool_call_id="2", name="add"),
        said("user", "Go on"),
    ]
