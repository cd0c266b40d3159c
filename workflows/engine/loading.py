"""From the nodes of a document to loaded nodes: class, properties, outputs."""

from __future__ import annotations

from typing import Any

import msgspec

from workflows.engine.errors import NodeTypeOff, UnknownNodeType, ValueMisfit
from workflows.engine.graph import CONTROL_HANDLE, Graph, GraphNode, Problem
from workflows.engine.plans import Flavour, NodePlan, plan_of
from workflows.engine.registry import NodeRegistry
from workflows.engine.type_specs import ANY, TypeSpec, parse_type


class LoadedNode(msgspec.Struct):
    """A node of the graph with everything that holds for its whole run.

    ``properties`` are the values without those that edges bring; ``dynamic`` the inputs
    that the user added.
    """

    id: str
    index: int
    name: str
    plan: NodePlan
    properties: dict[str, Any]
    dynamic: dict[str, Any]
    outputs: dict[str, TypeSpec]
    zips: bool

    @property
    def type(self) -> str:
        return self.plan.cls.node_type


def load_nodes(
    graph: Graph, registry: NodeRegistry
) -> tuple[dict[str, LoadedNode], list[Problem]]:
    """Return the nodes that could be loaded, by id in graph order, and all faults."""
    targeted = {(edge.target, edge.target_handle) for edge in graph.edges}
    loaded: dict[str, LoadedNode] = {}
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, node in enumerate(graph.nodes):
        if node.id in seen:
            problems.append(
                Problem(
                    message=f"Duplicate node id: {node.id}",
                    node_id=node.id,
                    cure="Give every node an id of its own.",
                )
            )
            continue
        if node.id:
            seen.add(node.id)
        problem = _load(node, index, registry, targeted, loaded)
        if problem is not None:
            problems.append(problem)
    return loaded, problems


def _load(
    node: GraphNode,
    index: int,
    registry: NodeRegistry,
    targeted: set[tuple[str, str]],
    loaded: dict[str, LoadedNode],
) -> Problem | None:
    if not node.id:
        return _failure(node, "Node data must have an 'id' field.", "Give it an id.")
    if not node.type:
        return _failure(node, "Node data must have a 'type' field.", "Give it a type.")
    try:
        plan = plan_of(registry.get(node.type))
    except UnknownNodeType as error:
        cure = "Correct the type, or install the package that has it."
        return _failure(node, str(error), cure)
    except NodeTypeOff as error:
        cure = "Remove the node, or run the workflow where its type is allowed."
        return _failure(node, str(error), cure)
    properties = dict(plan.defaults)
    dynamic = dict(node.dynamic_properties or {}) if plan.cls.dynamic else {}
    for name, value in (node.data or {}).items():
        if (node.id, name) in targeted:
            continue
        if name not in plan.properties:
            dynamic[name] = value
            continue
        if value is None:  # the default, even where a null could arrive by an edge
            continue
        try:
            properties[name] = plan.coerce(name, value)
        except ValueMisfit as misfit:
            text = f"Error setting property '{name}' on node '{node.id}': {misfit}"
            return _failure(node, text, f"Correct the value of '{name}'.", name)
    loaded[node.id] = LoadedNode(
        id=node.id,
        index=index,
        name=_display_name(node, plan, properties),
        plan=plan,
        properties=properties,
        dynamic=dynamic if plan.cls.dynamic else {},
        outputs=_outputs(node, plan),
        zips=node.sync_mode == "zip_all",
    )
    return None


def _failure(
    node: GraphNode, reason: str, cure: str, property_name: str | None = None
) -> Problem:
    return Problem(
        message=f"Failed to load node {node.id} (type: {node.type}): {reason}",
        node_id=node.id or None,
        property=property_name,
        cure=cure,
    )


def _display_name(node: GraphNode, plan: NodePlan, properties: dict[str, Any]) -> str:
    shown = node.ui_properties
    title = shown.get("title") if isinstance(shown, dict) else None
    if plan.flavour == Flavour.INPUT or plan.is_output:
        title = properties.get("name")
    return title if isinstance(title, str) and title else plan.title


def _outputs(node: GraphNode, plan: NodePlan) -> dict[str, TypeSpec]:
    if not (plan.cls.dynamic_outputs and node.dynamic_outputs):
        return plan.outputs
    added = {
        name: _declared_type(declared)
        for name, declared in node.dynamic_outputs.items()
        if name != CONTROL_HANDLE
    }
    return {**plan.outputs, **added}


def _declared_type(declared: Any) -> TypeSpec:
    """Read the type of a user-made output; what cannot be read may be anything."""
    try:
        if isinstance(declared, str):
            return parse_type(declared)
        return msgspec.convert(declared, TypeSpec)
    except ValueError:
        return ANY
