"""Nodes of one run: what each has received, what it is doing, and where it sends."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from workflows.engine.loading import LoadedNode
from workflows.engine.node import Node
from workflows.engine.plans import Flavour
from workflows.engine.sets import (
    GatheredSet,
    InputSets,
    JoinedSets,
    OneSet,
    SingleSets,
)
from workflows.engine.streams import Lineage, Link
from workflows.engine.validation import CheckedGraph


class Actor:
    """A node while the graph runs.

    ``idle -> queued -> busy -> idle | ended``. ``queued``: the scheduler will look at
    it. ``busy``: its own code runs, in the scheduler's task or in one of its own. An
    actor that waits for room is ``blocked_on`` an edge; ``readers`` are its waits for
    an item, each with the edges that may bring it. All fields belong to the scheduler.
    """

    __slots__ = (
        "blocked_on",
        "busy",
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
        self.links: dict[str, list[Link]] = {name: [] for name in node.outputs}
        self.outgoing: list[Link] = []
        self.queued = False
        self.busy = False
        self.ended = False
        self.blocked_on: Link | None = None
        self.readers: dict[asyncio.Future[None], list[Link]] = {}
        self.last: dict[str, Any] = {}
        self.count = 0
        self.roots = {
            name: (node.index, name if spec.type == "chunk" else "")
            for name, spec in node.outputs.items()
        }

    def inputs(self) -> list[Link]:
        return [link for group in self.incoming.values() for link in group]

    def activate(self, values: dict[str, Any]) -> tuple[Node, dict[str, Any]]:
        """Return an instance for one activation, and its properties as shown.

        Every activation starts from the properties as loaded, with the set laid over.

        Raises:
            ValueMisfit: a value of the set does not fit its property.
        """
        plan, loaded = self.plan, self.node
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
    streaming = _streaming(checked)
    for edge in checked.edges:
        source, target = actors[edge.source], actors[edge.target]
        is_stream = edge.source in streaming
        handle = edge.target_handle
        link = Link(edge.id or "", source, target, handle, is_stream=is_stream)
        source.links[edge.source_handle].append(link)
        source.outgoing.append(link)
        target.incoming.setdefault(handle, []).append(link)
    for actor in actors.values():
        actor.sets = input_sets(actor)
    return actors


def _streaming(checked: CheckedGraph) -> set[str]:
    """Return the nodes whose outputs may carry more than one item."""
    following: dict[str, list[str]] = defaultdict(list)
    for edge in checked.edges:
        following[edge.source].append(edge.target)
    streaming = {n.id for n in checked.nodes.values() if n.plan.starts_stream}
    for node_id in checked.order if streaming else ():
        if node_id in streaming:
            streaming.update(following[node_id])
    return streaming


def input_sets(actor: Actor) -> InputSets:
    """Return the sets that the connected inputs of a node make."""
    gathered = {name: group for name, group in actor.incoming.items() if len(group) > 1}
    others = [group[0] for group in actor.incoming.values() if len(group) == 1]
    if gathered:
        return GatheredSet(gathered, others)
    if not others:
        return OneSet()
    if len(others) == 1:
        return SingleSets(others[0])
    leading = actor.plan.cls.leading_input
    return JoinedSets(others, zips=actor.node.zips, leading=leading)
