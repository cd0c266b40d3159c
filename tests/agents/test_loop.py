"""The loop: what it yields, what it gives the model, where it stops."""

import asyncio
from contextlib import aclosing

import pytest

from tests.agents.scripted import Adder, Answers, Loop, Returns, said, script
from workflows.agents import answers, tools
from workflows.agents import loop as loop_module
from workflows.agents.answers import AgentError
from workflows.agents.context_window import LEFT_OUT
from workflows.agents.loop import (
    AgentLoop,
    Piece,
    RoundEnded,
    ToolEnded,
    ToolStarted,
)
from workflows.engine.context import ReachedModel
from workflows.engine.usage import UsageTally
from workflows.providers.base import ProviderError, error_for_status
from workflows.providers.messages import (
    ChatRequest,
    Chunk,
    Message,
    ResponseFormat,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)

ADD = {"name": "add", "arguments": {"a": 2, "b": 3}}


def call(name, arguments, *, index=0, call_id="c1"):
    return Chunk(tool_calls=(ToolCallDelta(index, call_id, name, arguments),))


async def test_a_plain_answer_comes_in_the_pieces_of_the_provider():
    done = await Loop(script({"reasoning": "hm", "text": "twelve characters"})).run()

    assert done.happenings == [
        Piece("hm", is_thinking=True),
        Piece("twelve cha"),
        Piece("racters"),
    ]
    assert done.loop.text == "twelve characters"
    assert done.loop.finish_reason == "stop"


async def test_a_tool_is_called_and_its_result_goes_back_to_the_model():
    adder = Adder()
    what = script({"text": "Let me", "tool_calls": [ADD]}, {"text": "5"})

    done = await Loop(what, adder).run()

    kinds = [type(each) for each in done.happenings]
    assert kinds == [Piece, ToolStarted, ToolEnded, RoundEnded, Piece]
    assert adder.calls == [{"a": 2, "b": 3}]
    assert done.of(ToolEnded)[0].outcome.value == {"sum": 5}
    assert done.loop.text == "Let me\n\n5"
    assert "".join(piece.text for piece in done.of(Piece)) == done.loop.text


async def test_json_is_not_preceded_by_what_was_said_before_a_tool():
    what = script({"text": "Let me", "tool_calls": [ADD]}, {"text": '{"sum": 5}'})

    done = await Loop(what, Adder(), form=ResponseFormat("json_object")).run()

    assert done.loop.text == '{"sum": 5}'
    assert [piece.text for piece in done.of(Piece)] == ['{"sum": 5}']


async def test_what_is_said_beside_a_passed_call_is_told_though_json_is_wanted():
    what = script({"text": "Let me", "tool_calls": [{"name": "mine"}]})
    form = ResponseFormat("json_object")

    done = await Loop(what, Adder(), given=(Tool("mine"),), form=form).run()

    assert done.loop.text == "Let me"
    assert done.loop.finish_reason == "tool_calls"


async def test_the_model_sees_its_own_calls_before_their_results():
    provider = Answers(
        [Chunk(text="a"), call("add", '{"a":1,', index=0), call("add", '"b":1}')],
        [Chunk(text="2", finish_reason="length")],
    )

    done = await Loop("1 + 1?", Adder(), reached=provider.reached()).run()

    question, asked, result = provider.requests[1].messages
    assert (question.text, asked.text, result.text) == ("1 + 1?", "a", '{"sum":2}')
    assert asked.tool_calls[0].arguments == '{"a":1,"b":1}'
    assert (asked.tool_calls[0].id, result.tool_call_id) == ("c1", "c1")
    assert provider.requests[0].tools[0].name == "add"
    assert done.loop.finish_reason == "length"


async def test_the_usage_of_every_call_is_counted():
    provider = Answers(
        [call("add", '{"a":1,"b":1}'), Chunk(usage=Usage(10, 5))],
        [Chunk(text="2"), Chunk(usage=Usage(20, 1))],
    )

    done = await Loop("?", Adder(), reached=provider.reached()).run()

    assert done.usage.document() == {
        "prompt_tokens": 30,
        "completion_tokens": 6,
        "total_tokens": 36,
    }


async def test_usage_is_estimated_where_a_provider_counts_nothing():
    provider = Answers([Chunk(text="12345678")])

    done = await Loop("1234", reached=provider.reached()).run()

    assert done.usage.document() == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
    }


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("add", "{", "The arguments are no valid JSON"),
        ("add", "[1]", "The arguments are no JSON object"),
        ("add", '{"a": 1}', "KeyError: 'b'"),
        ("subtract", "{}", "There is no tool 'subtract'. There are: add"),
        ("add", f'{{"a": "{"x" * tools.MAX_ARGUMENTS}"}}', "The arguments are longer"),
    ],
)
async def test_the_model_is_told_why_a_call_failed(tool, arguments, reason):
    provider = Answers([call(tool, arguments)], [Chunk(text="Sorry")])

    done = await Loop("?", Adder(), reached=provider.reached()).run()

    ended = done.of(ToolEnded)[0]
    assert ended.outcome.is_error
    assert ended.outcome.told["error"].startswith(reason)
    assert provider.requests[1].messages[-1].text == f"Error: {ended.outcome.value}"
    assert done.loop.text == "Sorry"


@pytest.mark.parametrize("arguments", ["{", "[1]", "7", '{"a": 1'])
async def test_a_call_goes_back_with_arguments_that_every_vendor_takes(arguments):
    provider = Answers([call("no tool!", arguments)], [Chunk(text="Sorry")])

    await Loop("?", Adder(), reached=provider.reached()).run()

    _, answered, result = provider.requests[1].messages
    assert answered.tool_calls == (ToolCall("c1", "no_tool_", "{}"),)
    assert (result.tool_call_id, result.name) == ("c1", "no_tool_")


async def test_what_a_vendor_wants_back_goes_back_with_the_answer():
    thought = Chunk(reasoning="hm", memory=({"signature": "s"},))
    provider = Answers([thought, call("add", '{"a":1,"b":1}')], [Chunk(text="2")])

    await Loop("?", Adder(), reached=provider.reached()).run()

    answered = provider.requests[1].messages[1]
    assert (answered.reasoning, answered.memory) == ("hm", ({"signature": "s"},))


@pytest.mark.parametrize(
    ("reason", "told"), [("length", "max_tokens"), ("content_filter", "filter")]
)
async def test_an_answer_without_a_word_is_an_error_that_tells_why(reason, told):
    provider = Answers([Chunk(reasoning="hm"), Chunk(finish_reason=reason)])

    done = await Loop("?", reached=provider.reached()).run()

    with pytest.raises(AgentError, match=told):
        done.loop.check()
    assert done.loop.finish_reason == reason


@pytest.mark.parametrize(
    "answer",
    [
        [Chunk(text="a", finish_reason="length")],
        [Chunk(text="a"), Chunk(finish_reason="content_filter")],
        [Chunk(finish_reason="stop")],
    ],
)
async def test_an_answer_that_was_cut_or_is_empty_is_one(answer):
    done = await Loop("?", reached=Answers(answer).reached()).run()

    done.loop.check()


async def test_a_loop_that_outgrows_the_model_goes_on_without_its_oldest_results():
    thought = Chunk(memory=({"signature": "s"},))
    provider = Answers(
        [thought, call("long", "{}")],
        [thought, call("long", "{}", call_id="c2")],
        [Chunk(text="ok")],
    )
    reached = ReachedModel(provider, "vendor", "model", context_tokens=6_000)

    done = await Loop("?", Returns("long", "x" * 4_000), reached=reached).run()

    second, third = (request.messages for request in provider.requests[1:])
    results = [m.text for m in third if m.role == "tool"]
    assert results == [LEFT_OUT, "x" * 4_000]
    # Both were sent in another conversation.
    assert [bool(m.memory) for m in second if m.role == "assistant"] == [True]
    assert [bool(m.memory) for m in third if m.role == "assistant"] == [False] * 2
    assert done.loop.text == "ok"


TOO_LONG = error_for_status(400, "too long", code="context_length_exceeded")


def long_talk(count):
    exchange = [said("user", "u" * 400), said("assistant", "a" * 400)]
    return (*exchange * count, said("user", "now?"))


async def run_talk(provider, messages):
    request = ChatRequest(model="model", messages=messages)
    loop = AgentLoop(provider.reached(), request, usage=UsageTally())
    async for _ in loop.run():
        pass
    return loop


async def test_a_conversation_that_its_provider_finds_too_long_is_shortened():
    provider = Answers([TOO_LONG], [TOO_LONG], [Chunk(text="ok")])

    loop = await run_talk(provider, long_talk(8))

    sizes = [len(request.messages) for request in provider.requests]
    assert sizes == [17, 7, 3]
    assert provider.requests[-1].messages[-1].text == "now?"
    assert loop.text == "ok"


async def test_what_cannot_be_shortened_fails_with_the_providers_words():
    provider = Answers([TOO_LONG], [TOO_LONG], [Chunk(text="never")])

    with pytest.raises(ProviderError, match="too long"):
        await run_talk(provider, long_talk(1))

    assert [len(request.messages) for request in provider.requests] == [3, 1]


async def test_a_long_result_is_cut():
    provider = Answers([call("long", "{}")], [Chunk(text="ok")])
    long = Returns("long", ["x" * tools.MAX_RESULT])

    done = await Loop("?", long, reached=provider.reached()).run()

    text = provider.requests[1].messages[-1].text
    assert len(text) < tools.MAX_RESULT + 100
    assert text.endswith(f"[cut: the result has {tools.MAX_RESULT + 4} characters]")
    assert done.of(ToolEnded)[0].outcome.value == text


async def test_only_so_many_tools_run_for_one_answer():
    adder = Adder()
    calls = [call("add", '{"a":1,"b":1}', index=n, call_id=f"c{n}") for n in range(18)]

    done = await Loop("?", adder, reached=Answers(calls, [Chunk()]).reached()).run()

    assert len(adder.calls) == 16
    refused = [e.outcome.text for e in done.of(ToolEnded) if e.outcome.is_error]
    assert refused == ["Error: Only 16 tools are called at a time"] * 2


async def test_after_the_last_round_the_model_must_answer():
    one = [call("add", '{"a":1,"b":1}')]
    provider = Answers(one, one, [Chunk(text="enough")])

    done = await Loop("?", Adder(), reached=provider.reached(), max_rounds=2).run()

    assert [each.tool_choice for each in provider.requests] == [None, None, "none"]
    assert done.loop.text == "enough"


async def test_a_model_that_never_answers_is_an_error():
    one = [call("add", '{"a":1,"b":1}')]
    loop = Loop("?", Adder(), reached=Answers(one, one, one).reached(), max_rounds=2)

    with pytest.raises(AgentError, match="more than 2 times"):
        await loop.run()

    assert loop.usage.document() is not None


@pytest.fixture
def waits(monkeypatch):
    """How long is waited between attempts, without waiting."""
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr(answers.asyncio, "sleep", sleep)
    return waited


async def test_a_call_that_fails_before_its_first_word_is_made_again(waits):
    busy = error_for_status(429, "busy", retry_after_s=3)
    provider = Answers([busy], [error_for_status(500, "oops")], [Chunk(text="ok")])

    done = await Loop("?", reached=provider.reached()).run()

    assert done.loop.text == "ok"
    assert waits == [3, 1.0]


async def test_it_is_made_three_times_at_most(waits):
    loop = Loop("?", reached=Answers(*[[error_for_status(503, "down")]] * 3).reached())

    with pytest.raises(ProviderError, match="down"):
        await loop.run()

    assert waits == [0.5, 1.0]
    assert loop.usage.document() is None


@pytest.mark.parametrize(
    "failing",
    [
        [Chunk(text="Once"), error_for_status(503, "gone")],
        [error_for_status(401, "gone")],
        [error_for_status(429, "gone", retry_after_s=3_000)],
    ],
    ids=["something was said", "it is no use", "the wait is long"],
)
async def test_otherwise_a_failure_is_final(failing, waits):
    loop = Loop("?", reached=Answers(failing).reached())

    with pytest.raises(ProviderError, match="gone"):
        await loop.run()

    assert waits == []


async def test_what_was_said_before_a_failure_is_counted():
    failing = [Chunk(text="Once"), error_for_status(503, "gone")]
    loop = Loop("?", reached=Answers(failing).reached())

    with pytest.raises(ProviderError):
        await loop.run()

    assert loop.usage.document()["completion_tokens"] == 1


async def test_all_agents_of_a_run_share_a_bound_on_tools(monkeypatch):
    monkeypatch.setattr(loop_module, "MAX_CALLS_OF_RUN", 1)
    adder = Adder()
    loop = Loop(script({"tool_calls": [ADD]}, {"tool_calls": [ADD]}, {}), adder)

    await loop.run()

    assert len(adder.calls) == 1
    assert loop.usage.tool_calls == 1
    last = loop.of(ToolEnded)[1].outcome
    assert last.text == "Error: This run has called 1 tools already"


async def test_tools_that_were_called_before_are_declared_but_may_not_be_called():
    provider = Answers([Chunk(text="ok")])
    earlier = Message("assistant", tool_calls=(ToolCall("c", "gone"),))
    request = ChatRequest(
        model="m",
        messages=(
            said("user", "?"),
            earlier,
            said("tool", "7", tool_call_id="c"),
            said("user", "And now?"),
        ),
    )

    loop = AgentLoop(provider.reached(), request, usage=UsageTally())
    assert [piece async for piece in loop.run()] == [Piece("ok")]

    (sent,) = provider.requests
    assert [tool.name for tool in sent.tools] == ["gone"]
    assert sent.tool_choice == "none"


async def test_whoever_stops_listening_ends_the_call_of_the_model():
    ended = asyncio.Event()

    class Endless:
        async def stream(self, request):
            try:
                while True:
                    yield Chunk(text="word ")
                    await asyncio.sleep(0)
            finally:
                ended.set()

    request = ChatRequest(model="m", messages=(said("user", "?"),))
    usage = UsageTally()
    loop = AgentLoop(ReachedModel(Endless(), "v", "m"), request, usage=usage)
    async with aclosing(loop.run()) as happenings:
        assert await anext(happenings) == Piece("word ")

    assert ended.is_set()
    assert usage.document()["completion_tokens"] > 0


async def test_a_burst_of_chunks_leaves_others_their_turn():
    provider = Answers([Chunk(text="x")] * 1_000)
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    await Loop("?", reached=provider.reached()).run()
    other.cancel()

    assert turns > 10


# --- Tools of whoever asks

LOOK = {"name": "look", "arguments": {}}
OWN = (Tool("look"),)


async def test_a_call_of_the_askers_tool_ends_the_loop_and_is_passed_on():
    done = await Loop(script({"text": "a", "tool_calls": [LOOK]}), given=OWN).run()

    assert done.happenings == [Piece("a")]
    assert [call.name for call in done.loop.passed_calls] == ["look"]
    assert done.loop.finish_reason == "tool_calls"
    spent, told = done.loop.spent, done.usage.document()
    assert spent.prompt_tokens == told["prompt_tokens"] > 0
    assert spent.completion_tokens == told["completion_tokens"] > 0


async def test_a_passed_call_that_was_cut_says_so():
    what = script({"tool_calls": [LOOK], "finish_reason": "length"})

    done = await Loop(what, given=OWN).run()

    assert len(done.loop.passed_calls) == 1
    assert done.loop.finish_reason == "length"


async def test_of_an_answer_that_calls_both_kinds_nothing_runs():
    adder = Adder()
    what = script({"tool_calls": [ADD, LOOK, ADD, LOOK]})

    done = await Loop(what, adder, given=OWN).run()

    assert adder.calls == []
    assert [call.name for call in done.loop.passed_calls] == ["look", "look"]


async def test_both_kinds_are_offered_and_the_askers_name_wins():
    provider = Answers([Chunk(text="hi")])
    own = (Tool("look"), Tool("add", "mine"))

    await Loop("?", Adder(), given=own, reached=provider.reached()).run()

    assert provider.requests[0].tools == own
    assert provider.requests[0].tool_choice is None


async def test_arguments_for_the_asker_are_never_passed_on_in_part():
    text = "x" * (tools.MAX_ARGUMENTS + 5)
    provider = Answers([call("look", text)])

    with pytest.raises(AgentError, match="arguments"):
        await Loop("?", given=OWN, reached=provider.reached()).run()


@pytest.mark.parametrize("must_fit", [True, False])
async def test_a_conversation_is_only_cut_where_it_must_fit(must_fit):
    provider = Answers([Chunk(text="hi")])
    reached = ReachedModel(provider, "v", "m", context_tokens=5_000)
    long = [said("user", "x" * 4_000)] * 5
    request = ChatRequest(model="m", messages=tuple(long))

    loop = AgentLoop(reached, request, usage=UsageTally(), must_fit=must_fit)
    async with aclosing(loop.run()) as happenings:
        assert [each async for each in happenings] == [Piece("hi")]

    assert len(provider.requests[0].messages) == (1 if must_fit else 5)
