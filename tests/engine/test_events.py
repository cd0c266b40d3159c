"""Events on the wire: encoding that never fails, whatever values nodes make."""

import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.engine import events
from workflows.engine.events import OutputUpdate, encode_event, encode_value
from workflows.engine.sanitize import MAX_INLINE_BYTES


def sent(value: Any) -> Any:
    event = OutputUpdate(
        node_id="n", node_name="n", output_name="n", value=value, output_type="any"
    )
    body = encode_event(event)
    assert b"\n" not in body
    assert b"\\u0000" not in body
    return msgspec.json.decode(body)["value"]


class Foreign:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__


class Hostile(dict):
    def items(self):
        raise RuntimeError("no items")


class Box(msgspec.Struct, tag="box"):
    value: Any = None
    other: Any = msgspec.UNSET


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\x00b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ({"k\x00": ["\udfff"]}, {"k\ufffd": ["\ufffd"]}),
        (math.nan, None),
        ([math.inf, -math.inf, 1.5], [None, None, 1.5]),
        (2**200, str(2**200)),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        ("-" + "9" * 30, "-" + "9" * 30),
        ({"big": 2**64}, {"big": str(2**64)}),
        ({3}, [3]),
        (frozenset(), []),
        (b"ab", "YWI="),
        (bytearray(b"ab"), "YWI="),
        ((1, 2), [1, 2]),
        (Foreign(), "<Foreign>"),
        ([Foreign(), 2**70], ["<Foreign>", str(2**70)]),
        ({Foreign(): 1}, {"<Foreign>": 1}),
        ({(1, 2): 3}, {"<tuple>": 3}),
        ({1: "a"}, {"1": "a"}),
        (datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02T00:00:00Z"),
        (
            [datetime(2024, 1, 2, tzinfo=UTC), 2**70],
            ["2024-01-02T00:00:00Z", str(2**70)],
        ),
        (Box(value="\x00"), {"type": "box", "value": "\ufffd"}),
        ([Hostile(a=1), 2**70], ["<Hostile>", str(2**70)]),
        ("\u2028 \n", "\u2028 \n"),
        (ValueError("x"), "<ValueError>"),
        (10**5000, hex(10**5000)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_e09_values_have_documented_substitutes(value, expected):
    assert sent(value) == expected
    assert msgspec.json.decode(encode_value(value)) == expected


def test_e09_cycles_end_where_they_meet_themselves():
    inner: list[Any] = [1]
    inner.append(inner)
    doubled: dict[str, Any] = {}
    doubled["a"] = doubled["b"] = [doubled, doubled]

    assert sent(inner) == [1, "<list>"]
    assert sent(doubled) == {
        "a": ["<dict>", "<dict>"],
        "b": ["<dict>", "<dict>"],
    }


def test_e09_nesting_has_a_limit():
    deep: Any = "bottom"
    for _ in range(100_000):
        deep = [deep]

    body = encode_value(deep)

    assert b"<list>" in body
    assert len(body) < 1000


def test_a_shared_value_is_no_cycle():
    shared = ["\x00"]

    assert sent([shared, shared]) == [["\ufffd"], ["\ufffd"]]


def test_private_addresses_never_leave():
    value = {"uri": "memory://1", "text": "see file:///tmp", "path": "file:///x"}

    assert sent(value) == {"uri": "", "text": "see file:///tmp", "path": "file:///x"}


def test_large_bytes_of_an_asset_are_left_out():
    small = {"type": "image", "data": b"a" * 10, "metadata": None}
    large = {
        "type": "image",
        "data": b"a" * (MAX_INLINE_BYTES + 1),
        "metadata": {"w": 1},
    }

    assert sent(small)["data"] is not None
    assert sent([small, large])[1] == {
        "type": "image",
        "data": None,
        "metadata": {"w": 1, "inlined_data": False},
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.sets(st.text())
    ),
    max_leaves=20,
)


@given(json_values)
def test_e09_any_value_can_be_sent(value):
    sent(value)


KINDS = msgspec.json.schema_components([events.Event])[1]


@pytest.mark.parametrize(
    "tag", sorted(t.__struct_config__.tag for t in events.Event.__args__)
)
def test_every_event_has_its_tag(tag):
    assert tag in {
        schema["properties"]["type"]["enum"][0]
        for schema in KINDS.values()
        if "type" in schema.get("properties", {})
    }


def test_optional_fields_are_left_out_and_nulls_are_kept():
    update = OutputUpdate(
        node_id="n", node_name="o", output_name="o", value=None, output_type="none"
    )

    assert msgspec.json.decode(encode_event(update)) == {
        "type": "output_update",
        "node_id": "n",
        "node_name": "o",
        "output_name": "o",
        "value": None,
        "output_type": "none",
        "metadata": {},
    }
