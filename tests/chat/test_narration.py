"""What outputs say, in which order, made of the events of runs."""

import pytest

from chat.errors import WorkflowFailed
from chat.narration import Narration, shown
from tests.end_to_end.graphs import edge, node, output
from workflows.engine.events import (
    Chunk,
    EdgeUpdate,
    NodeUpdate,
    OutputUpdate,
    encode_event,
)
from workflows.engine.graph import load_graph
from workflows.engine.values import text_chunk

TEXT = ("text", "out")


def graph(*outputs, source="demo.StreamText"):
    """One node that feeds each output: ``(handle, output id)``."""
    return load_graph(
        {
            "nodes": [node("s", source), *(output(i, i) for _, i in outputs)],
            "edges": [edge("s", i, output=handle) for handle, i in outputs],
        }
    )


def told(text, *, node_id="s", **fields):
    return Chunk(node_id=node_id, content=text, **fields)


def arrived(value, output_id="out", *, is_piece=False):
    more = {"disposition": "append"} if is_piece else {}
    return OutputUpdate(
        node_id=output_id,
        node_name=output_id,
        output_name=output_id,
        value=value,
        output_type="any",
        **more,
    )


def ended(output_id="out", status="completed"):
    return NodeUpdate(
        node_id=output_id, node_name=output_id, node_type="o", status=status
    )


def said_by(graph, *events):
    """What each event adds, as texts; then what the end does."""
    narration = Narration(graph)
    steps = [narration.take(encode_event(event)) for event in events]
    return ["".join(chunk.text for chunk in step) for step in [*steps, narration.end()]]


def test_pieces_are_said_as_they_come():
    pieces = [arrived(text_chunk(text)) for text in ("He", "llo")]

    assert said_by(graph(("chunk", "out")), *pieces, ended()) == [
        "He", "llo", "", "",
    ]  # fmt: skip


def test_what_the_node_before_tells_is_said_and_not_repeated():
    events = [told("He"), told("llo"), arrived("Hello", is_piece=True), ended()]

    assert said_by(graph(TEXT), *events) == ["He", "llo", "", "", ""]


def test_what_was_not_told_follows():
    events = [told("Hel"), arrived("Hello"), ended()]

    assert said_by(graph(TEXT), *events) == ["Hel", "", "lo", ""]


def test_an_end_that_was_told_already_is_not_repeated():
    events = [told("Let me see. "), told("23"), arrived("23"), ended()]

    assert said_by(graph(TEXT), *events) == ["Let me see. ", "23", "", "", ""]


def test_an_output_that_differs_from_what_was_told_follows_by_itself():
    events = [told("draft"), arrived("final"), ended()]

    assert said_by(graph(TEXT), *events) == ["draft", "", "\n\nfinal", ""]


def test_other_nodes_and_media_are_not_mixed_in():
    events = [
        told("no", node_id="agent"),
        told("AAAA", content_type="audio"),
        told("yes"),
    ]

    assert said_by(graph(TEXT), *events) == ["", "", "yes", ""]


def test_a_number_is_not_told_by_the_node_that_makes_it():
    numbers = graph(("output", "out"), source="demo.SlowSteps")

    events = [told("thinking"), arrived(5), ended()]

    assert said_by(numbers, *events) == ["", "", "5", ""]


def test_reasoning_is_no_text():
    narration = Narration(graph(TEXT))

    [chunk] = narration.take(encode_event(told("hm", thinking=True)))

    assert (chunk.text, chunk.reasoning) == ("", "hm")


def test_outputs_speak_in_the_order_of_the_graph():
    both = graph(("chunk", "a"), ("text", "b"))
    events = [
        told("x"),
        arrived("x", "b", is_piece=True),
        ended("b"),
        arrived(text_chunk("x"), "a"),
        ended("a"),
    ]

    assert said_by(both, *events) == ["", "", "", "x", "\n\nx", ""]


def test_the_next_output_goes_on_live_when_its_turn_comes():
    both = graph(("chunk", "a"), ("text", "b"))
    events = [told("He"), ended("a"), told("llo"), arrived("Hello", "b"), ended("b")]

    assert said_by(both, *events) == ["", "He", "llo", "", "", ""]


def test_an_output_that_nothing_reaches_holds_nobody_up():
    both = graph(("chunk", "a"), ("text", "b"))
    drained = EdgeUpdate(edge_id="s.chunk>a.value", status="drained", counter=0)

    assert said_by(both, told("He"), drained) == ["", "He", ""]


def test_an_edge_that_has_carried_something_does_not_end_its_output():
    both = graph(("chunk", "a"), ("text", "b"))
    drained = EdgeUpdate(edge_id="s.chunk>a.value", status="drained", counter=1)
    late = arrived("late", "a")

    said = said_by(both, told("He"), drained, late, ended("a"))

    assert said == ["", "", "", "late\n\nHe", ""]


def test_the_last_of_several_values_counts_as_in_a_result():
    events = [arrived("one"), arrived("two"), ended()]

    assert said_by(graph(TEXT), *events) == ["", "", "two", ""]


def test_a_value_after_pieces_follows_by_itself():
    events = [arrived(text_chunk("a")), arrived(5), ended()]

    assert said_by(graph(("chunk", "out")), *events) == ["a", "", "\n\n5", ""]


def test_the_end_of_the_run_ends_every_output():
    both = graph(("chunk", "a"), ("text", "b"))

    assert said_by(both, arrived("x", "a"), arrived("y", "b")) == ["", "", "x\n\ny"]


def test_a_failed_output_says_what_it_has():
    events = [arrived("one"), ended(status="error"), arrived("two")]

    assert said_by(graph(TEXT), *events) == ["", "one", "", ""]


def test_what_has_to_wait_is_bounded(monkeypatch):
    monkeypatch.setattr("chat.narration.MAX_HELD", 10)
    narration = Narration(graph(("chunk", "a"), ("chunk", "b")))
    now, later = (encode_event(arrived(text_chunk("x" * 6), i)) for i in "ab")

    for _ in range(5):
        narration.take(now)
    narration.take(later)
    with pytest.raises(WorkflowFailed, match="too long"):
        narration.take(later)


IMAGE = {"type": "image", "uri": "http://h/a b.png?sig=x&exp=1", "asset_id": "1"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a\nb", "a\nb"),
        (True, "true"),
        (1.5, "1.5"),
        ({"a": [1]}, '{"a":[1]}'),
        (["a", None, "b"], "a\n\nb"),
        (text_chunk("piece"), "piece"),
        ({**text_chunk("AAAA"), "content_type": "audio"}, ""),
        (IMAGE, "![a \\[b\\]](http://h/a%20b.png?sig=x&exp=1)"),
        ({**IMAGE, "type": "audio"}, "[a \\[b\\]](http://h/a%20b.png?sig=x&exp=1)"),
        (
            {**IMAGE, "uri": "http://h/x)\n# (y"},
            "![a \\[b\\]](http://h/x%29%0A#%20%28y)",
        ),
        ({**IMAGE, "uri": ""}, ""),
    ],
)
def test_values_are_shown_as_text_or_links(value, text):
    assert shown(value, "a [b]") == text
