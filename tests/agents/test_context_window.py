"""What of a conversation fits a model."""

from tests.agents.scripted import said
from workflows.agents.context_window import fitted, tokens_of
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
    kept = fitted([SYSTEM, *NEW, *OLD], context_tokens=60, answer_tokens=50)

    assert kept == (SYSTEM, *OLD)


def test_pictures_and_arguments_count():
    picture = Message("user", (ImagePart(b"", "image/png"),))
    call = Message("assistant", tool_calls=(ToolCall("c", "add", "x" * 40),))

    assert tokens_of(picture) > 500
    assert tokens_of(call) == 14
