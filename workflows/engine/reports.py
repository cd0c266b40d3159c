"""What watchers are told of nodes and edges, and in which order."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from workflows.engine.actors import Actor
from workflows.engine.context import EventSink, NodeContext
from workflows.engine.events import (
    EdgeUpdate,
    Event,
    LogUpdate,
    NodeStatus,
    NodeUpdate,
    OutputUpdate,
    PreviewUpdate,
)
from workflows.engine.graph import Graph, Problem
from workflows.engine.plans import Flavour
from workflows.engine.results import shown
from workflows.engine.streams import Link
from workflows.engine.values import wire_type

MAX_ERROR_TEXT = 1000


class Reports:
    """Tells of a run through its sink.

    ``running``: the nodes that were said to run and not yet to have ended. Counts of
    edges are told from time to time, not per item: `flush` tells what has changed.
    """

    def __init__(self, sink: EventSink) -> None:
        self._emit = sink.emit
        self._dirty: list[Link] = []
        self.running: dict[Actor, NodeContext] = {}

    def close(self) -> None:
        """Say nothing any more: the run is over."""
        self._emit = _ignore

    # -- Nodes

    def begin(
        self, actor: Actor, context: NodeContext, properties: dict[str, Any]
    ) -> None:
        self.running[actor] = context
        # Those of the server's own nodes are nobody's to see, and may be large.
        shown_properties = None if actor.plan.cls.hidden else properties
        self._tell(actor, "running", properties=shown_properties)

    def succeed(self, actor: Actor, values: dict[str, Any]) -> None:
        self.running.pop(actor).closed = True
        result = None
        if actor.plan.cls.reports_result:
            result = shown(values, actor.outputs)
        is_forward = actor.flavour == Flavour.FORWARD
        properties = actor.node.properties if is_forward else None
        self._tell(actor, "completed", result=result, properties=properties)

    def fail(self, actor: Actor, error: str) -> None:
        context = self.running.pop(actor, None)
        if context is not None:
            context.closed = True
        for link in actor.outgoing:
            self.count(link)
        self._tell(actor, "error", error=error[:MAX_ERROR_TEXT])

    def cut_off(self) -> None:
        """End what still runs, as cancelled."""
        self.flush()
        for actor in list(self.running):
            self.fail(actor, "Cancelled")

    def _tell(
        self,
        actor: Actor,
        status: NodeStatus,
        *,
        error: str | None = None,
        result: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
    ) -> None:
        self._emit(
            NodeUpdate(
                node_id=actor.id,
                node_name=actor.name,
                node_type=actor.node.type,
                status=status,
                error=error,
                result=result,
                properties=properties,
            )
        )

    # -- Edges

    def sent(self, link: Link) -> None:
        """Remember that an item has crossed the edge."""
        link.counter += 1
        if not link.is_dirty:
            link.is_dirty = True
            self._dirty.append(link)

    def flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for link in dirty:
            self.count(link)

    def count(self, link: Link) -> None:
        """Tell how many items have crossed the edge, unless that is known."""
        if link.is_dirty:
            link.is_dirty = False
            self._emit(
                EdgeUpdate(edge_id=link.id, status="message_sent", counter=link.counter)
            )

    def drained(self, link: Link) -> None:
        self.count(link)
        self._emit(EdgeUpdate(edge_id=link.id, status="drained", counter=link.counter))

    # -- Values

    def preview(self, actor: Actor, value: Any) -> None:
        self._emit(PreviewUpdate(node_id=actor.id, node_name=actor.name, value=value))

    def output(self, actor: Actor, value: Any, *, is_piece: bool) -> None:
        self._emit(
            OutputUpdate(
                node_id=actor.id,
                node_name=actor.name,
                output_name=actor.name,
                value=value,
                output_type=wire_type(value),
                disposition="append" if is_piece else UNSET,
            )
        )

    # -- Warnings and faults

    def warn(self, text: str) -> None:
        self._emit(LogUpdate(content=text, severity="warning"))

    def unread(self, actor: Actor) -> None:
        """Tell of items that the node ended without looking at."""
        count = sum(link.unread for link in actor.inputs())
        if count:
            noun = "item that has arrived was" if count == 1 else "items were"
            self._emit(
                LogUpdate(
                    node_id=actor.id,
                    node_name=actor.name,
                    content=f"{count} {noun} not used",
                    severity="warning",
                )
            )

    def faulty(self, graph: Graph, problems: list[Problem]) -> None:
        """Mark the nodes that keep the graph from running, with their first fault."""
        faults: dict[str, str] = {}
        for problem in problems:
            faults.setdefault(problem.node_id or "", problem.message)
        for node in graph.nodes:
            fault = faults.pop(node.id, None) if node.id else None
            if fault is not None:
                self._emit(
                    NodeUpdate(
                        node_id=node.id,
                        node_name=node.type.rpartition(".")[2] or node.id,
                        node_type=node.type,
                        status="error",
                        error=fault[:MAX_ERROR_TEXT],
                    )
                )


def _ignore(event: Event) -> None:
    """Drop what a node that did not end in time says after the run's end."""
