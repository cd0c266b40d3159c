"""JSON schemas of what a workflow takes and gives, derived from its graph."""

from typing import Any

Json = dict[str, Any]

INPUT_PREFIX = "nodetool.input."
OUTPUT_PREFIX = "nodetool.output."
NOT_AN_INPUT = INPUT_PREFIX + "MessageDeconstructor"
NUMBERS = {"FloatInput": "number", "IntegerInput": "integer"}
ASSETS = {
    "ImageInput": "image",
    "VideoInput": "video",
    "AudioInput": "audio",
    "DocumentInput": "document",
}


def input_schema(graph: Json) -> Json:
    """Describe the parameters of a run, one property per input node.

    ``required`` names the inputs whose type is described. It only tells a form what to
    show: a run takes the default of the node for whatever is missing.
    """
    properties, required = {}, []
    for node in graph["nodes"]:
        kind: str = node["type"]
        if not kind.startswith(INPUT_PREFIX) or kind == NOT_AN_INPUT:
            continue
        described = _describe(kind.removeprefix(INPUT_PREFIX), node["data"])
        name = _name(node)
        properties[name] = {**described, "label": ""}
        if described and name not in required:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}


def output_schema(graph: Json) -> Json:
    """Name the outputs of a run, one property per output node."""
    names = dict.fromkeys(
        _name(node) for node in graph["nodes"] if node["type"].startswith(OUTPUT_PREFIX)
    )
    return {
        "type": "object",
        "properties": {name: {"type": "any", "label": ""} for name in names},
        "required": list(names),
    }


def _name(node: Json) -> str:
    name = node["data"].get("name")
    return name if isinstance(name, str) and name else node["id"]


def _given(data: Json, key: str, default: Any) -> Any:
    """Return the value of a property; null stands for the default, as in a run."""
    value = data.get(key)
    return default if value is None else value


def _describe(kind: str, data: Json) -> Json:
    """Return the schema of one input, empty for a type that has none."""
    if kind in NUMBERS:
        return {
            "type": NUMBERS[kind],
            "minimum": _given(data, "min", 0),
            "maximum": _given(data, "max", 100),
            "default": _given(data, "value", 0),
        }
    if kind == "StringInput":
        return {"type": "string", "default": _given(data, "value", "")}
    if kind == "BooleanInput":
        return {"type": "boolean", "default": _given(data, "value", default=False)}
    if kind in ASSETS:
        return {
            "type": "object",
            "properties": {
                "uri": {"type": "string", "format": "uri"},
                "type": {"type": "string", "enum": [ASSETS[kind]]},
            },
            "required": ["uri", "type"],
        }
    return {}
