"""Answers that have to have a shape, from models that do not keep to it."""

import pytest

from tests.agents.scripted import Answers, said
from workflows.agents.answers import AgentError
from workflows.agents.structured import ask_structured, json_in
from workflows.engine.errors import ValueMisfit
from workflows.engine.usage import UsageTally
from workflows.providers.messages import ChatRequest, Chunk, ImagePart, Message


async def ask(provider, *messages):
    request = ChatRequest(model="model", messages=messages or (said("user", "?"),))
    return await ask_structured(
        provider.reached(), request, {"type": "object"}, lambda v: v, usage=UsageTally()
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("Here:\n```json\n[1, 2]\n```\nDone.", [1, 2]),
        ('<think>{"b": 2}, or {"b": 3}?</think>\n\n{"a": 1}', {"a": 1}),
        ('<think>hm</think>"yes"', "yes"),
        ('{"tag": "</think>"}', {"tag": "</think>"}),
    ],
)
def test_the_json_of_an_answer_is_found(text, value):
    assert json_in(text) == value


@pytest.mark.parametrize("text", ["", "yes", "{a: 1}", '{"a": "\ud83c"'])
def test_text_without_json_is_a_misfit(text):
    with pytest.raises(ValueMisfit):
        json_in(text)


async def test_the_schema_is_told_behind_the_question_and_its_pictures():
    provider = Answers([Chunk(text="{}")])
    picture = ImagePart(b"", "image/png")

    await ask(provider, said("system", "Brief."), Message("user", (picture,)))

    first, last = provider.requests[0].messages
    assert first.text == "Brief."
    assert last.content[0] == picture
    assert '<JSON_SCHEMA>\n{"type":"object"}' in last.text


async def test_an_empty_answer_is_corrected_without_a_message_that_says_nothing():
    provider = Answers([Chunk(finish_reason="stop")], [Chunk(text="{}")])

    assert await ask(provider) == {}

    roles = [message.role for message in provider.requests[1].messages]
    assert roles == ["user", "user"]


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_a_model_that_could_not_say_anything_is_not_corrected(reason):
    provider = Answers([Chunk(reasoning="hm"), Chunk(finish_reason=reason)])

    with pytest.raises(AgentError, match=r"max_tokens|filter"):
        await ask(provider)

    assert len(provider.requests) == 1
