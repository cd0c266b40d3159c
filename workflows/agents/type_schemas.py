"""The types of handles as JSON schemas, for models."""

from __future__ import annotations

from typing import Any

from workflows.engine.coercion import coerce
from workflows.engine.errors import ValueMisfit
from workflows.engine.plans import NodePlan
from workflows.engine.type_specs import TypeSpec
from workflows.engine.values import ASSET_TYPES

_PLAIN = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "none": "null",
}


def properties_schema(plan: NodePlan) -> dict[str, Any]:
    """Return the schema of a node's properties; none of them is required."""
    properties = {}
    for each in plan.properties.values():
        bounds = {"minimum": each.meta.min, "maximum": each.meta.max}
        schema = {
            **schema_of(each.spec),
            "description": each.meta.description,
            **bounds,
        }
        properties[each.name] = {
            key: value for key, value in schema.items() if value is not None
        }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def fields_schema(fields: dict[str, TypeSpec]) -> dict[str, Any]:
    """Return the schema of an object with exactly these fields."""
    return {
        "type": "object",
        "properties": {name: schema_of(spec) for name, spec in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


def check_fields(fields: dict[str, TypeSpec], value: Any) -> dict[str, Any]:
    """Return the fields of an object, each as its type has it; others are left out.

    Raises:
        ValueMisfit: it is no object, or a field is missing or does not fit.
    """
    if not isinstance(value, dict):
        raise ValueMisfit("it is no object")
    for name in fields:
        if name not in value:
            raise ValueMisfit(f"the field '{name}' is missing")
    return {name: _checked(name, spec, value[name]) for name, spec in fields.items()}


def schema_of(spec: TypeSpec) -> dict[str, Any]:
    """Return the schema of one type; what cannot be described may be anything."""
    schema = _schema_of(spec)
    if spec.optional and schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


def _schema_of(spec: TypeSpec) -> dict[str, Any]:
    name, args = spec.type, spec.type_args
    if name in _PLAIN:
        return {"type": _PLAIN[name]}
    if name == "enum":
        return _enum_schema(list(spec.values or ()))
    if name == "union":
        return {"anyOf": [schema_of(arg) for arg in args]} if args else {}
    if name in ("list", "tuple"):
        each = schema_of(args[0]) if name == "list" and args else {}
        return {"type": "array", "items": each}
    if name == "dict":
        values = schema_of(args[1]) if len(args) > 1 else {}
        return {"type": "object", "additionalProperties": values or True}
    if name in ASSET_TYPES:
        return _asset_schema(name)
    if name in ("any", "object"):
        return {}
    return {"type": "object"}


def _checked(name: str, spec: TypeSpec, value: Any) -> Any:
    try:
        return coerce(spec, value)
    except ValueMisfit as misfit:
        raise ValueMisfit(f"field '{name}': {misfit}") from None


def _enum_schema(values: list[Any]) -> dict[str, Any]:
    """Return a choice with its type, which some vendors want to be told."""
    types = {str: "string", int: "integer"}
    found = {types.get(type(value), "") for value in values}
    kind = found.pop() if len(found) == 1 else ""
    return {"type": kind, "enum": values} if kind else {"enum": values}


def _asset_schema(name: str) -> dict[str, Any]:
    text = {"type": ["string", "null"]}
    return {
        "type": "object",
        "description": "A reference to a file, as another tool gave it.",
        "properties": {"type": _enum_schema([name]), "uri": text, "asset_id": text},
        "required": ["type"],
    }
