"""Schemas of what a workflow takes and gives."""

from tests.workflows.graphs import node
from workflows.graph_json import normalise_graph
from workflows.io_schemas import input_schema, output_schema


def inputs_of(*nodes):
    return input_schema(normalise_graph({"nodes": list(nodes)}))


def test_text_input_has_its_value_as_default():
    schema = inputs_of(
        node("a", "nodetool.input.StringInput", name="prompt", value="hi"),
        node("b", "nodetool.input.StringInput", name="rest", value=None),
    )

    assert schema == {
        "type": "object",
        "properties": {
            "prompt": {"type": "string", "default": "hi", "label": ""},
            "rest": {"type": "string", "default": "", "label": ""},
        },
        "required": ["prompt", "rest"],
    }


def test_numbers_have_bounds():
    schema = inputs_of(
        node("a", "nodetool.input.IntegerInput", name="n", min=3, max=9, value=4),
        node("b", "nodetool.input.FloatInput", name="x"),
    )

    assert schema["properties"] == {
        "n": {
            "type": "integer",
            "minimum": 3,
            "maximum": 9,
            "default": 4,
            "label": "",
        },
        "x": {
            "type": "number",
            "minimum": 0,
            "maximum": 100,
            "default": 0,
            "label": "",
        },
    }


def test_flag_and_image():
    schema = inputs_of(
        node("a", "nodetool.input.BooleanInput", name="on", value=True),
        node("b", "nodetool.input.ImageInput", name="picture"),
    )

    assert schema["properties"]["on"] == {
        "type": "boolean",
        "default": True,
        "label": "",
    }
    picture = schema["properties"]["picture"]
    assert picture["properties"]["type"] == {"type": "string", "enum": ["image"]}
    assert picture["required"] == ["uri", "type"]


def test_input_without_name_is_listed_by_its_node():
    assert "a" in inputs_of(node("a", "nodetool.input.StringInput"))["properties"]


def test_other_inputs_are_listed_and_not_required():
    schema = inputs_of(node("a", "nodetool.input.ColorInput", name="color"))

    assert schema["properties"] == {"color": {"label": ""}}
    assert schema["required"] == []


def test_what_is_no_input_node_is_not_listed():
    schema = inputs_of(
        node("a", "nodetool.input.MessageDeconstructor", name="m"),
        node("b", "nodetool.text.Concat", name="c"),
    )

    assert schema["properties"] == {}


def test_outputs_are_named_once():
    graph = normalise_graph(
        {
            "nodes": [
                node("a", "nodetool.output.Output", name="text"),
                node("b", "nodetool.output.StringOutput", name="text"),
                node("c", "nodetool.output.Output"),
            ]
        }
    )

    assert output_schema(graph) == {
        "type": "object",
        "properties": {
            "text": {"type": "any", "label": ""},
            "c": {"type": "any", "label": ""},
        },
        "required": ["text", "c"],
    }
