"""Nodes of one run: what each has received, what it is doing, and where it sends."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

import msgspec

from workflows.engine.controlled import ControlledSets
from workflows.engine.errors import ValueMisfit
from workflows.engine.graph import CONTROL_HANDLE
from workflows.engine.loading import LoadedNode
from workflows.engine.node import Node
from workflows.engine.plans import Flavour, NodePlan
from workflows.engine.replay import ReplayLink
from workflows.engine.sets import (
    GatheredSet,
    InputSets,
    JoinedSets,
    OneSet,
    SingleSets,
)
from workflows.engine.streams import Lineage, Link
from workflows.engine.type_specs import TypeSpec
from workflows.engine.validation import CheckedGraph

CONTROL_EVENT = TypeSpec("control_event")


class Awaited(msgspec.Struct, frozen=True):
    """What a node waits for: that a target runs, or that its inputs have arrived.

    ``inputs``, of the second: returns those that have not.
    """

    target: Actor
    inputs: Callable[[], list[Link]] | None = None


class Actor:
    """A node while the graph runs.

    ``idle -> queued -> busy -> idle | ended``. ``queued``: the scheduler will look at
    it. ``busy``: its own code runs, in the scheduler's task or in one of its own. An
    actor that waits for room is ``blocked_on`` an edge; ``readers`` are its waits for
    an item, each with the edges that may bring it; ``awaited`` its waits for a node
    that it controls. ``commands`` lead to those, by their ids; ``control`` is there if
    it is controlled itself. All fields belong to the scheduler.
    """

    __slots__ = (
        "awaited",
        "blocked_on",
        "busy",
        "commands",
        "control",
        "count",
        "ended",
        "flavour",
        "id",
        "incoming",
        "index",
        "last",
        "links",
        "name",
        "node",
        "outgoing",
        "outputs",
        "plan",
        "queued",
        "readers",
        "roots",
        "sets",
    )

    def __init__(self, node: LoadedNode) -> None:
        self.node = node
        self.id = node.id
        self.name = node.name
        self.index = node.index
        self.plan = node.plan
        self.flavour = node.plan.flavour
        self.incoming: dict[str, list[Link]] = {}
        self.sets: InputSets = OneSet()
        self.control: ControlledSets | None = None
        self.outputs = node.outputs
        if node.plan.controls:
            self.outputs = {**node.outputs, CONTROL_HANDLE: CONTROL_EVENT}
        self.links: dict[str, list[Link]] = {name: [] for name in self.outputs}
        self.commands: dict[str, Link] = {}
        self.outgoing: list[Link] = []
        self.queued = False
        self.busy = False
        self.ended = False
        self.blocked_on: Link | None = None
        self.readers: dict[asyncio.Future[None], list[Link]] = {}
        self.awaited: dict[asyncio.Future[Any], Awaited] = {}
        self.last: dict[str, Any] = {}
        self.count = 0
        self.roots = {
            name: (node.index, name if spec.type == "chunk" else "")
            for name, spec in self.outputs.items()
        }

    def inputs(self) -> list[Link]:
        links = [link for group in self.incoming.values() for link in group]
        return links if self.control is None else [*links, *self.control.orders]

    def rewound(self, given: Container[str]) -> dict[str, list[Link]]:
        """Return the inputs of a streaming node from their first items again.

        Without those that are ``given`` by the event of this run.

        Raises:
            EngineError: one has had too many items.
        """
        for link in self.inputs():
            if isinstance(link, ReplayLink):
                link.rewind()
        return {n: links for n, links in self.incoming.items() if n not in given}

    def activate(self, values: dict[str, Any]) -> tuple[Node, dict[str, Any]]:
        """Return an instance for one activation, and its properties as shown.

        Every activation starts from the properties as loaded, with the set laid over.

        Raises:
            ValueMisfit: a value of the set does not fit its property.
        """
        plan, loaded = self.plan, self.node
        if self.control is not None:
            _check_names(plan, values)
        if not plan.cls.dynamic:
            properties = loaded.properties
            if values:
                properties = properties.copy()
                for name, value in values.items():
                    properties[name] = plan.coerce(name, value)
            return plan.cls(**properties), properties
        properties, dynamic = dict(loaded.properties), dict(loaded.dynamic)
        for name, value in values.items():
            if name in plan.properties:
                properties[name] = plan.coerce(name, value)
            else:
                dynamic[name] = value
        node = plan.cls(**properties, dynamic_properties=dynamic)
        return node, {**properties, **dynamic}

    def next_lineage(self, lineage: Lineage, output: str) -> Lineage:
        """Return the lineage of the item that is sent now, as a part of this stream.

        What a generator yields together belongs together; pieces of text are a stream
        beside the other outputs.
        """
        return (*lineage, (self.roots[output], self.count))

    def full_link(self) -> Link | None:
        """Return an edge that has no room for a result of this node, if any."""
        for link in self.outgoing:
            if len(link.items) >= link.limit:
                return link
        return None


def build_actors(checked: CheckedGraph) -> dict[str, Actor]:
    """Return the actors of a sound graph by id in graph order, connected."""
    actors = {
        node.id: Actor(node)
        for node in checked.nodes.values()
        if node.plan.flavour != Flavour.INERT
    }
    controlled = {edge.target for edge in checked.control}
    streaming = _streaming(checked, controlled)
    for edge in checked.edges:
        source, target = actors[edge.source], actors[edge.target]
        is_stream = edge.source in streaming
        handle = edge.target_handle
        is_replayed = edge.target in controlled and target.flavour == Flavour.STREAM
        kind = ReplayLink if is_replayed else Link
        link = kind(edge.id or "", source, target, handle, is_stream=is_stream)
        source.links[edge.source_handle].append(link)
        source.outgoing.append(link)
        target.incoming.setdefault(handle, []).append(link)
    if controlled:
        _connect_control(checked, actors)
    for actor in actors.values():
        if actor.control is None:
            actor.sets = input_sets(actor, actor.incoming)
    return actors


def _streaming(checked: CheckedGraph, controlled: set[str]) -> set[str]:
    """Return the nodes whose outputs may carry more than one item."""
    following: dict[str, list[str]] = defaultdict(list)
    for edge in checked.edges:
        following[edge.source].append(edge.target)
    streaming = {n.id for n in checked.nodes.values() if n.plan.starts_stream}
    streaming |= controlled
    for node_id in checked.order if streaming else ():
        if node_id in streaming:
            streaming.update(following[node_id])
    return streaming


def _connect_control(checked: CheckedGraph, actors: dict[str, Actor]) -> None:
    orders: dict[str, list[Link]] = defaultdict(list)
    for edge in checked.control:
        source, target = actors[edge.source], actors[edge.target]
        link = Link(edge.id or "", source, target, CONTROL_HANDLE, is_stream=True)
        source.outgoing.append(link)
        orders[target.id].append(link)
        if source.plan.controls:  # of several edges between two nodes one is used
            source.commands.setdefault(target.id, link)
    iterations = _iterations(checked, orders)
    for node_id, links in orders.items():
        actor = actors[node_id]
        of_events = 0
        for link in links:
            of_events |= iterations[link.source.id]
        is_stream = actor.flavour == Flavour.STREAM
        incoming = {} if is_stream else actor.incoming
        paired = {
            link
            for group in incoming.values()
            for link in group
            if iterations[link.source.id] & of_events
        }
        actor.control = actor.sets = ControlledSets(
            actor.name, actor.index, links, incoming, paired
        )


def _iterations(checked: CheckedGraph, controlled: Container[str]) -> dict[str, int]:
    """Return, as bits, the streams above each node: its items may be parts of them."""
    above: dict[str, int] = defaultdict(int)
    following: dict[str, list[str]] = defaultdict(list)
    for edge in (*checked.edges, *checked.control):
        following[edge.source].append(edge.target)
    for node_id in checked.order:
        node = checked.nodes[node_id]
        if node.plan.starts_stream or node_id in controlled:
            above[node_id] |= 1 << node.index
        for target in following[node_id]:
            above[target] |= above[node_id]
    return above


def _check_names(plan: NodePlan, given: Iterable[str]) -> None:
    """Check that an event may set these properties.

    Raises:
        ValueMisfit: there is no such property.
    """
    for name in given:
        if name not in plan.settable and not plan.cls.dynamic:
            raise ValueMisfit(f"[{plan.cls.__name__}] An event cannot set '{name}'")


def input_sets(actor: Actor, incoming: Mapping[str, list[Link]]) -> InputSets:
    """Return the sets that connected inputs of a node make."""
    gathered = {name: group for name, group in incoming.items() if len(group) > 1}
    others = [group[0] for group in incoming.values() if len(group) == 1]
    if gathered:
        return GatheredSet(gathered, others)
    if not others:
        return OneSet()
    if len(others) == 1:
        return SingleSets(others[0])
    leading = actor.plan.cls.leading_input
    return JoinedSets(others, zips=actor.node.zips, leading=leading)
