"""What of a conversation fits a model."""

from tests.agents.scripted import said
from workflows.agents.context_window import LEFT_OUT, fitted, tokens_of
from workflows.providers.messages import ImagePart, Message, ToolCall

SYSTEM = said("system", "Be brief.")
CALL = Message("assistant", tool_calls=(ToolCall("c", "add", "{}"),))
RESULT = said("tool", "r" * 400, tool_call_id="c")
OLD = [said("user", "u" * 400), CALL, RESULT, said("assistant", "a" * 400)]
NEW = [said("user", "n" * 400), said("assistant", "b" * 400)]
LAST = [said("user", "now?")]


def test_everything_stays_where_there_is_room():
    messages = [SYSTEM, *OLD, *NEW, *LAST]

    assert fitted(messages) == tuple(messages)


def test_whole_exchanges_go_the_oldest_first():
    messages = [SYSTEM, *OLD, *NEW, *LAST]

    kept = fitted(messages, context_tokens=550, answer_tokens=50)

    assert kept == (SYSTEM, *NEW, *LAST)


def test_the_last_exchange_stays_whatever_its_size():
    kept = fitted([SYSTEM, *OLD, *NEW], context_tokens=60, answer_tokens=50)

    assert kept == (SYSTEM, *NEW)


def test_of_a_last_exchange_that_is_too_long_the_oldest_results_are_left_out():
    results = [said("tool", str(n) * 400, tool_call_id=f"c{n}") for n in range(3)]
    messages = [LAST[0], CALL, results[0], CALL, results[1], CALL, results[2]]

    kept = fitted(messages, context_tokens=300, answer_tokens=50)

    texts = [message.text for message in kept if message.role == "tool"]
    assert texts == [LEFT_OUT, results[1].text, results[2].text]
    assert [m.tool_call_id for m in kept if m.role == "tool"] == ["c0", "c1", "c2"]
    assert [m.tool_calls for m in kept] == [m.tool_calls for m in messages]


def test_a_short_result_is_not_left_out_for_a_longer_note():
    messages = [LAST[0], CALL, said("tool", "ok", tool_call_id="c")]

    assert fitted(messages, context_tokens=1, answer_tokens=1)[-1].text == "ok"


def test_pictures_and_arguments_count():
    picture = Message("user", (ImagePart(b"", "image/png"),))
    call = Message("assistant", tool_calls=(ToolCall("c", "add", "x" * 40),))

    assert tokens_of(picture) > 500
    assert tokens_of(call) == 14
