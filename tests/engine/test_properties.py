"""Who sets a property, and what fits it: graph.md sections 2 and 3."""

import pytest

from tests.engine.running import run
from workflows.engine.coercion import coerce
from workflows.engine.errors import ValueMisfit
from workflows.engine.events import NodeUpdate
from workflows.engine.type_specs import TypeSpec, fits, from_annotation, parse_type
from workflows.engine.values import AudioRef, ImageRef

LOW_HIGH = TypeSpec("enum", values=("low", "high"))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("str", "any", True),
        ("any", "image", True),
        ("int", "float", True),
        ("float", "int", True),
        ("union[int, str]", "union[str, int, bool]", True),
        ("union[int, str]", "union[int, bool]", False),
        ("int", "union[str, float]", True),
        ("bool", "union[str, float]", False),
        ("union[int, str]", "str", True),
        ("union[int, str]", "image", False),
        ("str", "list[str]", True),
        ("int", "list[str]", False),
        ("str", "list", False),
        ("bool", "int", False),
        ("int", "bool", False),
        ("int", "str", False),
        ("str", "text", False),
        ("image", "asset", False),
        ("list[str]", "list[any]", True),
        ("list", "list[str]", True),
        ("list[str]", "list[int]", False),
        ("dict[str, int]", "dict[str, str]", False),
        ("dict[str, int]", "dict", True),
        ("image", "image", True),
        ("image", "audio", False),
    ],
)
def test_edge_compatibility_table(source, target, expected):
    assert fits(parse_type(source), parse_type(target)) is expected


def test_edge_compatibility_of_enums():
    assert fits(TypeSpec("str"), LOW_HIGH)
    assert not fits(LOW_HIGH, TypeSpec("str"))
    assert fits(LOW_HIGH, TypeSpec("enum", values=("high", "low")))
    assert not fits(TypeSpec("enum", values=("low",)), LOW_HIGH)
    assert fits(TypeSpec("enum"), LOW_HIGH)


REJECTED = object()


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [
        ("float", 3, 3),
        ("int", 3.0, 3),
        ("int", 3.7, REJECTED),
        ("int", True, REJECTED),
        ("bool", 1, REJECTED),
        ("float", True, REJECTED),
        ("str", 1, REJECTED),
        ("int", "1", REJECTED),
        ("int", float("inf"), REJECTED),
        ("list[int]", 3.0, [3]),
        ("list[int]", [1, 2.0], [1, 2]),
        ("list[int]", ["a"], REJECTED),
        ("list", "a", REJECTED),
        ("list[list[int]]", [[1]], [[1]]),
        ("dict", {"type": "image"}, {"type": "image"}),
        ("dict[str, int]", {"a": 1.0}, {"a": 1}),
        ("dict", [], REJECTED),
        ("image", {"type": "image", "uri": "x"}, {"type": "image", "uri": "x"}),
        ("image", {"uri": "x"}, {"type": "image", "uri": "x"}),
        ("image", {"type": "audio"}, REJECTED),
        ("image", "x", REJECTED),
        ("union[int, str]", "a", "a"),
        ("union[int, str]", 2.0, 2),
        ("union[int, float]", 10.0, 10.0),
        ("union[float, int]", 10, 10),
        ("union[list[str], str]", "a", "a"),
        ("union[image, dict]", {"a": 1}, {"a": 1}),
        ("union[list[int], any]", 3, 3),
        ("union[int, str]", [], REJECTED),
        ("tuple[int, str]", [1, "a"], [1, "a"]),
        ("tuple[int, str]", [1], REJECTED),
        ("any", REJECTED, REJECTED),
        ("bytes", b"a", b"a"),
        ("none", None, None),
        ("int?", None, None),
        (
            "date",
            "2024-12-31",
            {"type": "date", "year": 2024, "month": 12, "day": 31},
        ),
        ("date", "tomorrow", REJECTED),
        (
            "date",
            {"type": "date", "year": 1, "month": 1, "day": 1},
            {"type": "date", "year": 1, "month": 1, "day": 1},
        ),
    ],
)
def test_value_into_property_table(spec, value, expected):
    if expected is REJECTED and spec != "any":
        with pytest.raises(ValueMisfit):
            coerce(parse_type(spec), value)
    else:
        fitted = coerce(parse_type(spec), value)
        assert fitted == expected
        assert type(fitted) is type(expected)


def test_a_text_becomes_a_point_in_time():
    value = coerce(parse_type("datetime"), "2024-12-31T23:59:01.5-01:30")

    assert value == {
        "type": "datetime",
        "year": 2024,
        "month": 12,
        "day": 31,
        "hour": 23,
        "minute": 59,
        "second": 1,
        "microsecond": 500_000,
        "tzinfo": "UTC-01:30",
        "utc_offset": -90,
    }


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("", 0), ("Z", 0), ("+00:00", 0), ("+05:45", 345), ("-00:30", -30)],
)
def test_the_offset_of_a_time_is_in_minutes_as_a_constant_gives_it(text, minutes):
    value = coerce(parse_type("datetime"), f"2024-12-31T23:59:01{text}")

    assert value["utc_offset"] == minutes
    assert type(value["utc_offset"]) is int


def test_an_offset_of_seconds_is_refused():
    with pytest.raises(ValueMisfit, match="expected a time such as"):
        coerce(parse_type("datetime"), "2024-12-31T23:59:01+00:00:30")


@pytest.mark.parametrize(("value", "fine"), [("low", True), ("mid", False), (1, False)])
def test_a_choice_must_be_listed(value, fine):
    if fine:
        assert coerce(LOW_HIGH, value) == value
    else:
        with pytest.raises(ValueMisfit, match="expected one of low, high"):
            coerce(LOW_HIGH, value)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (str, "str"),
        (list[ImageRef], "list[image]"),
        (dict[str, float], "dict[str, float]"),
        (int | str, "union[int, str]"),
        (AudioRef, "audio"),
        (object, "any"),
    ],
)
def test_annotations_become_types(annotation, text):
    assert str(from_annotation(annotation)) == text


def test_an_optional_annotation_is_an_optional_type():
    assert from_annotation(int | None) == TypeSpec("int", optional=True)


def test_an_annotation_without_a_type_is_an_error():
    with pytest.raises(TypeError, match="no handle type"):
        from_annotation(set[int])


@pytest.mark.parametrize("text", ["", "list[", "list[int", "int]", "[int]"])
def test_malformed_types_are_refused(text):
    with pytest.raises(ValueError, match=r"missing|closed|not a type"):
        parse_type(text)


async def test_data_overrides_the_default_and_null_means_the_default():
    done = await run(
        {"s": ("Secs", {"secs": 2, "count": None, "maybe": None}), "r": "Output"},
        "s -> r",
    )

    assert done.values == {"r": [[2, 0, "low", 7]]}


OUT_OF_BOUNDS = [
    (-0.5, "expected at least 0, got float -0.5"),
    (61, "expected at most 60, got int 61"),
    (float("nan"), "expected at least 0, got float nan"),
    pytest.param(2**60_000, "expected at most 60, got int of 60,001 bits", id="huge"),
]


@pytest.mark.parametrize(("value", "reason"), OUT_OF_BOUNDS)
async def test_a_number_in_data_that_is_out_of_bounds_does_not_load(value, reason):
    done = await run(
        {"s": ("Secs", {"secs": value}), "k": "K", "r": "Output"}, "s -> r"
    )

    assert str(done.error) == (
        "Graph contains errors: Failed to load node s (type: test.Secs): Error setting "
        "property 'secs' on node 's': [Secs] Invalid value for property 'secs': "
        f"{reason}"
    )
    assert done.statuses("k") == []


@pytest.mark.parametrize(("value", "reason"), OUT_OF_BOUNDS)
async def test_r20_an_arriving_number_out_of_bounds_is_an_error_of_the_node(
    value, reason
):
    done = await run(
        {"k": ("K", {"value": value}), "s": "Secs", "r": "Output"},
        "k -> s.secs",
        "s -> r",
    )

    assert done.statuses("s") == ["running", "error"]
    assert str(done.error) == f"[Secs] Invalid value for property 'secs': {reason}"


@pytest.mark.parametrize("value", [0, 60, 0.0])
async def test_the_bounds_themselves_are_allowed(value):
    done = await run({"s": ("Secs", {"secs": value}), "r": "Output"}, "s -> r")

    assert done.values["r"][0][0] == value


async def test_empty_lists_in_data_are_set():
    done = await run({"n": ("Length", {"values": []}), "r": "Output"}, "n -> r")

    assert done.values == {"r": [0]}


async def test_an_arriving_null_is_the_default_unless_the_type_allows_it():
    done = await run(
        {"k": ("K", {"value": None}), "s": ("Secs", {"count": 9}), "r": "Output"},
        "k -> s.count",
        "k -> s.maybe",
        "s -> r",
    )

    assert done.values == {"r": [[0.5, 0, "low", None]]}


async def test_an_edge_takes_the_place_of_the_value_in_data():
    done = await run(
        {"k": ("K", {"value": 2.5}), "s": ("Secs", {"secs": "bad"}), "r": "Output"},
        "k -> s.secs",
        "s -> r",
    )

    assert done.values == {"r": [[2.5, 0, "low", 7]]}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"data": None, "properties": {"value": 3}}, 3),
        ({"data": {"value": 1}, "properties": {"value": 3}}, 1),
        ({"data": {}, "properties": {"value": 3}}, None),
    ],
)
async def test_properties_stand_for_data_where_there_is_none(more, expected):
    done = await run({"k": "K", "r": "Output"}, "k -> r", k=more)

    assert done.values == {"r": [expected]}


@pytest.mark.parametrize("shown", [None, {}, {"title": 1}, [], "text", 7, True])
async def test_whatever_an_editor_keeps_beside_a_node_does_not_matter(shown):
    done = await run({"k": ("K", {"value": 1})}, k={"ui_properties": shown})

    assert done.error is None
    assert {u.node_name for u in done.of(NodeUpdate)} == {"K"}


async def test_the_title_that_a_user_gave_is_the_name_of_the_node():
    done = await run({"k": "K"}, k={"ui_properties": {"title": "Mine"}})

    assert {u.node_name for u in done.of(NodeUpdate)} == {"Mine"}


async def test_unknown_names_in_data_are_ignored():
    done = await run(
        {"k": ("K", {"value": 1, "color": "red"}), "r": "Output"}, "k -> r"
    )

    assert done.values == {"r": [1]}


async def test_a_dynamic_node_has_the_inputs_that_its_user_made():
    done = await run(
        {"d": ("Dynamic", {"from_data": 1}), "k": ("K", {"value": 2}), "r": "Output"},
        "k -> d.from_edge",
        "d -> r",
        d={"dynamic_properties": {"own": 3}},
    )

    assert done.values == {"r": [{"from_data": 1, "own": 3, "from_edge": 2}]}


@pytest.mark.parametrize("declared", ["str", {"type": "str"}, {"nonsense": 1}])
async def test_a_dynamic_node_has_the_outputs_that_its_user_made(declared):
    done = await run(
        {"d": ("Dynamic", {"prefix": "more"}), "r": "Output"},
        "d.extra -> r",
        d={"dynamic_outputs": {"extra": declared}},
    )

    assert done.error is None
    assert done.values == {"r": ["more"]}
