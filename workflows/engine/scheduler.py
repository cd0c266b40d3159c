"""The scheduler of one run: which node runs when, and in which task.

Nodes with a set of inputs are fired from one ready loop. Its task steps their
coroutines itself; when one suspends, the task stays with that node and another goes on
with the loop. Generators and streaming nodes own a task each. Everything happens on one
event loop, so between two waits the state is consistent.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from workflows.engine.actors import Actor, input_sets
from workflows.engine.commands import Commands
from workflows.engine.context import Mask, NodeContext, RunContext
from workflows.engine.control_events import (
    CONTROL_OUTPUTS,
    TargetedEvent,
    events_in,
)
from workflows.engine.controlled import ControlledSets, Order
from workflows.engine.errors import NodeError, UnknownTarget, ValueMisfit, describe
from workflows.engine.exchange import Exchange
from workflows.engine.graph import CONTROL_HANDLE
from workflows.engine.node import Node
from workflows.engine.outputs import OutputCollector
from workflows.engine.plans import Flavour
from workflows.engine.ports import StreamInputs, StreamOutputs
from workflows.engine.reports import MAX_ERROR_TEXT, Reports
from workflows.engine.results import shown, spread, yielded
from workflows.engine.sets import EXHAUSTED, READY, WAITING
from workflows.engine.streams import Lineage, Link
from workflows.engine.turns import Turns
from workflows.engine.values import is_chunk

CLEAN_UP_S = 4.0


class Scheduler:
    """Runs connected actors to their end.

    ``errors``: the nodes that have failed, by their place in the graph. A failed node
    ends; the others go on.
    """

    def __init__(self, context: RunContext, outputs: OutputCollector) -> None:
        self._context = context
        self._outputs = outputs
        self.reports = Reports(context.sink)
        self.exchange = Exchange(self.reports, self._hire)
        self.turns = Turns(context.sink, outputs, self.reports.flush)
        self.errors: dict[int, NodeError] = {}
        self.total = 0
        self.unfinished = 0
        self.has_started = False
        self._worker: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_cancelled = False

    def start(self, actors: Sequence[Actor]) -> None:
        """Take over the actors; those without inputs are ready at once."""
        workers = [actor for actor in actors if actor.flavour != Flavour.INPUT]
        self.exchange.actors = actors
        self.total = self.unfinished = len(workers)
        for actor in workers:
            if not actor.incoming:
                self.exchange.schedule(actor)

    async def wait(self) -> None:
        """Return when every actor has ended and no task is left."""
        if self.unfinished:
            await self._done
        if any(not task.done() for task in self._tasks):
            await asyncio.wait(self._tasks)

    def conclude(self) -> None:
        """Tell what is left to tell at the end of a run that was not cancelled."""
        self.reports.flush()
        for actor in self.exchange.actors:
            if actor.index not in self.errors:
                self.reports.unread(actor)

    async def cancel(self) -> None:
        """Cancel everything, give clean-up a moment, tell which nodes were cut off."""
        self._is_cancelled = True
        self.turns.stop()
        try:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=CLEAN_UP_S)
        finally:
            self.reports.cut_off()
            for actor in self.exchange.actors:
                for link in actor.inputs():
                    link.bury()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        fault = None if task.cancelled() else task.exception()
        if fault is not None and not self._done.done():
            # No node's, for those are caught: the engine's own. It must not hang a run.
            self._done.set_exception(fault)

    # -- The ready loop

    def _hire(self) -> None:
        """See to it that someone works when there is work."""
        if self._worker is None and self.exchange.ready and not self._is_cancelled:
            self._worker = self._spawn(self._work())

    async def _work(self) -> None:
        """Step the ready actors until there are none, or until one of them suspends."""
        me, ready, turns = self._worker, self.exchange.ready, self.turns
        turns.begin()
        while ready:
            if turns.must_wait():
                await turns.wait(holds_node=False)
            actor = ready.popleft()
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
        self.reports.flush()
        self.exchange.look_for_stalls()

    def _step(self, actor: Actor) -> Coroutine[Any, Any, None] | None:
        """Do what the actor is ready for; return the rest of a call that suspended."""
        flavour = actor.flavour
        if flavour == Flavour.FORWARD:
            if actor.control is None:
                self._forward(actor)
            else:
                self._forward_on_events(actor, actor.control)
        elif flavour == Flavour.STREAM and actor.control is None:
            if _has_news(actor):
                actor.busy = True
                self._spawn(self._guard(actor, self._stream))
        else:
            state = actor.sets.poll()
            if state is EXHAUSTED:
                self._end(actor)
            elif state is not WAITING:
                if flavour == Flavour.BUFFERED:
                    return self._fire(actor)
                is_stream = flavour == Flavour.STREAM
                actor.busy = True
                work = self._stream_once if is_stream else self._generate
                self._spawn(self._guard(actor, work))
        return None

    # -- The end of an activation

    async def _guard(
        self, actor: Actor, work: Callable[[Actor], Awaitable[None]]
    ) -> None:
        """Do the work of a node; its failure ends the node."""
        try:
            await work(actor)
        except asyncio.CancelledError as error:
            if self._is_cancelled:
                raise
            self._fail(actor, error)
        except GeneratorExit:  # the loop goes away
            raise
        except BaseException as error:  # noqa: BLE001 - sys.exit() ends the node alone
            self._fail(actor, error)

    def _fail(self, actor: Actor, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            text = "Cancelled"
        else:
            text = describe(error)[:MAX_ERROR_TEXT]
        failure = NodeError(actor.id, text, node_name=actor.name)
        failure.__cause__ = error
        self.errors[actor.index] = failure
        self.reports.fail(actor, text)
        self._end(actor, f"has failed: {text}")

    def _rest(self, actor: Actor) -> None:
        """The activation is over: end the actor, or look at its next set in turn."""
        actor.busy = False
        state = actor.sets.poll()
        if state is EXHAUSTED:
            self._end(actor)
        elif state is not WAITING:
            self.exchange.schedule(actor)

    def _finish(self, actor: Actor) -> None:
        """End an activation that has sent its items already."""
        runs_once = actor.flavour != Flavour.GENERATOR and actor.control is None
        is_last = runs_once or actor.sets.poll() is EXHAUSTED
        for link in actor.outgoing:
            if is_last:
                self.exchange.close(link)
            else:
                self.reports.count(link)
        if actor in self.reports.running:
            self.reports.succeed(actor, actor.last)
        if actor.control is not None:
            actor.control.answer(shown(actor.last, actor.outputs))
        if is_last:
            self._end(actor)
        else:
            self._rest(actor)
            self.exchange.look_for_stalls()  # this wait may be what closes a circle

    def _end(self, actor: Actor, why: str = "has ended") -> None:
        """The actor sends and takes nothing any more."""
        actor.busy = False
        actor.ended = True
        for link in actor.outgoing:
            self.exchange.close(link)
        for link in actor.inputs():
            link.bury()
        if actor.control is not None:
            actor.control.end(why)
        self.unfinished -= 1
        if not self.unfinished and not self._done.done():
            self._done.set_result(None)

    # -- Buffered nodes

    def _fire(self, actor: Actor) -> Coroutine[Any, Any, None] | None:
        """Run a set; return the rest of the call if the node suspends."""
        full = actor.full_link()
        if full is not None:
            self.exchange.block(actor, full)
            return None
        values, lineage = actor.sets.take()
        actor.busy = True
        try:
            node, context = self._begin(actor, values, lineage)
            call = node.process(context)
            awaited = call.send(None)
        except StopIteration as stop:
            self._complete(actor, stop.value, lineage)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the node failed
            self._fail(actor, error)
        else:
            return self._guard(actor, partial(self._await, call, awaited, lineage))
        return None

    def _begin(
        self, actor: Actor, values: dict[str, Any], lineage: Lineage
    ) -> tuple[Node, NodeContext]:
        """Make the instance of an activation, and tell that it runs."""
        context = self._context_for(actor)
        if actor.commands:
            context.control = Commands(actor, context, self.exchange, lambda: lineage)
        try:
            node, properties = actor.activate(values)
        except ValueMisfit:
            self.reports.begin(actor, context, actor.node.properties)
            raise
        self.reports.begin(actor, context, properties)
        return node, context

    def _context_for(self, actor: Actor) -> NodeContext:
        self.has_started = True
        return NodeContext(self._context, actor.id, actor.name, actor.node.outputs)

    async def _await(
        self,
        call: Coroutine[Any, Any, Any],
        awaited: Any,
        lineage: Lineage,
        actor: Actor,
    ) -> None:
        self._complete(actor, await _resume(call, awaited), lineage)

    def _complete(self, actor: Actor, result: Any, lineage: Lineage) -> None:
        try:
            values = spread(result, actor.outputs, actor.name)
            orders = _orders(actor, values) if actor.plan.controls else ()
        except Exception as error:  # noqa: BLE001 - results are anybody's
            self._fail(actor, error)
            return
        self.reports.succeed(actor, values)
        for output, value in values.items():
            for link in actor.links[output]:
                self.exchange.deliver(link, value, lineage)
        for link, order in orders:
            self.exchange.deliver(link, order, lineage)
        if actor.control is not None:
            actor.control.answer(shown(values, actor.outputs))
        self._rest(actor)

    # -- Nodes with a task

    async def _generate(self, actor: Actor) -> None:
        values, lineage = actor.sets.take()
        outputs, sends_null = actor.outputs, actor.plan.cls.sends_null
        actor.last = {}
        node, context = self._begin(actor, values, lineage)
        async with aclosing(node.generate(context)) as items:  # type: ignore[type-var]
            async for item in items:
                if self.turns.must_wait():
                    await self.turns.wait()
                actor.count += 1
                for output, value in yielded(item, outputs, actor.name).items():
                    if value is not None or sends_null:
                        part = actor.next_lineage(lineage, output)
                        await self._send(actor, output, value, part)
                if actor.plan.controls:
                    part = actor.next_lineage(lineage, CONTROL_HANDLE)
                    await self._command(actor, item, part)
        self._finish(actor)

    async def _stream(self, actor: Actor) -> None:
        node, properties = actor.activate({})
        context = self._context_for(actor)
        context.on_use = lambda: self.reports.begin(actor, context, properties)
        links = actor.inputs()
        if not links or any(link.items for link in links):
            context.touch()  # else it is skipped, unless it makes something of nothing
        inputs = StreamInputs(
            actor, actor.incoming, actor.sets, self.exchange, self.turns
        )
        if actor.commands:
            context.control = Commands(
                actor, context, self.exchange, lambda: inputs.lineage
            )
        send = self._send_or_command if actor.plan.controls else self._send
        outputs = StreamOutputs(inputs, context, send)
        await node.stream(inputs, outputs, context)
        self._finish(actor)

    async def _stream_once(self, actor: Actor) -> None:
        """Run a streaming node for one event, with its inputs from the beginning."""
        values, lineage = actor.sets.take()
        actor.last = {}
        node, context = self._begin(actor, values, lineage)
        incoming = actor.rewound(values)
        sets = input_sets(actor, incoming)
        inputs = StreamInputs(actor, incoming, sets, self.exchange, self.turns)
        send = self._send_or_command if actor.plan.controls else self._send
        outputs = StreamOutputs(inputs, context, send, lineage)
        await node.stream(inputs, outputs, context)
        self._finish(actor)

    async def _send(
        self, actor: Actor, output: str, value: Any, lineage: Lineage
    ) -> None:
        """Send an item from a node with a task of its own, when there is room."""
        actor.last[output] = value
        for link in actor.links[output]:
            while len(link.items) >= link.limit:
                await self.exchange.wait_for_room(actor, link)
            if _is_passable(link):
                self.reports.sent(link)
                self._announce(link.target, value, lineage, is_stream=link.is_stream)
            else:
                self.exchange.deliver(link, value, lineage)

    async def _send_or_command(
        self, actor: Actor, output: str, value: Any, lineage: Lineage
    ) -> None:
        await self._send(actor, output, value, lineage)
        if output in CONTROL_OUTPUTS:
            await self._command(actor, {output: value}, lineage)

    async def _command(
        self, actor: Actor, values: dict[str, Any], lineage: Lineage
    ) -> None:
        """Send the events among some values, when there is room."""
        for link, order in _orders(actor, values):
            while len(link.items) >= link.limit:
                await self.exchange.wait_for_room(actor, link)
            self.exchange.deliver(link, order, lineage)

    # -- Outputs and previews

    def _forward(self, actor: Actor) -> None:
        """Tell of each item that has arrived, and pass it on."""
        if not actor.incoming:
            value = actor.node.properties["value"]
            if value is not None or actor.plan.is_output:
                self._announce(actor, value, (), is_stream=False)
            self._finish(actor)
            return
        link = actor.inputs()[0]
        while link.items:
            full = actor.full_link()
            if full is not None:
                self.exchange.block(actor, full)
                return
            _, value, lineage = link.take()
            self._announce(actor, value, lineage, is_stream=link.is_stream)
            if link.items and self.turns.must_wait():
                self.exchange.schedule(actor)
                return
        if not link.is_open:
            self._finish(actor)

    def _forward_on_events(self, actor: Actor, control: ControlledSets) -> None:
        """Tell of the value that a controlled output or preview has for each event."""
        while (state := control.poll()) is READY:
            full = actor.full_link()
            if full is not None:
                self.exchange.block(actor, full)
                return
            values, lineage = control.take()
            try:
                node, _ = actor.activate(values)
            except ValueMisfit as misfit:
                if actor not in self.reports.running:
                    self._begin_forward(actor)
                self._fail(actor, misfit)
                return
            value = node.value  # type: ignore[attr-defined] # all of these have it
            self._announce(actor, value, lineage, is_stream=True)
            control.answer(shown(actor.last, actor.outputs))
            if self.turns.must_wait():
                self.exchange.schedule(actor)
                return
        if state is EXHAUSTED:
            self._finish(actor)

    def _begin_forward(self, actor: Actor) -> None:
        context = self._context_for(actor)
        self.reports.begin(actor, context, actor.node.properties)

    def _announce(
        self, actor: Actor, value: Any, lineage: Lineage, *, is_stream: bool
    ) -> None:
        if actor not in self.reports.running:
            self._begin_forward(actor)
        if actor.plan.is_output:
            is_piece = is_stream and isinstance(value, str)
            mask = self._context.mask
            told = _masked(mask, actor, value) if mask.is_needed else value
            self._outputs.add(actor.name, told, is_piece=is_piece)
            self.reports.output(actor, told, is_piece=is_piece)
        else:
            self.reports.preview(actor, value)
        for output, links in actor.links.items():
            actor.last[output] = value
            for link in links:
                self.exchange.deliver(link, value, lineage)


def _masked(mask: Mask, actor: Actor, value: Any) -> Any:
    """Return what may come out of an output node: pieces of a text belong together."""
    if isinstance(value, str):
        return mask.piece(actor.id, value)
    if is_chunk(value) and isinstance(content := value.get("content"), str):
        return {**mask.value(value), "content": mask.piece(actor.id, content)}
    return mask.value(value)


def _orders(actor: Actor, values: dict[str, Any]) -> list[tuple[Link, Order]]:
    """Return the events among what a node sends, each with the edge to its target."""
    orders = []
    for event in events_in(values, actor.name):
        if isinstance(event, TargetedEvent):
            link = actor.commands.get(event.target_node_id)
            if link is None:
                raise UnknownTarget(event.target_node_id)
            orders.append((link, Order(event.event)))
        else:
            orders += [(link, Order(event)) for link in actor.commands.values()]
    return orders


def _is_passable(link: Link) -> bool:
    """Tell whether an output or a preview takes an item at once, without the queue."""
    target = link.target
    return (
        target.flavour == Flavour.FORWARD
        and target.control is None
        and not (link.items or target.ended)
        and target.full_link() is None
    )


def _has_news(actor: Actor) -> bool:
    """Tell whether a streaming node finds something to read, or never will."""
    links = actor.inputs()
    return any(link.items for link in links) or not any(link.is_open for link in links)


@types.coroutine
def _resume(call: Coroutine[Any, Any, Any], awaited: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that has run, in this task, up to its first wait."""
    while True:
        try:
            sent = yield awaited
        except GeneratorExit:
            call.close()
            raise
        except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine
            step = partial(call.throw, error)
        else:
            step = partial(call.send, sent)
        try:
            awaited = step()
        except StopIteration as stop:
            return stop.value
