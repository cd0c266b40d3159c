"""Cutting a text at a stop string, however it comes."""

from hypothesis import given
from hypothesis import strategies as st

from workflows.providers.stops import StopCutter

LETTERS = st.text("ab.", max_size=30)


def cut(text, stops):
    """As a reader does who takes one character at a time."""
    for end in range(len(text) + 1):
        starts = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if starts:
            return text[: min(starts)]
    return text


@given(
    text=LETTERS,
    stops=st.lists(st.text("ab.", min_size=1, max_size=4), min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=40),
)
def test_the_text_ends_before_the_first_stop_whatever_the_pieces(text, stops, sizes):
    cutter, said, at = StopCutter(stops), "", 0
    for size in [*sizes, len(text)]:
        said += cutter.feed(text[at : at + size])
        at += size

    said += cutter.rest()

    assert said == cut(text, stops)


def test_text_that_cannot_begin_a_stop_is_not_held_back():
    cutter = StopCutter(["END"])

    assert [cutter.feed(piece) for piece in ("one", " E", "N", "x", " E")] == [
        "one", " ", "", "ENx", " ",
    ]  # fmt: skip
    assert cutter.rest() == "E"


def test_nothing_is_said_behind_a_stop():
    cutter = StopCutter(["END"])

    assert cutter.feed("oneENDtwo") == "one"
    assert cutter.feed("three") == ""
    assert cutter.rest() == ""
    assert cutter.is_cut
