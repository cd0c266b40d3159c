"""Which inputs of a workflow a conversation goes to."""

import json

import pytest

from chat.errors import AmbiguousTextInput
from chat.workflow_inputs import chat_params

SAID = {"type": "message", "role": "user", "content": "hi"}
BEFORE = [{"type": "message", "role": "assistant", "content": "Hello"}]


def params(*inputs):
    """The parameters for a graph of inputs, each a type and perhaps a name."""
    nodes = [
        {
            "id": f"n{place}",
            "type": f"nodetool.input.{kind}",
            "data": {"name": name[0]} if name else {},
        }
        for place, (kind, *name) in enumerate(inputs)
    ]
    return chat_params({"nodes": nodes, "edges": []}, "hi", BEFORE)


@pytest.mark.parametrize(
    ("inputs", "name"),
    [
        ([("StringInput", "prompt"), ("StringInput", "message")], "message"),
        ([("StringInput", "prompt"), ("StringInput", "chat_input")], "chat_input"),
        ([("StringInput", "topic"), ("StringInput", "prompt")], "prompt"),
        ([("StringInput", "topic"), ("IntegerInput", "message")], "topic"),
        ([("StringInput",)], "n0"),
    ],
)
def test_the_text_goes_to_the_input_that_is_named_for_it_else_to_the_only_one(
    inputs, name
):
    assert params(*inputs) == {name: "hi"}


@pytest.mark.parametrize("name", ["message", "question"])
def test_an_input_for_a_message_gets_one(name):
    assert params(("StringInput", "topic"), ("MessageInput", name)) == {name: SAID}


def test_the_history_ends_before_the_text_where_that_goes_elsewhere():
    given = params(
        ("MessageListInput", "past"),
        ("MessageListInput", "messages"),
        ("StringInput", "prompt"),
    )

    assert given == {"prompt": "hi", "messages": BEFORE}


def test_the_history_ends_with_the_text_where_nothing_else_takes_it():
    assert params(("MessageListInput", "past")) == {"past": [*BEFORE, SAID]}


def test_several_texts_without_a_name_that_decides_are_refused_with_the_cure():
    with pytest.raises(AmbiguousTextInput, match=r"'a', 'b'.*'message'"):
        params(("StringInput", "a"), ("StringInput", "b"))


def test_a_workflow_without_such_inputs_takes_nothing():
    assert params(("IntegerInput", "message")) == {}


def test_a_stored_text_and_a_node_with_properties_are_read_too():
    node = {
        "id": "n",
        "type": "nodetool.input.StringInput",
        "properties": {"name": "a"},
    }

    assert chat_params(json.dumps({"nodes": [node]}), "hi", []) == {"a": "hi"}


def test_a_graph_that_cannot_be_read_is_left_to_its_run():
    assert chat_params("{", "hi", []) == {}
