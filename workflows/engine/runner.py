"""Run a graph: the scheduler, and nothing else.

Nodes with a set of inputs are fired from one ready loop. Its task steps their coroutines
itself; when one suspends, the task stays with that node and another goes on with the
loop. Generators and streaming nodes own a task each. Everything happens on one event
loop, so between two waits the state is consistent.
"""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Coroutine, Generator, Mapping
from contextlib import aclosing
from time import monotonic
from typing import Any

from msgspec import UNSET

from workflows.engine.actors import Actor, build_actors
from workflows.engine.context import NodeContext, RunContext
from workflows.engine.errors import GraphError, NodeError
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
from workflows.engine.inputs import RunInputs
from workflows.engine.node import Node
from workflows.engine.outputs import OutputCollector
from workflows.engine.plans import Flavour
from workflows.engine.ports import StreamInputs, StreamOutputs
from workflows.engine.registry import NodeRegistry
from workflows.engine.results import shown, spread, yielded
from workflows.engine.sets import EXHAUSTED, WAITING
from workflows.engine.stalls import stalled_links
from workflows.engine.streams import Lineage, Link
from workflows.engine.validation import check_graph
from workflows.engine.values import wire_type

# How long one job may keep the loop: so many firings, or so long.
TURN = 64
TURN_S = 0.004
CLEAN_UP_S = 5.0
MAX_ERROR_TEXT = 1000
# A node that calls sys.exit() has failed; it does not end the server.
_FAULTS = (Exception, SystemExit)


class GraphRun:
    """One run of one graph.

    Events go to the sink of the context, except those about the job itself, which are
    the caller's. All methods belong to the event loop that `execute` runs on.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        registry: NodeRegistry,
        context: RunContext,
        params: Mapping[str, Any],
    ) -> None:
        self._graph = graph
        self._registry = registry
        self._context = context
        self._params = params
        self._sink = context.sink
        self._emit = context.sink.emit
        self.outputs = OutputCollector(context.assets)
        self._actors: list[Actor] = []
        self._inputs: RunInputs | None = None
        self._ready: deque[Actor] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: dict[Actor, NodeContext] = {}
        self._blocked: set[Actor] = set()
        self._dirty: list[Link] = []
        self._errors: dict[int, NodeError] = {}
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._done: asyncio.Future[None] | None = None
        self._held = 0
        self._order = 0
        self._turn = 0
        self._turn_ends = 0.0
        self._total = 0
        self._unfinished = 0
        self._is_cancelled = False
        self.has_started = False

    # -- From outside

    async def execute(self) -> None:
        """Run until every node has ended.

        Raises:
            GraphError: the graph cannot run.
            InvalidParameter: a parameter was refused; no node has started.
            NodeError: a node failed; the others have run to their end. Of several
                failed nodes the first in the graph's order.
        """
        try:
            self._start()
            if self._done is not None and self._unfinished:
                await self._done
            self._conclude()
        except asyncio.CancelledError:
            await self._abort()
            raise
        finally:
            self._emit = _ignore
        if self._errors:
            raise self._errors[min(self._errors)]

    @property
    def is_paused(self) -> bool:
        return not self._resumed.is_set()

    @property
    def paused_nodes(self) -> int:
        """How many nodes a pause holds back at present."""
        return len(self._ready) + self._held if self.is_paused else 0

    @property
    def progress(self) -> float:
        """The fraction of nodes that have ended."""
        return 1 - self._unfinished / self._total if self._total else 0.0

    @property
    def running_nodes(self) -> list[tuple[str, str, str]]:
        """Id, name and type of the nodes that run at present."""
        return [(a.id, a.name, a.node.type) for a in self._running]

    def pause(self) -> None:
        """Hand out no more work; what runs goes on to its next exchange."""
        self._resumed.clear()

    def resume(self) -> None:
        """Go on where `pause` has stopped the run."""
        self._resumed.set()

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

    # -- Start and end

    def _start(self) -> RunInputs:
        """Check the graph and send the first items, once."""
        if self._inputs is not None:
            return self._inputs
        checked = check_graph(self._graph, self._registry)
        if checked.errors:
            self._report_faulty_nodes(checked.errors)
            raise GraphError(checked.errors)
        actors = list(build_actors(checked).values())
        input_actors = [actor for actor in actors if actor.flavour == Flavour.INPUT]
        inputs = RunInputs(
            input_actors, self._params, deliver=self._deliver, close=self._close
        )
        for problem in checked.warnings:
            self._warn(problem.message)
        for name in inputs.unknown:
            self._warn(f"Parameter '{name}' was ignored: no input node has this name")
        self._actors = actors
        self._total = self._unfinished = len(actors) - len(input_actors)
        self._done = asyncio.get_running_loop().create_future()
        self._inputs = inputs
        for actor in actors:
            if not actor.incoming and actor.flavour != Flavour.INPUT:
                self._schedule(actor)
        inputs.start()
        return inputs

    def _report_faulty_nodes(self, problems: list[Problem]) -> None:
        nodes = {node.id: node for node in self._graph.nodes}
        for problem in problems:
            node = nodes.get(problem.node_id or "")
            if node is not None:
                self._emit(
                    NodeUpdate(
                        node_id=node.id,
                        node_name=node.type.rpartition(".")[2] or node.id,
                        node_type=node.type,
                        status="error",
                        error=problem.message[:MAX_ERROR_TEXT],
                    )
                )

    def _warn(self, text: str) -> None:
        self._emit(LogUpdate(content=text, severity="warning"))

    def _conclude(self) -> None:
        if self._inputs is not None:
            self._inputs.end_all()
        self._flush()
        for actor in self._actors:
            unread = sum(link.unread for link in actor.inputs())
            if unread and actor.index not in self._errors:
                text = f"{unread} items that arrived were not used"
                self._emit(
                    LogUpdate(
                        node_id=actor.id,
                        node_name=actor.name,
                        content=text,
                        severity="warning",
                    )
                )

    async def _abort(self) -> None:
        """Cancel everything, give clean-up a moment, and say which nodes were cut off."""
        self._is_cancelled = True
        try:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=CLEAN_UP_S)
        finally:
            self._flush()
            for actor, context in list(self._running.items()):
                context.closed = True
                self._tell(actor, "error", error="Cancelled")
            self._running.clear()

    # -- The ready loop

    def _schedule(self, actor: Actor) -> None:
        """Have the actor looked at: something about its inputs or outputs is new."""
        if actor.readers:
            for reader in actor.readers:
                if not reader.done():
                    reader.set_result(None)
        elif not (actor.queued or actor.busy or actor.ended or actor.blocked_on):
            actor.queued = True
            self._ready.append(actor)
            if self._worker is None:
                self._hire()

    def _hire(self) -> None:
        if self._ready and not self._is_cancelled:
            self._worker = self._spawn(self._work())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._release)
        return task

    def _release(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None or self._done is None:
            return
        if not self._done.done():  # a fault of the engine itself must not hang the run
            self._done.set_exception(task.exception() or RuntimeError())

    async def _work(self) -> None:
        """Fire ready nodes until there are none, or until one of them suspends."""
        me = self._worker
        self._turn_ends = monotonic() + TURN_S
        while self._ready:
            if self.must_wait():
                await self.wait_turn()
            actor = self._ready.popleft()
            actor.queued = False
            suspended = self._step(actor)
            if suspended is not None:
                self._worker = None
                self._hire()
                await suspended
                if self._worker is not None:
                    return
                self._worker = me
        self._worker = None
        self._flush()
        self._look_for_stalls()

    def _step(self, actor: Actor) -> Coroutine[Any, Any, None] | None:
        """Do what the actor is ready for; return the rest of a call that suspended."""
        flavour = actor.flavour
        if flavour == Flavour.FORWARD:
            self._forward(actor)
            return None
        if flavour == Flavour.STREAM:
            if _has_begun(actor):
                actor.busy = True
                self._spawn(self._stream(actor))
            return None
        state = actor.sets.poll()
        if state is WAITING:
            return None
        if state is EXHAUSTED:
            self._end(actor)
            return None
        if flavour == Flavour.BUFFERED:
            full = actor.full_link()
            if full is None:
                return self._fire(actor)
            self._block(actor, full)
            return None
        actor.busy = True
        self._spawn(self._generate(actor))
        return None

    def must_wait(self) -> bool:
        """Whether whoever runs must call `wait_turn` before going on."""
        self._turn += 1
        return (
            self._turn >= TURN
            or monotonic() >= self._turn_ends
            or self._sink.is_full
            or self.outputs.must_spill
            or not self._resumed.is_set()
        )

    async def wait_turn(self) -> None:
        """Let other jobs run, and wait out a pause, a full sink or a full memory."""
        self._turn = 0
        self._flush()
        await asyncio.sleep(0)
        self._turn_ends = monotonic() + TURN_S
        while not self._resumed.is_set():
            holds_node = asyncio.current_task() is not self._worker
            self._held += holds_node
            try:
                await self._resumed.wait()
            finally:
                self._held -= holds_node
        if self.outputs.must_spill:
            await self.outputs.spill()
        if self._sink.is_full:
            await self._sink.wait_ready()

    # -- One activation

    def _begin(self, actor: Actor, values: dict[str, Any]) -> tuple[Node, NodeContext]:
        """Make the instance of an activation and tell that it runs."""
        context = NodeContext(self._context, actor.id, actor.name)
        self._running[actor] = context
        self.has_started = True
        try:
            node, properties = actor.activate(values)
        except ValueError:
            self._tell(actor, "running", properties=actor.node.properties)
            raise
        self._tell(actor, "running", properties=properties)
        return node, context

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

    def _succeed(self, actor: Actor, values: dict[str, Any]) -> None:
        context = self._running.pop(actor)
        context.closed = True
        result = None
        if actor.plan.cls.reports_result:
            result = shown(values, actor.node.outputs)
        self._tell(actor, "completed", result=result)

    def _fail(self, actor: Actor, error: BaseException) -> None:
        text = (str(error) or type(error).__name__)[:MAX_ERROR_TEXT]
        failure = NodeError(actor.id, text)
        failure.__cause__ = error
        self._errors[actor.index] = failure
        context = self._running.pop(actor, None)
        if context is not None:
            context.closed = True
        for link in actor.outgoing:
            self._tell_count(link)
        self._tell(actor, "error", error=text)
        self._end(actor)

    def _end(self, actor: Actor) -> None:
        """The actor sends and takes nothing any more."""
        actor.busy = False
        actor.ended = True
        for link in actor.outgoing:
            self._close(link)
        for link in actor.inputs():
            link.bury()
        self._unfinished -= 1
        if not self._unfinished and self._done is not None and not self._done.done():
            self._done.set_result(None)

    # -- Buffered nodes

    def _fire(self, actor: Actor) -> Coroutine[Any, Any, None] | None:
        values, lineage = actor.sets.take()
        actor.busy = True
        try:
            node, context = self._begin(actor, values)
            call = node.process(context)
            awaited = call.send(None)
        except StopIteration as stop:
            self._complete(actor, stop.value, lineage)
        except (*_FAULTS, asyncio.CancelledError) as error:
            self._fail(actor, error)
        else:
            return self._await(actor, call, awaited, lineage)
        return None

    async def _await(
        self,
        actor: Actor,
        call: Coroutine[Any, Any, Any],
        awaited: Any,
        lineage: Lineage,
    ) -> None:
        try:
            result = await _resume(call, awaited)
        except asyncio.CancelledError as error:
            if self._is_cancelled:
                raise
            self._fail(actor, error)
        except _FAULTS as error:
            self._fail(actor, error)
        else:
            self._complete(actor, result, lineage)

    def _complete(self, actor: Actor, result: Any, lineage: Lineage) -> None:
        try:
            values = spread(result, actor.node.outputs, actor.name)
        except _FAULTS as error:
            self._fail(actor, error)
            return
        self._succeed(actor, values)
        for output, value in values.items():
            for link in actor.links[output]:
                self._deliver(link, value, lineage)
        self._rest(actor)

    def _rest(self, actor: Actor) -> None:
        """The activation is over: end the actor, or look at its next set in turn."""
        actor.busy = False
        state = actor.sets.poll()
        if state is EXHAUSTED:
            self._end(actor)
        elif state is not WAITING:
            self._schedule(actor)

    # -- Nodes with a task

    async def _generate(self, actor: Actor) -> None:
        values, lineage = actor.sets.take()
        outputs, sends_null = actor.node.outputs, actor.plan.cls.sends_null
        actor.last = {}
        try:
            node, context = self._begin(actor, values)
            async with aclosing(node.generate(context)) as items:  # type: ignore[type-var]
                async for item in items:
                    actor.count += 1
                    for output, value in yielded(item, outputs, actor.name).items():
                        if value is not None or sends_null:
                            part = actor.next_lineage(lineage, output)
                            await self.send(actor, output, value, part)
        except asyncio.CancelledError as error:
            if self._is_cancelled:
                raise
            self._fail(actor, error)
        except _FAULTS as error:
            self._fail(actor, error)
        else:
            self._finish(actor)

    async def _stream(self, actor: Actor) -> None:
        try:
            await self._read_stream(actor)
        except asyncio.CancelledError as error:
            if self._is_cancelled:
                raise
            self._fail(actor, error)
        except _FAULTS as error:
            self._fail(actor, error)
        else:
            self._finish(actor)

    async def _read_stream(self, actor: Actor) -> None:
        node, properties = actor.activate({})

        def tell() -> None:
            self._running[actor] = context
            self.has_started = True
            self._tell(actor, "running", properties=properties)

        context = NodeContext(self._context, actor.id, actor.name, on_use=tell)
        links = actor.inputs()
        if not links or any(link.items for link in links):
            context.touch()  # else it is skipped, unless it makes something of nothing
        inputs = StreamInputs(self, actor)
        await node.stream(inputs, StreamOutputs(self, actor, inputs, context), context)

    def _finish(self, actor: Actor) -> None:
        """End an activation that has sent its items already."""
        is_last = actor.flavour != Flavour.GENERATOR or actor.sets.poll() is EXHAUSTED
        for link in actor.outgoing:
            if is_last:
                self._close(link)
            else:
                self._tell_count(link)
        if actor in self._running:
            self._succeed(actor, actor.last)
        if is_last:
            self._end(actor)
        else:
            self._rest(actor)

    async def send(
        self, actor: Actor, output: str, value: Any, lineage: Lineage
    ) -> None:
        """Send an item from a node with a task of its own, when there is room."""
        if self.must_wait():
            await self.wait_turn()
        actor.last[output] = value
        for link in actor.links[output]:
            while len(link.items) >= link.limit:
                await self._wait_for_room(actor, link)
            self._deliver(link, value, lineage)
            if link.target.flavour == Flavour.FORWARD and not link.target.blocked_on:
                self._forward(link.target)

    # -- Outputs and previews

    def _forward(self, actor: Actor) -> None:
        """Tell of each item that has arrived, and pass it on."""
        if not actor.incoming:
            value = actor.node.properties["value"]
            if value is not None or actor.plan.is_output:
                self._announce(actor, value, is_stream=False)
                self._pass_on(actor, value, ())
            self._finish(actor)
            return
        link = actor.inputs()[0]
        while link.items:
            full = actor.full_link()
            if full is not None:
                self._block(actor, full)
                return
            _, value, lineage = link.take()
            self._announce(actor, value, is_stream=link.is_stream)
            self._pass_on(actor, value, lineage)
        if not link.is_open:
            self._finish(actor)

    def _pass_on(self, actor: Actor, value: Any, lineage: Lineage) -> None:
        actor.last["output"] = value
        for link in actor.outgoing:
            self._deliver(link, value, lineage)

    def _announce(self, actor: Actor, value: Any, *, is_stream: bool) -> None:
        if actor not in self._running:
            self._begin(actor, {})
        if not actor.plan.is_output:
            self._emit(
                PreviewUpdate(node_id=actor.id, node_name=actor.name, value=value)
            )
            return
        is_piece = is_stream and isinstance(value, str)
        self.outputs.add(actor.name, value, is_piece=is_piece)
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

    # -- Edges

    def _deliver(self, link: Link, value: Any, lineage: Lineage) -> None:
        link.counter += 1
        if not link.is_dirty:
            link.is_dirty = True
            self._dirty.append(link)
        if link.target_ended:
            link.unread += 1
            return
        self._order += 1
        link.items.append((self._order, value, lineage))
        self._schedule(link.target)

    def _close(self, link: Link) -> None:
        """No more items come along this edge."""
        if link.is_open:
            link.is_open = False
            self._tell_count(link)
            self._emit(
                EdgeUpdate(edge_id=link.id, status="drained", counter=link.counter)
            )
            self._schedule(link.target)

    def _tell_count(self, link: Link) -> None:
        if link.is_dirty:
            link.is_dirty = False
            self._emit(
                EdgeUpdate(edge_id=link.id, status="message_sent", counter=link.counter)
            )

    def _flush(self) -> None:
        """Tell how many items have crossed each edge since it was last told."""
        dirty, self._dirty = self._dirty, []
        for link in dirty:
            self._tell_count(link)

    # -- Waiting

    def _block(self, actor: Actor, link: Link) -> None:
        """Look at the actor again when the edge has room."""

        def unblock() -> None:
            actor.blocked_on = None
            self._blocked.discard(actor)
            self._schedule(actor)

        actor.blocked_on = link
        self._blocked.add(actor)
        link.on_room = unblock

    async def _wait_for_room(self, actor: Actor, link: Link) -> None:
        room = asyncio.get_running_loop().create_future()

        def unblock() -> None:
            actor.blocked_on = None
            self._blocked.discard(actor)
            if not room.done():
                room.set_result(None)

        actor.blocked_on = link
        self._blocked.add(actor)
        link.on_room = unblock
        self._look_for_stalls()
        try:
            await room
        finally:
            unblock()

    async def wait_for_item(self, actor: Actor, links: list[Link]) -> None:
        """Return when something has happened on an input of a streaming node."""
        news = asyncio.get_running_loop().create_future()
        actor.readers[news] = links
        self._look_for_stalls()
        try:
            await news
        finally:
            del actor.readers[news]

    def _look_for_stalls(self) -> None:
        if self._blocked and not self._ready:
            for link in stalled_links(self._actors):
                link.grow()


def _has_begun(actor: Actor) -> bool:
    """Tell whether there is anything for a streaming node to read, or never will be."""
    links = actor.inputs()
    return any(link.items for link in links) or not any(link.is_open for link in links)


def _ignore(event: Event) -> None:
    """Drop what a node that did not end in time says after the run's end."""


@types.coroutine
def _resume(call: Coroutine[Any, Any, Any], awaited: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that has run, in this task, up to its first wait."""
    while True:
        try:
            sent = yield awaited
        except GeneratorExit:
            call.close()
            raise
        except BaseException as error:
            try:
                awaited = call.throw(error)
            except StopIteration as stop:
                return stop.value
        else:
            try:
                awaited = call.send(sent)
            except StopIteration as stop:
                return stop.value
