"""The provider that needs no network."""

import json
import math

import msgspec
import pytest

from workflows.providers.base import ProviderError
from workflows.providers.fake import (
    EMBEDDING_MODELS,
    GREETING,
    MODELS,
    FakeProvider,
)
from workflows.providers.messages import (
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Message,
    NamedTool,
    TextPart,
    Tool,
)


def said(role, text, **members):
    return Message(role=role, content=(TextPart(text),), **members)


async def answer(model, *messages, **fields) -> list[Chunk]:
    provider = FakeProvider(api_key=None, base_url="", timeout_s=1)
    request = ChatRequest(model=model, messages=messages, **fields)
    return [chunk async for chunk in provider.stream(request)]


def text_of(chunks):
    return "".join(chunk.text for chunk in chunks)


def arguments_of(chunks, index=0):
    deltas = [call for chunk in chunks for call in chunk.tool_calls]
    return "".join(call.arguments for call in deltas if call.index == index)


@pytest.mark.parametrize("model", ["fake", "fake-anything"])
async def test_the_same_request_gets_the_same_pieces_of_ten(model):
    first = await answer(model, said("user", "hi"))
    second = await answer(model, said("user", "hi"))

    texts = [chunk.text for chunk in first if chunk.text]
    assert first == second
    assert "".join(texts) == GREETING
    assert {len(text) for text in texts[:-1]} == {10}


@pytest.mark.parametrize("model", ["echo", "fake/echo"])
async def test_echo_says_the_users_last_words_and_counts_them(model):
    chunks = await answer(model, said("user", "no"), said("user", "four words of mine"))

    assert text_of(chunks) == "four words of mine"
    assert [c.finish_reason for c in chunks if c.finish_reason] == ["stop"]
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (1 + 5, 5)


async def test_a_limit_on_tokens_cuts_the_answer():
    chunks = await answer("echo", said("user", "a" * 100), max_tokens=3)

    assert text_of(chunks) == "a" * 12
    assert [c.finish_reason for c in chunks if c.finish_reason] == ["length"]


async def test_a_script_calls_tools_and_then_speaks():
    script = said(
        "user",
        json.dumps(
            [
                {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": [2, 3]}}]},
                {"reasoning": "so it is", "text": "six"},
            ]
        ),
    )

    first = await answer("scripted", script)
    call_id = first[0].tool_calls[0].id
    rest = (said("assistant", ""), said("tool", "6", tool_call_id=call_id))
    second = await answer("scripted", script, *rest)
    third = await answer("scripted", script, *rest, *rest)

    assert first[0].tool_calls[0].name == "add"
    assert json.loads(arguments_of(first)) == {"a": 1, "b": [2, 3]}
    assert [c.finish_reason for c in first if c.finish_reason] == ["tool_calls"]
    assert text_of(second) == "six"
    assert "".join(chunk.reasoning for chunk in second) == "so it is"
    assert text_of(third) == "6"


async def test_a_script_may_be_in_the_instructions():
    instructions = said("system", json.dumps({"text": "as instructed"}))

    chunks = await answer("scripted", instructions, said("user", "Hi"))

    assert text_of(chunks) == "as instructed"


async def test_a_script_fails_where_it_says():
    error = {"status": 429, "message": "slow down", "retry_after_s": 7, "after": 2}
    script = said("user", json.dumps({"text": "x" * 40, "error": error}))
    provider = FakeProvider(api_key=None, base_url="", timeout_s=1)
    request = ChatRequest(model="scripted", messages=(script,))
    answered = provider.stream(request)

    before = [await anext(answered), await anext(answered)]
    with pytest.raises(ProviderError, match="slow down") as raised:
        await anext(answered)

    assert text_of(before) == "x" * 20
    assert (raised.value.status, raised.value.retry_after_s) == (429, 7)
    assert raised.value.is_transient


async def test_a_script_nobody_understands_is_refused():
    with pytest.raises(ProviderError, match="script") as raised:
        await answer("scripted", said("user", '{"text": 1}'))

    assert raised.value.status == 400


@pytest.mark.parametrize("choice", ["required", NamedTool("look")])
async def test_a_demanded_tool_is_called_until_its_result_is_there(choice):
    asked = said("user", "go")
    fields = {"tools": (Tool("look"),), "tool_choice": choice}

    first = await answer("echo", asked, **fields)
    second = await answer(
        "echo", asked, said("assistant", ""), said("tool", "seen"), **fields
    )

    assert first[0].tool_calls[0].name == "look"
    assert text_of(second) == "go"


async def test_an_unknown_model_is_named():
    with pytest.raises(ProviderError, match="no model 'gpt'") as raised:
        await answer("gpt", said("user", "hi"))

    assert (raised.value.status, raised.value.code) == (404, "model_not_found")


async def test_it_lists_what_it_answers_to():
    provider = FakeProvider(api_key=None, base_url="", timeout_s=1)
    kinds = {model.id: model.kind for model in await provider.models()}

    chat = [name for name, kind in kinds.items() if kind == "language"]
    others = [name for name, kind in kinds.items() if kind == "embedding"]
    assert (chat, others) == (list(MODELS), list(EMBEDDING_MODELS))
    for name in chat:
        assert text_of(await answer(name, said("user", "hi")))
    for name in others:
        assert (await embed(name, "hi")).vectors


def test_parts_survive_the_way_through_json():
    message = said("user", "hi", name="ann")

    again = msgspec.json.decode(msgspec.json.encode(message), type=Message)

    assert again == message


# --- Vectors


async def embed(model, *inputs, dimensions=None):
    provider = FakeProvider(api_key=None, base_url="", timeout_s=1)
    return await provider.embed(
        EmbeddingRequest(model=model, inputs=inputs, dimensions=dimensions)
    )


def closeness(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("model", ["embedding", "fake/embedding", "fake-embedding"])
@pytest.mark.parametrize("text", ["", "  ", "!?", "word", "Two words", "\ud800"])
async def test_a_text_always_has_the_same_unit_vector(model, text):
    first = await embed(model, text, dimensions=16)
    second = await embed(model, text, dimensions=16)

    [vector] = first.vectors
    assert first == second
    assert len(vector) == 16
    assert math.isclose(math.hypot(*vector), 1.0)


async def test_texts_are_closer_the_more_words_they_share():
    cats, cat, ships = (
        await embed("embedding", "the black cat", "The BLACK dog!", "nine ships sailed")
    ).vectors

    assert len(cats) == 256
    assert closeness(cats, cat) > 0.6 > closeness(cats, ships) + 0.3


async def test_vectors_count_the_tokens_of_their_texts():
    found = await embed("embedding", "four", "letters.")

    assert found.usage.prompt_tokens == 3


async def test_a_script_makes_vectors_fail():
    limit = {"error": {"status": 429, "message": "slow down", "retry_after_s": 3}}

    with pytest.raises(ProviderError, match="slow down") as caught:
        await embed("scripted", json.dumps(limit))

    assert (caught.value.status, caught.value.retry_after_s) == (429, 3)
    assert len((await embed("scripted", json.dumps({"delay_s": 0.01}))).vectors) == 1


@pytest.mark.parametrize(
    ("model", "inputs", "dimensions", "param"),
    [
        ("echo", ("a",), None, "model"),
        ("embedding", ((1, 2),), None, "input"),
        ("embedding", ("a",), 4097, "dimensions"),
        ("scripted", ("{",), None, "input"),
    ],
)
async def test_vectors_that_cannot_be_are_refused(model, inputs, dimensions, param):
    with pytest.raises(ProviderError) as caught:
        await embed(model, *inputs, dimensions=dimensions)

    assert caught.value.param == param
