"""One answer, put together from chunks that a hostile server may send."""

from tests.agents.scripted import said
from workflows.agents.answers import MAX_CALLS, Answer
from workflows.agents.tools import MAX_ARGUMENTS
from workflows.providers.messages import ChatRequest, Chunk, ToolCall, ToolCallDelta


def answer_of(*deltas: ToolCallDelta) -> Answer:
    answer = Answer(ChatRequest(model="m", messages=(said("user", "?"),)))
    for delta in deltas:
        answer.take(Chunk(tool_calls=(delta,)))
    return answer


def test_calls_come_in_the_order_of_their_numbers_and_have_ids():
    answer = answer_of(
        ToolCallDelta(1, "b", "second", "{"),
        ToolCallDelta(0, "", "first"),
        ToolCallDelta(1, arguments="}"),
    )

    assert answer.tool_calls == (
        ToolCall("call_1_0", "first", ""),
        ToolCall("b", "second", "{}"),
    )


def test_of_endless_arguments_only_the_beginning_is_kept():
    piece = "x" * 1_000

    answer = answer_of(*[ToolCallDelta(0, "c", "f", piece)] * 1_000)

    (call,) = answer.tool_calls
    assert len(call.arguments) == MAX_ARGUMENTS + 1


def test_of_endless_calls_only_the_first_are_kept():
    answer = answer_of(*(ToolCallDelta(n, f"c{n}", "f") for n in range(1_000)))

    assert len(answer.tool_calls) == MAX_CALLS
