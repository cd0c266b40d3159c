"""Text nodes: options, limits and what they say when they cannot go on."""

import pytest

from tests.nodes.harness import Case, run_case
from workflows.nodes import limits

LONG = "ab " * 100_000


async def output_of(name, **data):
    outcome = await run_case(Case(node_type=f"nodetool.text.{name}", data=data))
    assert outcome.error is None
    return outcome.outputs["output"][0]


async def error_of(name, **data):
    outcome = await run_case(Case(node_type=f"nodetool.text.{name}", data=data))
    assert outcome.outputs == {}
    return str(outcome.error)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (True, True, "x"),
        (True, False, "x "),
        (False, True, " x"),
        (False, False, " x "),
    ],
)
async def test_white_space_is_trimmed_at_the_chosen_ends(start, end, expected):
    options = {"trim_start": start, "trim_end": end}

    assert await output_of("TrimWhitespace", text=" x ", **options) == expected


@pytest.mark.parametrize(
    ("measure", "trim", "expected"),
    [
        ("characters", False, 14),
        ("characters", True, 11),
        ("words", False, 3),
        ("lines", False, 3),
        ("lines", True, 2),
    ],
)
async def test_text_is_measured(measure, trim, expected):
    text = " one\n\ntwo ab \n"

    measured = await output_of(
        "Length", text=text, measure=measure, trim_whitespace=trim
    )

    assert measured == expected


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({}, True),
        ({"exact_length": 3}, True),
        ({"exact_length": 2}, False),
        ({"exact_length": 3, "max_length": 1}, True),
        ({"min_length": 4}, False),
        ({"max_length": 2}, False),
    ],
)
async def test_a_length_of_zero_asks_for_nothing(bounds, expected):
    assert await output_of("HasLength", text="abc", **bounds) is expected


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("any", ["x", "b"], True),
        ("any", ["x"], False),
        ("all", ["a", "b"], True),
        ("all", ["a", "x"], False),
        ("none", ["x", "y"], True),
        ("none", ["x", "b"], False),
    ],
)
async def test_several_texts_are_looked_for(mode, values, expected):
    found = await output_of(
        "Contains", text="ab", search_values=values, match_mode=mode
    )

    assert found is expected


async def test_a_single_text_is_looked_for_with_and_without_case():
    assert await output_of("Contains", text="Ab", substring="b") is True
    assert await output_of("Contains", text="Ab", substring="B") is False
    folded = {"substring": "B", "case_sensitive": False}
    assert await output_of("Contains", text="Ab", **folded) is True


async def test_splitting_by_nothing_is_an_error():
    assert "delimiter is empty" in await error_of("Split", text="a", delimiter="")


async def test_an_empty_list_joins_to_an_empty_text():
    assert await output_of("Join", separator="-") == ""


async def test_a_separator_may_come_by_an_edge():
    case = Case(
        node_type="nodetool.text.Collect",
        constants={"separator": "-"},
        streams={"input_item": ["a", "b"]},
    )

    assert (await run_case(case)).outputs == {"output": ["a-b"]}


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("ToUppercase", {}, LONG.upper()),
        ("ToLowercase", {}, LONG),
        ("Split", {"delimiter": " "}, LONG.split(" ")),
        ("Replace", {"old": "b", "new": ""}, LONG.replace("b", "")),
        ("Length", {"measure": "words"}, 100_000),
        ("Length", {"measure": "lines"}, 1),
        ("Contains", {"substring": "ba"}, False),
    ],
)
async def test_long_texts_are_worked_on_in_another_process(name, data, expected):
    case = Case(node_type=f"nodetool.text.{name}", data={"text": LONG, **data})

    outcome = await run_case(case)

    assert outcome.outputs == {"output": [expected]}
    assert len(outcome.blocking.calls) == 1


async def test_many_searches_in_a_text_are_done_in_another_process():
    data = {"text": "ab" * 1000, "search_values": ["ba"] * 200}

    outcome = await run_case(Case(node_type="nodetool.text.Contains", data=data))

    assert outcome.outputs == {"output": [True]}
    assert outcome.blocking.calls == ["find_texts"]


async def test_short_texts_are_worked_on_in_place():
    case = Case(node_type="nodetool.text.ToUppercase", data={"text": "a" * 1000})

    assert (await run_case(case)).blocking.calls == []


async def test_a_list_of_texts_counts_as_one_long_text():
    case = Case(node_type="nodetool.text.Join", data={"strings": ["ab"] * 50_000})

    outcome = await run_case(case)

    assert outcome.outputs == {"output": ["ab" * 50_000]}
    assert len(outcome.blocking.calls) == 1


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("Concat", {"a": "a" * 60, "b": "b" * 60}),
        ("Join", {"strings": [1] * 30, "separator": "-" * 5}),
        ("Replace", {"text": "a" * 30, "old": "a", "new": "b" * 5}),
        ("RegexReplace", {"text": "a" * 30, "pattern": "a", "replacement": "bbbbb"}),
    ],
)
async def test_a_text_past_the_limit_is_refused(monkeypatch, name, data):
    monkeypatch.setattr(limits, "MAX_TEXT", 100)

    assert "more than the 100 that are allowed" in await error_of(name, **data)


async def test_a_collected_text_past_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(limits, "MAX_TEXT", 100)
    case = Case(
        node_type="nodetool.text.Collect", streams={"input_item": ["a" * 60] * 3}
    )

    outcome = await run_case(case)

    assert "more than the 100 that are allowed" in str(outcome.error)
