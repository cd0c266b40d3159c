"""From a node class to the document that editors read."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import cache
from typing import Any

from workflows.engine.node import InputNode, Node
from workflows.engine.plans import NodePlan, Property, plan_of
from workflows.engine.type_specs import TypeSpec

_SLIM = (
    "title",
    "description",
    "namespace",
    "node_type",
    "layout",
    "is_dynamic",
    "is_streaming_output",
    "expose_as_tool",
    "supports_dynamic_outputs",
)


@cache
def node_metadata(cls: type[Node]) -> dict[str, Any]:
    """Return what editors need to know of a node class. Shared: do not change it."""
    plan = plan_of(cls)
    properties = list(plan.properties.values())
    is_input = issubclass(cls, InputNode)
    return {
        "title": plan.title,
        "description": inspect.getdoc(cls) or "",
        "namespace": cls.node_type.rpartition(".")[0],
        "node_type": cls.node_type,
        "layout": "default",
        "properties": [_property(plan, each) for each in properties],
        "outputs": [
            {"type": _type(spec), "name": name, "stream": cls.streaming_output}
            for name, spec in plan.outputs.items()
        ],
        "basic_fields": (
            ["name", "value"] if is_input else [each.name for each in properties]
        ),
        "required_settings": list(cls.required_settings),
        "recommended_models": [],
        "model_packs": [],
        "the_model_info": {},
        "is_dynamic": cls.dynamic,
        "is_streaming_output": cls.streaming_output,
        "expose_as_tool": cls.expose_as_tool,
        "supports_dynamic_outputs": cls.dynamic_outputs,
    }


@cache
def slim_metadata(cls: type[Node]) -> dict[str, Any]:
    """Return the part of `node_metadata` that a list of node types needs."""
    whole = node_metadata(cls)
    return {name: whole[name] for name in _SLIM}


def all_metadata(
    registry: Iterable[type[Node]], *, slim: bool = False
) -> list[dict[str, Any]]:
    """Return the metadata of all registered classes that are offered, by node type."""
    describe = slim_metadata if slim else node_metadata
    offered = [cls for cls in registry if not cls.hidden]
    return [describe(cls) for cls in sorted(offered, key=lambda cls: cls.node_type)]


def _property(plan: NodePlan, known: Property) -> dict[str, Any]:
    meta = known.meta
    return {
        "name": known.name,
        "type": _type(known.spec),
        "default": known.default,
        "title": meta.title or known.name.replace("_", " ").title(),
        "description": meta.description,
        "min": meta.min,
        "max": meta.max,
        "json_schema_extra": meta.json_schema_extra,
        "required": known.name in plan.cls.required_inputs,
    }


def _type(spec: TypeSpec) -> dict[str, Any]:
    return {
        "type": spec.type,
        "optional": spec.optional,
        "values": None if spec.values is None else list(spec.values),
        "type_args": [_type(arg) for arg in spec.type_args],
        "type_name": spec.type_name,
    }
