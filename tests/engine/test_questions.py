"""What a node asks of the client, and the answers."""

import asyncio

import pytest

from workflows.engine import questions
from workflows.engine.questions import Questions, TooManyQuestions
from workflows.engine.usage import UsageTally

pytestmark = pytest.mark.asyncio


async def test_an_answer_may_come_before_anybody_waits():
    asked = Questions()
    asked.expect("q")

    assert asked.give("q", {"ok": True})

    assert await asked.answer("q", 1) == {"ok": True}


async def test_the_first_answer_counts_and_unknown_questions_take_none():
    asked = Questions()
    asked.expect("q")
    waiting = asyncio.ensure_future(asked.answer("q", 1))
    await asyncio.sleep(0)

    assert asked.give("q", 1)
    assert not asked.give("q", 2)
    assert not asked.give("other", 3)

    assert await waiting == 1
    assert not asked.give("q", 4)


async def test_a_question_that_nobody_answers_ends():
    asked = Questions()
    asked.expect("q")

    with pytest.raises(TimeoutError):
        await asked.answer("q", 0.01)

    assert not asked.give("q", 1)


async def test_open_questions_have_a_bound(monkeypatch):
    monkeypatch.setattr(questions, "MAX_OPEN", 1)
    asked = Questions()
    asked.expect("a")

    with pytest.raises(TooManyQuestions):
        asked.expect("b")


async def test_usage_is_summed_and_absent_without_calls():
    tally = UsageTally()
    assert tally.document() is None

    tally.add(3, 4)
    tally.add(10, 0)

    assert tally.document() == {
        "prompt_tokens": 13,
        "completion_tokens": 4,
        "total_tokens": 17,
    }
