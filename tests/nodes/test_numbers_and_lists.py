"""Number and list nodes at their edges, and what they say there."""

import pytest

from tests.nodes.harness import Case, run_case
from workflows.nodes import lists


async def output_of(node_type, **data):
    outcome = await run_case(Case(node_type=node_type, data=data))
    assert outcome.error is None
    return outcome.outputs["output"][0]


@pytest.mark.parametrize(
    ("node_type", "data", "message"),
    [
        ("lib.math.Divide", {"a": 1, "b": 0}, "b is 0: divide by another number"),
        ("lib.math.Divide", {"a": 10**400, "b": 3}, "too large"),
        ("lib.math.Add", {"a": 10**400, "b": 0.5}, "too large"),
        ("lib.math.Power", {"base": 0, "exponent": -1}, "exponent is negative"),
        ("lib.math.Power", {"base": -8, "exponent": 0.5}, "base is negative"),
        ("lib.math.Power", {"base": 10.5, "exponent": 999}, "exponent makes"),
        ("lib.math.Power", {"base": 10, "exponent": 10**9}, "65,536 bits"),
        ("nodetool.list.GetElement", {"values": [1, 2], "index": 2}, "use -2 to 1"),
        ("nodetool.list.GetElement", {"index": 0}, "the list is empty"),
        ("nodetool.list.Sum", {}, "values is empty"),
        ("nodetool.list.Sort", {"values": [1, "a"]}, "sort only numbers or only texts"),
        ("nodetool.list.ListRange", {"stop": 5, "step": 0}, "step is 0"),
        ("nodetool.list.GenerateSequence", {"stop": 5, "step": 0}, "step is 0"),
        ("nodetool.list.ListRange", {"stop": 2_000_000}, "1,000,000 numbers"),
        ("nodetool.list.ListRange", {"stop": 10**30}, "1,000,000 numbers"),
        ("nodetool.constant.Date", {"year": 2023, "month": 2, "day": 29}, "day 29"),
        ("nodetool.constant.Date", {"month": 13}, "'month': expected at most 12"),
        ("nodetool.constant.DateTime", {"hour": 24}, "'hour': expected at most 23"),
        ("nodetool.constant.DateTime", {"utc_offset": 900}, "at most 840, got int 900"),
        ("nodetool.constant.Select", {"value": "c", "options": ["a"]}, "use a"),
    ],
)
async def test_an_error_names_the_property_and_the_cure(node_type, data, message):
    outcome = await run_case(Case(node_type=node_type, data=data))

    assert message in str(outcome.error)
    assert outcome.outputs == {}


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("==", [False, True, False]),
        ("!=", [True, False, True]),
        (">", [False, False, True]),
        ("<", [True, False, False]),
        (">=", [False, True, True]),
        ("<=", [True, True, False]),
    ],
)
async def test_numbers_compare_whatever_their_kind(comparison, expected):
    case = Case(
        node_type="nodetool.boolean.Compare",
        data={"b": 2.0, "comparison": comparison},
        streams={"a": [1, 2, 3]},
    )

    assert (await run_case(case)).outputs == {"output": expected}


async def test_an_unknown_comparison_does_not_load():
    case = Case(node_type="nodetool.boolean.Compare", data={"comparison": "<>"})

    assert "expected one of ==" in str((await run_case(case)).error)


@pytest.mark.parametrize(
    ("base", "exponent", "expected"),
    [(2, -1, 0.5), (-2, 3, -8), (-2.0, 2.0, 4.0), (1, 10**9, 1), (4, 0.5, 2.0)],
)
async def test_powers(base, exponent, expected):
    assert await output_of("lib.math.Power", base=base, exponent=exponent) == expected


async def test_whole_numbers_stay_whole():
    total = await output_of("lib.math.Add", a=2, b=3)

    assert (total, type(total)) == (5, int)


async def test_an_element_may_be_null():
    assert await output_of("nodetool.list.GetElement", values=[None]) is None


async def test_a_number_fits_a_list_of_numbers_r18():
    case = Case(node_type="nodetool.list.Sum", streams={"values": [1, 2]})

    assert (await run_case(case)).outputs == {"output": [1, 2]}


async def test_a_long_list_is_sorted_in_another_process(monkeypatch):
    monkeypatch.setattr(lists, "SORTED_IN_PLACE", 3)
    short = Case(node_type="nodetool.list.Sort", data={"values": [3, 1, 2]})
    longer = Case(node_type="nodetool.list.Sort", data={"values": [3, 1, 2, 0]})

    in_place, elsewhere = await run_case(short), await run_case(longer)

    assert in_place.outputs == {"output": [[1, 2, 3]]}
    assert elsewhere.outputs == {"output": [[0, 1, 2, 3]]}
    assert (len(in_place.blocking.calls), len(elsewhere.blocking.calls)) == (0, 1)


async def test_every_uuid_is_a_new_one():
    first = await output_of("lib.uuid.GenerateUUID4")

    assert first != await output_of("lib.uuid.GenerateUUID4")
