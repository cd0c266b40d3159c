"""A turn of a stored conversation: what it tells, and in which order."""

from typing import Any

import pytest

from tests.agents.scripted import script
from tests.nodes.harness import OfflineModels, Outcome, StoredThreads, run_node
from workflows.engine.events import Chunk, ErrorMessage, MessageEvent, OutputUpdate

TYPE = "nodetool.chat.Turn"


async def turn(content: Any, model: str = "fake/scripted", **data: Any) -> Outcome:
    message = {"id": "m1", "role": "user", "content": content}
    later = {"id": "m2", "role": "user", "content": "later"}
    return await run_node(
        TYPE,
        {"thread_id": "t1", "message_id": "m1", "model": model, **data},
        threads=StoredThreads({"t1": [message, later]}),
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
