"""A turn of a stored conversation: what it tells, and in which order."""

from typing import Any

import pytest

from tests.agents.scripted import script
from tests.nodes.harness import (
    OfflineModels,
    Outcome,
    Recorder,
    StoredThreads,
    run_node,
)
from workflows.engine.events import (
    Chunk,
    ClientToolCall,
    ErrorMessage,
    Event,
    MessageEvent,
    OutputUpdate,
    ToolCallUpdate,
    ToolResultUpdate,
)
from workflows.engine.questions import Questions

TYPE = "nodetool.chat.Turn"


class Answering(Recorder):
    """A client that answers the calls of its tools at once."""

    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__()
        self.questions = Questions()
        self._answers = answers

    def emit(self, event: Event) -> None:
        super().emit(event)
        if isinstance(event, ClientToolCall):
            answer = self._answers[event.tool_call_id]
            assert self.questions.give(event.tool_call_id, answer)


async def turn(
    content: Any,
    model: str = "fake/scripted",
    *,
    answers: dict[str, Any] | None = None,
    **data: Any,
) -> Outcome:
    message = {"id": "m1", "role": "user", "content": content}
    later = {"id": "m2", "role": "user", "content": "later"}
    client = Answering(answers or {})
    return await run_node(
        TYPE,
        {"thread_id": "t1", "message_id": "m1", "model": model, **data},
        recorder=client,
        threads=StoredThreads({"t1": [message, later]}),
        questions=client.questions,
    )


def told(outcome: Outcome, kind: type) -> list[Any]:
    return outcome.recorder.of(kind)


async def test_chunks_come_first_then_the_last_one_then_the_message():
    outcome = await turn(script({"reasoning": "hm", "text": "twelve chars"}))

    chunks = told(outcome, Chunk)
    assert [(c.content, c.thinking, c.done) for c in chunks] == [
        ("hm", True, False),
        ("twelve cha", False, False),
        ("rs", False, False),
        ("", False, True),
    ]
    assert {(c.thread_id, c.node_id) for c in chunks} == {("t1", None)}
    (message,) = told(outcome, MessageEvent)
    assert message == MessageEvent(
        id="job-1",
        thread_id="t1",
        role="assistant",
        content="twelve chars",
        thinking="hm",
        provider="fake",
        model="scripted",
    )
    order = [e for e in outcome.recorder.events if isinstance(e, Chunk | MessageEvent)]
    assert order[-2:] == [chunks[-1], message]
    assert outcome.outputs == {"text": ["twelve chars"]}


async def test_messages_after_the_one_that_is_answered_are_not_seen():
    outcome = await turn("first", model="fake/echo")

    assert outcome.outputs == {"text": ["first"]}


async def test_the_tokens_of_a_turn_are_counted():
    outcome = await turn("12345678", model="fake/echo")

    assert outcome.usage["total_tokens"] == 4


@pytest.mark.parametrize(
    ("vendor", "error_type"),
    [
        (400, "invalid_request"),
        (401, "authentication"),
        (404, "model_not_found"),
        (429, "rate_limit"),
        (500, "provider_error"),
        (503, "connection"),
        (504, "timeout"),
    ],
)
async def test_a_failure_is_told_before_the_turn_fails(vendor, error_type):
    # After a first piece, so that it is not tried again.
    failing = {"text": "Once", "error": {"status": vendor, "after": 1}}

    outcome = await turn(script(failing))

    (error,) = told(outcome, ErrorMessage)
    assert (error.error_type, error.status_code) == (error_type, vendor)
    assert error.message == error.error == "scripted failure"
    assert error.thread_id == "t1"
    assert str(outcome.error) == "scripted failure"
    assert told(outcome, MessageEvent) == []
    assert told(outcome, OutputUpdate) == []


async def test_a_provider_without_its_key_is_named_with_the_cure():
    outcome = await turn("Hi", model="gpt-4o", provider="openai")

    (error,) = told(outcome, ErrorMessage)
    assert error.error_type == "authentication"
    assert error.status_code is None
    assert error.message == OfflineModels.NO_KEY


ADD = {"name": "lib_math_Add", "arguments": {"a": 2, "b": 3}}


async def test_tools_are_told_before_the_messages_that_they_make():
    what = script({"text": "Let me", "tool_calls": [ADD]}, {"text": "5"})

    outcome = await turn(what, tools=["lib.math.Add"])

    events = [e for e in outcome.recorder.events if getattr(e, "thread_id", None)]
    assert [e.__struct_config__.tag for e in events] == [
        "chunk",
        "tool_call_update",
        "tool_result_update",
        "message",
        "message",
        "chunk",
        "chunk",
        "message",
    ]
    asked, result, final = told(outcome, MessageEvent)
    assert (asked.role, asked.content) == ("assistant", "")
    assert asked.tool_calls == [
        {
            "id": "call_fake_0_0",
            "name": "lib_math_Add",
            "args": {"a": 2, "b": 3},
            "result": 5,
            "step_id": None,
            "message": None,
        }
    ]
    assert (result.role, result.content, result.name) == ("tool", "5", "lib_math_Add")
    assert result.tool_call_id == "call_fake_0_0"
    assert final.content == "Let me\n\n5"
    assert [message.id for message in (asked, result, final)] == [
        "job-1",
        "job-2",
        "job-3",
    ]


async def test_the_tool_of_a_client_follows_its_call_and_hides_that_of_the_server():
    answers = {"call_fake_0_0": {"ok": True, "result": "six"}}
    client_tool = {"name": "lib_math_Add", "parameters": {"type": "object"}}

    outcome = await turn(
        script({"tool_calls": [ADD]}, {"text": "6"}),
        tools=["lib.math.Add"],
        client_tools=[client_tool],
        answers=answers,
    )

    kinds = [type(event) for event in outcome.recorder.events]
    asked = kinds.index(ToolCallUpdate)
    assert kinds[asked : asked + 3] == [
        ToolCallUpdate,
        ClientToolCall,
        ToolResultUpdate,
    ]
    assert told(outcome, ClientToolCall)[0].tool_call_id == "call_fake_0_0"
    assert told(outcome, MessageEvent)[1].content == "six"


async def test_a_tool_that_is_not_there_is_an_invalid_request():
    outcome = await turn("Hi", tools=["nothing"])

    (error,) = told(outcome, ErrorMessage)
    assert error.error_type == "invalid_request"
    assert error.message.startswith("There is no tool 'nothing'")


async def test_a_message_that_is_not_there_is_not_answered():
    outcome = await run_node(
        TYPE,
        {"thread_id": "hers", "message_id": "", "model": "fake/echo"},
        threads=StoredThreads({}),
    )

    (error,) = told(outcome, ErrorMessage)
    assert error.message.startswith("There is nothing to answer")
    assert outcome.usage is None
