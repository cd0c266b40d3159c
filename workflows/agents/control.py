"""Nodes that a model controls: what it is told of them, and what it may ask of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workflows.agents.tools import AskedCall, tool_name
from workflows.agents.type_schemas import properties_schema
from workflows.engine.context import ControlTarget, NodeContext
from workflows.engine.errors import ValueMisfit
from workflows.engine.events import encode_value

MAX_VALUE = 16 * 1024

# The mask knows the secrets that the run has read; these may hold one that was typed.
_SECRET = re.compile(
    r"(?:^|_)(?:api_?key|access_?key|password|passphrase|secret|token|credentials?)$",
    re.IGNORECASE,
)
_HIDDEN = "***"


def control_context(targets: Sequence[ControlTarget]) -> dict[str, Any]:
    """Return what a model is told of the nodes that it controls, by their ids."""
    return {target.id: _described(target) for target in targets}


def event_schema(target: ControlTarget) -> dict[str, Any]:
    """Return the JSON schema of the properties that a run of a node may be given."""
    schema = properties_schema(target.plan)
    properties = schema["properties"]
    declared = {name: properties[name] for name in target.plan.settable}
    added: dict[str, Any] = {n: {} for n in target.values if n not in declared}
    return {
        **schema,
        "properties": {**declared, **added},
        "additionalProperties": target.plan.cls.dynamic,
    }


def checked_properties(target: ControlTarget, given: Mapping[str, Any]) -> Any:
    """Return properties for a run of a node as they will be held.

    Raises:
        ValueMisfit: one is unknown or does not fit.
    """
    plan = target.plan
    for name in given:
        if name not in plan.settable and not plan.cls.dynamic:
            known = ", ".join(plan.settable) or "none"
            raise ValueMisfit(
                f"'{target.title}' has no property '{name}'; it has: {known}"
            )
    return {name: plan.coerce(name, value) for name, value in given.items()}


def chosen_properties(
    targets: Sequence[ControlTarget], answer: Any
) -> dict[str, dict[str, Any]]:
    """Return what a model has chosen, by the ids of the nodes that shall run with it.

    It answers with properties, which are for every node that has some of them, or with
    an object of those by the ids of nodes.

    Raises:
        ValueMisfit: it is something else, or a property is unknown or does not fit.
    """
    if not isinstance(answer, dict):
        raise ValueMisfit("it is no object")
    by_id = {target.id: target for target in targets}
    is_by_id = all(isinstance(answer.get(each), dict) for each in answer)
    if answer.keys() <= by_id.keys() and is_by_id and (answer or len(targets) > 1):
        return {i: checked_properties(by_id[i], given) for i, given in answer.items()}
    if len(targets) == 1:
        return {targets[0].id: checked_properties(targets[0], answer)}
    parts = {
        target.id: {n: v for n, v in answer.items() if n in target.plan.settable}
        for target in targets
    }
    unknown = [n for n in answer if not any(n in part for part in parts.values())]
    if unknown:
        raise ValueMisfit(f"none of the nodes has a property '{unknown[0]}'")
    return {i: checked_properties(by_id[i], part) for i, part in parts.items() if part}


async def target_tools(
    context: NodeContext, taken: Iterable[str] = ()
) -> list[TargetTool]:
    """Return the nodes that a node controls as tools, with names that nobody has."""
    names = set(taken)
    tools = []
    for target in await context.control.targets(settled=False):
        name, number = tool_name(target.title) or "_", 1
        while name in names:
            number += 1
            name = tool_name(f"{target.title} {number}")
        names.add(name)
        tools.append(TargetTool(name, target, context))
    return tools


class TargetTool:
    """A node of the graph that is controlled: its properties are the arguments.

    It runs in the graph, where its outputs lead as they always do; they are the result
    as well.
    """

    def __init__(self, name: str, target: ControlTarget, context: NodeContext) -> None:
        self._target = target
        self._context = context
        self.name = name
        about = inspect.getdoc(target.plan.cls) or target.plan.title
        self.description = f"{target.title}: {about}"
        self.parameters = event_schema(target)

    async def call(self, call: AskedCall) -> Any:
        """Run it; return the value of its output, or the values by output.

        Raises:
            ValueMisfit: an argument is unknown or does not fit.
            TargetFailed: the node has failed or ended, or cannot run yet.
        """
        properties = checked_properties(self._target, call.arguments)
        found = await self._context.control.run(self._target.id, properties)
        return next(iter(found.values())) if len(found) == 1 else found


def _described(target: ControlTarget) -> dict[str, Any]:
    plan = target.plan
    properties = {
        name: {
            "value": _shown(name, target.values.get(name)),
            "type": str(each.spec),
            "description": each.meta.description or "",
            "default": _shown(name, each.default),
        }
        for name, each in plan.settable.items()
    }
    for name, value in target.values.items():
        properties.setdefault(
            name, {"value": _shown(name, value), "type": "any", "description": ""}
        )
    return {
        "node_id": target.id,
        "node_type": plan.cls.node_type,
        "node_title": target.title,
        "node_description": inspect.getdoc(plan.cls) or "",
        "properties": properties,
        "control_actions": {
            "run": {
                "description": "Runs the node once with these properties.",
                "properties": event_schema(target)["properties"],
            }
        },
    }


def _shown(name: str, value: Any) -> Any:
    if value and isinstance(value, str) and _SECRET.search(name):
        return _HIDDEN
    body = encode_value(value)
    if len(body) <= MAX_VALUE:
        return value
    return f"{body[:MAX_VALUE].decode(errors='ignore')} [cut: {len(body):,} bytes]"
