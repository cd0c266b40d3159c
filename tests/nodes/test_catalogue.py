"""The node types are those that editors know: names, properties, defaults, outputs."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.nodes.harness import registry, shipped
from workflows.engine.node import Node
from workflows.engine.plans import plan_of
from workflows.engine.registry import NodeRegistry
from workflows.engine.schema import all_metadata, node_metadata, slim_metadata

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/nodes.json").read_text())
NODES = {node["node_type"]: node for node in GOLDEN["nodes"]}
OUR_OWN = {"demo.StreamText", "demo.SlowSteps", "demo.Fail", "demo.Busy"}
# It has to read its stream to the end itself, as the other Collect does.
DEVIATIONS = {("nodetool.text.Collect", "streaming_input")}
FLAGS = (
    "streaming_input",
    "streaming_output",
    "dynamic",
    "dynamic_outputs",
    "pure",
    "expose_as_tool",
)


def whole_type(spec):
    return {
        "type": spec["type"],
        "optional": spec.get("optional", False),
        "values": spec.get("values"),
        "type_args": [whole_type(arg) for arg in spec.get("type_args", [])],
        "type_name": spec.get("type_name"),
    }


def test_the_registry_has_exactly_the_known_types_and_our_own():
    assert {cls.node_type for cls in shipped()} == set(NODES) | OUR_OWN


@pytest.mark.parametrize("node_type", sorted(NODES))
def test_properties_are_those_editors_know(node_type):
    expected = [
        {
            "name": known["name"],
            "type": whole_type(known["type"]),
            "default": known["default"],
            "min": known.get("min"),
            "max": known.get("max"),
        }
        for known in NODES[node_type]["properties"]
    ]

    properties = node_metadata(registry.get(node_type))["properties"]

    shown = ("name", "type", "default", "min", "max")
    assert [{key: each[key] for key in shown} for each in properties] == expected


@pytest.mark.parametrize("cls", shipped(), ids=lambda cls: cls.node_type)
def test_an_editor_may_write_every_default_into_the_graph(cls):
    plan = plan_of(cls)

    for name, default in plan.defaults.items():
        assert plan.coerce(name, default) == default


@pytest.mark.parametrize("node_type", sorted(NODES))
def test_outputs_are_those_editors_know(node_type):
    known = NODES[node_type]
    expected = [
        {
            "name": output["name"],
            "type": whole_type(output["type"]),
            "stream": known["streaming_output"],
        }
        for output in known["outputs"]
    ]

    assert node_metadata(registry.get(node_type))["outputs"] == expected


@pytest.mark.parametrize("node_type", sorted(NODES))
def test_flags_are_those_editors_know(node_type):
    cls = registry.get(node_type)

    differing = {
        (node_type, flag)
        for flag in FLAGS
        if getattr(cls, flag) != NODES[node_type][flag]
    }

    assert differing == {each for each in DEVIATIONS if each[0] == node_type}


@pytest.mark.parametrize("node_type", sorted(set(NODES) | OUR_OWN))
def test_metadata_has_every_field_with_its_type(node_type):
    metadata = node_metadata(registry.get(node_type))

    assert metadata["node_type"] == node_type
    assert metadata["namespace"] == node_type.rpartition(".")[0]
    assert metadata["title"]
    assert metadata["description"]
    assert metadata["layout"] == "default"
    names = {each["name"] for each in metadata["properties"]}
    assert set(metadata["basic_fields"]) <= names
    for key in ("recommended_models", "model_packs"):
        assert metadata[key] == []
    needed = NODES.get(node_type, {}).get("required_settings", [])
    assert metadata["required_settings"] == needed
    assert metadata["the_model_info"] == {}
    for flag in (
        "is_dynamic",
        "is_streaming_output",
        "expose_as_tool",
        "supports_dynamic_outputs",
    ):
        assert isinstance(metadata[flag], bool)
    assert all(each["required"] is False for each in metadata["properties"])
    assert json.loads(msgspec.json.encode(metadata)) == metadata


def test_input_nodes_show_name_and_value_first():
    metadata = node_metadata(registry.get("nodetool.input.FloatInput"))

    assert metadata["basic_fields"] == ["name", "value"]
    assert metadata["properties"][4]["title"] == "Max"
    assert metadata["properties"][4]["description"]


def test_all_metadata_is_sorted_and_made_once():
    everything = all_metadata(registry)

    types = [each["node_type"] for each in everything]
    assert types == sorted(types)
    assert len(types) == sum(not cls.hidden for cls in registry)
    assert "nodetool.chat.Turn" not in types
    assert everything[0] is all_metadata(registry)[0]


def test_slim_metadata_leaves_out_properties_and_outputs():
    slim = slim_metadata(registry.get("nodetool.text.Concat"))

    assert slim["title"] == "Concatenate Text"
    assert slim["is_streaming_output"] is False
    assert not {"properties", "outputs"} & set(slim)
    assert slim in all_metadata(registry, slim=True)


def test_required_inputs_are_marked_as_required():
    class Needy(Node):
        """Needs an edge."""

        required_inputs = ("image",)
        image: str = ""
        scale: float = 1.0

    NodeRegistry().register("test.Needy")(Needy)

    first, second = node_metadata(Needy)["properties"]

    assert (first["required"], second["required"]) == (True, False)


@pytest.mark.parametrize(
    ("older", "node_type"),
    [
        ("nodetool.output.StringOutput", "nodetool.output.Output"),
        ("nodetool.lib.math.Add", "lib.math.Add"),
        ("nodetool.control.IfNode", "nodetool.control.If"),
    ],
)
def test_older_spellings_find_the_node(older, node_type):
    assert registry.get(older).node_type == node_type


def test_loading_the_nodes_imports_no_framework_and_no_template_engine():
    code = (
        "import sys; from workflows.nodes import registry; "
        "registry.load_package('workflows.nodes'); "
        "print(*sorted({'django', 'jinja2', 'pebble', 'resource'} & set(sys.modules)))"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.split() == []
