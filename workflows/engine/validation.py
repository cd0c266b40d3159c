"""Find every problem of a graph at once, before anything runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import msgspec

from workflows.engine.cycles import show_cycle, sort_topologically
from workflows.engine.graph import CONTROL_HANDLE, Edge, Graph, Problem
from workflows.engine.loading import LoadedNode, load_nodes
from workflows.engine.plans import Flavour
from workflows.engine.registry import NodeRegistry
from workflows.engine.type_specs import ANY, TypeSpec, element_of, fits

MAX_NODES = 5_000
MAX_EDGES = 20_000
_NEVER_RUN = (Flavour.INPUT, Flavour.INERT)


class CheckedGraph(msgspec.Struct):
    """A graph that was looked through: what is wrong, and what can run.

    ``nodes`` are in graph order, ``order`` follows the edges; ``edges`` are the data
    edges that remain, ``control`` the others, ``dropped`` those that lead nowhere.
    """

    problems: list[Problem]
    nodes: dict[str, LoadedNode] = {}
    edges: list[Edge] = []
    control: list[Edge] = []
    dropped: list[Edge] = []
    order: list[str] = []

    @property
    def errors(self) -> list[Problem]:
        return [each for each in self.problems if each.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        return [each for each in self.problems if each.severity == "warning"]


def check_graph(graph: Graph, registry: NodeRegistry) -> CheckedGraph:
    """Return the loaded graph and all of its problems. Linear in nodes and edges."""
    oversize = list(_oversize(graph))
    if oversize:
        return CheckedGraph(oversize)
    nodes, problems = load_nodes(graph, registry)
    checked = CheckedGraph(problems, nodes)
    _sort_edges(graph, checked)
    problems += _name_problems(nodes)
    problems += _input_problems(checked)
    problems += _control_problems(checked)
    problems += _order(checked)
    return checked


def _oversize(graph: Graph) -> Iterator[Problem]:
    for count, limit, noun in (
        (len(graph.nodes), MAX_NODES, "nodes"),
        (len(graph.edges), MAX_EDGES, "edges"),
    ):
        if count > limit:
            cure = "Split it into several workflows."
            message = f"Graph has {count:,} {noun}; at most {limit:,} can run. {cure}"
            yield Problem(message=message, cure=cure)


def _sort_edges(graph: Graph, checked: CheckedGraph) -> None:
    """Keep the sound edges of either kind, drop the broken ones."""
    known = {node.id for node in graph.nodes}
    for edge in graph.edges:
        reason = _edge_fault(edge, checked.nodes, known)
        if reason:
            checked.dropped.append(edge)
            checked.problems.append(
                Problem(
                    message=f"Edge {edge.id} was left out: {reason}",
                    severity="warning",
                    edge_id=edge.id,
                    cure="Remove the edge or connect it anew.",
                )
            )
        elif edge.source in checked.nodes and edge.target in checked.nodes:
            (checked.control if edge.is_control else checked.edges).append(edge)


def _edge_fault(
    edge: Edge, nodes: dict[str, LoadedNode], known: set[str]
) -> str | None:
    for end in (edge.source, edge.target):
        if end not in known:
            return f"there is no node '{end}'"
    source, target = nodes.get(edge.source), nodes.get(edge.target)
    if edge.is_control:
        return _control_fault(source, target)
    if source is not None and edge.source_handle not in source.outputs:
        return f"node '{edge.source}' has no output '{edge.source_handle}'"
    if target is not None and not _takes(target, edge.target_handle):
        return f"node '{edge.target}' has no input '{edge.target_handle}'"
    return None


def _control_fault(source: LoadedNode | None, target: LoadedNode | None) -> str | None:
    if source is not None and source.plan.flavour == Flavour.INERT:
        return f"node '{source.id}' never runs"
    if target is not None and target.plan.flavour in _NEVER_RUN:
        return f"node '{target.id}' runs by itself or never and cannot be controlled"
    return None


def _takes(node: LoadedNode, handle: str) -> bool:
    plan = node.plan
    if plan.flavour in _NEVER_RUN or handle == CONTROL_HANDLE:
        return False
    if plan.flavour == Flavour.FORWARD:
        return handle == "value"
    return handle in plan.properties or plan.cls.dynamic


def _name_problems(nodes: dict[str, LoadedNode]) -> Iterator[Problem]:
    inputs = [n for n in nodes.values() if n.plan.flavour == Flavour.INPUT]
    outputs = [n for n in nodes.values() if n.plan.is_output]
    for kind, group in (("InputNode", inputs), ("OutputNode", outputs)):
        yield from _names_of(kind, group)


def _names_of(kind: str, group: list[LoadedNode]) -> Iterator[Problem]:
    nameless = [node.id for node in group if not node.properties["name"]]
    if nameless:
        yield Problem(
            message=f"All {kind}(s) must have a non-empty name. "
            f"Invalid: {', '.join(nameless)}",
            node_id=nameless[0],
            property="name",
            cure="Name each of them.",
        )
    counts = Counter(node.properties["name"] for node in group)
    twice = sorted(name for name, count in counts.items() if name and count > 1)
    if twice:
        yield Problem(
            message=f"Multiple {kind}(s) have the same name. "
            f"Duplicate names: {', '.join(twice)}. Names must be unique.",
            node_id=next(n.id for n in group if n.properties["name"] in twice),
            property="name",
            cure="Give each of them a name of its own.",
        )


def _input_problems(checked: CheckedGraph) -> Iterator[Problem]:
    incoming: dict[str, dict[str, list[Edge]]] = defaultdict(dict)
    for edge in checked.edges:
        incoming[edge.target].setdefault(edge.target_handle, []).append(edge)
    for node in checked.nodes.values():
        handles = incoming.get(node.id, {})
        missing = [n for n in node.plan.cls.required_inputs if n not in handles]
        if missing:
            yield Problem(
                message=f"{node.id}: Missing inputs: {', '.join(missing)}",
                node_id=node.id,
                property=missing[0],
                cure="Connect them.",
            )
        for handle, edges in handles.items():
            yield from _type_problems(node, handle, edges, checked.nodes)


def _type_problems(
    node: LoadedNode, handle: str, edges: list[Edge], nodes: dict[str, LoadedNode]
) -> Iterator[Problem]:
    known = node.plan.properties.get(handle)
    expected = known.spec if known is not None else ANY
    if len(edges) > 1:
        yield from _gathering_problems(node, handle, expected, edges, nodes)
        return
    edge = edges[0]
    given = nodes[edge.source].outputs[edge.source_handle]
    if not fits(given, expected):
        yield Problem(
            message=f"{node.id}: Type mismatch for property '{handle}' - "
            f"{edge.source}.{edge.source_handle} outputs {given} but "
            f"{node.id}.{handle} expects {expected}",
            node_id=node.id,
            edge_id=edge.id,
            property=handle,
            cure="Put a node that converts the value between them.",
        )


def _gathering_problems(
    node: LoadedNode,
    handle: str,
    expected: TypeSpec,
    edges: list[Edge],
    nodes: dict[str, LoadedNode],
) -> Iterator[Problem]:
    if expected.type != "list":
        yield Problem(
            message=f"{node.id}: Multiple edges target non-list property '{handle}' "
            f"(type: {expected}). Only list properties take several edges.",
            node_id=node.id,
            property=handle,
            cure="Keep one of the edges, or collect the values first.",
        )
        return
    element = element_of(expected)
    for edge in edges:
        given = nodes[edge.source].outputs[edge.source_handle]
        if not fits(given, element) and not fits(given, expected):
            yield Problem(
                message=f"{node.id}: Edge from {edge.source}.{edge.source_handle} has "
                f"incompatible type '{given}' for list element type '{element}' on "
                f"property '{handle}'",
                node_id=node.id,
                edge_id=edge.id,
                property=handle,
                cure="Put a node that converts the value between them.",
            )


def _control_problems(checked: CheckedGraph) -> Iterator[Problem]:
    for edge in checked.control:
        if edge.target_handle != CONTROL_HANDLE:
            yield Problem(
                message=f"Control edge {edge.id} must use '{CONTROL_HANDLE}' as "
                f"targetHandle, got '{edge.target_handle}'",
                edge_id=edge.id,
                cure=f"Connect it to '{CONTROL_HANDLE}'.",
            )
        elif not checked.nodes[edge.source].plan.controls:
            yield Problem(
                message=f"Node '{edge.source}' sends no control events: "
                f"'{edge.target}' does not run for it",
                severity="warning",
                edge_id=edge.id,
                cure="Control it by a node that sends events, or remove the edge.",
            )


def _order(checked: CheckedGraph) -> Iterator[Problem]:
    """Sort the nodes; yield the circles that keep them from being sorted."""
    data, control = checked.edges, checked.control
    checked.order, cycles = sort_topologically(checked.nodes, _successors(data))
    yield from _circles(
        cycles,
        "Graph contains a cycle",
        "Remove one of its edges; ForEach and Collect make a loop.",
    )
    if not control:
        return
    circles = sort_topologically(checked.nodes, _successors(control))[1]
    yield from _circles(
        circles, "Circular control dependency detected", "Remove one of its edges."
    )
    if not (cycles or circles):
        both = _successors([*data, *control])
        checked.order, cycles = sort_topologically(checked.nodes, both)
        yield from _circles(
            cycles,
            "Graph contains a cycle",
            "Remove one of its edges: what a controlled node sends cannot lead back to "
            "the node that controls it.",
        )


def _circles(cycles: list[list[str]], text: str, cure: str) -> Iterator[Problem]:
    for cycle in cycles:
        yield Problem(
            message=f"{text}: {show_cycle(cycle)}", node_id=cycle[0], cure=cure
        )


def _successors(edges: list[Edge]) -> dict[str, list[str]]:
    following: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        following[edge.source].append(edge.target)
    return following
