"""Which class runs which node type, and what is known of a class."""

from typing import Any

import pytest

from tests.engine.sample_nodes import E, FormatText, K, P, registry
from workflows.engine.errors import DuplicateNodeType, UnknownNodeType
from workflows.engine.node import InputNode, Node
from workflows.engine.plans import Flavour, plan_of
from workflows.engine.registry import NodeRegistry


@pytest.fixture
def small() -> NodeRegistry:
    small = NodeRegistry()
    for name in (
        "nodetool.triggers.Wait",
        "lib.pillow.__init__.Blend",
        "lib.svg.Rect",
        "nodetool.output.Output",
    ):
        small.register(name)(type("Sample", (Node,), {}))
    return small


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("nodetool.triggers.Wait", "nodetool.triggers.Wait"),
        ("nodetool.triggers.WaitNode", "nodetool.triggers.Wait"),
        ("lib.pillow.Blend", "lib.pillow.__init__.Blend"),
        ("lib.pillow.__init__.Blend", "lib.pillow.__init__.Blend"),
        ("nodetool.lib.pillow.Blend", "lib.pillow.__init__.Blend"),
        ("nodetool.lib.pillow.__init__.Blend", "lib.pillow.__init__.Blend"),
        ("nodetool.lib.svg.RectNode", "lib.svg.Rect"),
        ("nodetool.output.StringOutput", "nodetool.output.Output"),
    ],
)
def test_older_spellings_of_a_type_are_understood(small, asked, found):
    assert small.get(asked).node_type == found
    assert asked in small


@pytest.mark.parametrize("asked", ["", "Node", "nodetool.", "nodetool.output.Nothing"])
def test_an_unknown_type_is_named(small, asked):
    with pytest.raises(UnknownNodeType) as raised:
        small.get(asked)
    assert str(raised.value) == f"Invalid node type: {asked}"
    assert asked not in small


def test_a_type_is_registered_once(small):
    with pytest.raises(DuplicateNodeType, match=r"lib\.svg\.Rect"):
        small.register("lib.svg.Rect")(K)


def test_a_package_registers_all_of_its_modules():
    registry.load_package("tests.engine.sample_nodes")

    assert len(list(registry)) == len(registry) > 20


def test_the_flavour_follows_from_what_a_class_overrides():
    flavours = {cls.__name__: plan_of(cls).flavour for cls in registry}

    assert flavours["K"] == Flavour.BUFFERED
    assert flavours["E"] == Flavour.GENERATOR
    assert flavours["Collect"] == Flavour.STREAM
    assert flavours["Output"] == flavours["Preview"] == Flavour.FORWARD
    assert flavours["StringInput"] == Flavour.INPUT
    assert flavours["Group"] == Flavour.INERT


def test_titles_are_read_off_the_class_name():
    assert plan_of(FormatText).title == "Format Text"
    assert plan_of(type("HTTPGetNode", (Node,), {})).title == "HTTP Get"
    assert plan_of(type("Named", (Node,), {"title": "A title"})).title == "A title"


def test_properties_of_base_classes_come_first():
    class Sized(InputNode):
        value: str = ""
        size: int = 0

    assert list(plan_of(Sized).properties) == ["name", "value", "description", "size"]


def test_a_property_may_be_called_like_a_setting_of_the_class():
    class Titled(Node):
        title: str = "text"

    plan = plan_of(Titled)

    assert plan.title == "Titled"
    assert plan.defaults == {"title": "text"}


def test_a_property_needs_a_default():
    class Bare(Node):
        value: Any

    with pytest.raises(TypeError, match="value"):
        plan_of(Bare)


def test_plans_are_made_once():
    assert plan_of(P) is plan_of(P)
    assert plan_of(E).starts_stream
