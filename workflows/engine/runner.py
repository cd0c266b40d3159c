"""Run a graph: check it, hand in its inputs, let it be scheduled, keep its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.engine.actors import build_actors
from workflows.engine.context import RunContext
from workflows.engine.errors import GraphError
from workflows.engine.graph import Graph
from workflows.engine.inputs import RunInputs
from workflows.engine.outputs import OutputCollector
from workflows.engine.plans import Flavour
from workflows.engine.scheduler import Scheduler
from workflows.engine.validation import check_graph


class GraphRun:
    """One run of one graph.

    Events go to the sink of the context, except those about the job itself, which are
    the caller's. All methods belong to the event loop that `execute` runs on.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        context: RunContext,
        params: Mapping[str, Any],
    ) -> None:
        self._graph = graph
        self._registry = context.nodes
        self._params = params
        self.outputs = OutputCollector(context.assets)
        self._scheduler = Scheduler(context, self.outputs)
        self._inputs: RunInputs | None = None

    async def execute(self) -> None:
        """Run until every node has ended.

        Raises:
            GraphError: the graph cannot run.
            InvalidParameter: a parameter was refused; no node has started.
            NodeError: a node failed; the others have run to their end. Of several
                failed nodes the first in the graph's order.
        """
        scheduler = self._scheduler
        try:
            inputs = self._start()
            await scheduler.wait()
            inputs.end_all()
            scheduler.conclude()
        except BaseException:
            await scheduler.cancel()
            raise
        finally:
            scheduler.reports.close()
        if scheduler.errors:
            raise scheduler.errors[min(scheduler.errors)]

    @property
    def has_started(self) -> bool:
        """Whether any node has begun: the run cannot be repeated unnoticed."""
        return self._scheduler.has_started

    @property
    def progress(self) -> float:
        """The fraction of nodes that have ended."""
        scheduler = self._scheduler
        if not scheduler.total:
            return 0.0
        return 1 - scheduler.unfinished / scheduler.total

    @property
    def running_nodes(self) -> list[tuple[str, str, str]]:
        """Id, name and type of the nodes that run at present. For any thread."""
        running = list(self._scheduler.reports.running)
        return [(actor.id, actor.name, actor.node.type) for actor in running]

    @property
    def is_paused(self) -> bool:
        return self._scheduler.turns.is_paused

    @property
    def paused_nodes(self) -> int:
        """How many nodes a pause holds back at present."""
        scheduler = self._scheduler
        held = len(scheduler.exchange.ready) + scheduler.turns.held
        return held if self.is_paused else 0

    def pause(self) -> None:
        """Hand out no more work; what runs goes on to its next exchange."""
        self._scheduler.turns.pause()

    def resume(self) -> None:
        """Go on where `pause` has stopped the run."""
        self._scheduler.turns.resume()

    def push_input(self, name: str, value: Any, handle: str | None = None) -> None:
        """Send an item from outside to the nodes behind an input node.

        Raises:
            UnknownInput: there is no such input node, or no such output of it.
            InputEnded: it takes no more items.
            InputFull: too many of its items are unread.
        """
        self._start().push(name, value, handle)

    def end_input(self, name: str, handle: str | None = None) -> None:
        """End the stream of an input node.

        Raises:
            UnknownInput: there is no such input node, or no such output of it.
            InputEnded: it has ended already.
        """
        self._start().end(name, handle)

    def _start(self) -> RunInputs:
        """Check the graph and send the first items, once."""
        if self._inputs is not None:
            return self._inputs
        scheduler, reports = self._scheduler, self._scheduler.reports
        checked = check_graph(self._graph, self._registry)
        if checked.errors:
            reports.faulty(self._graph, checked.errors)
            raise GraphError(checked.errors)
        actors = list(build_actors(checked).values())
        givers = [actor for actor in actors if actor.flavour == Flavour.INPUT]
        inputs = RunInputs(givers, self._params, scheduler.exchange)
        for problem in checked.warnings:
            reports.warn(problem.message)
        for name in inputs.unknown:
            reports.warn(f"Parameter '{name}' was ignored: no input has this name")
        self._inputs = inputs
        scheduler.start(actors)
        inputs.start()
        return inputs
