"""A run inside a run: a whole graph as one step of a node."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec

from workflows.engine.context import EventSink, Mask, NodeContext, NothingToMask
from workflows.engine.errors import EngineError, NodeError
from workflows.engine.events import (
    Chunk,
    ClientToolCall,
    Event,
    LogUpdate,
    NodeProgress,
    NodeUpdate,
    Notification,
    OutputUpdate,
    PlanningUpdate,
    PreviewUpdate,
    SaveUpdate,
    Severity,
    TaskUpdate,
    ToolCallUpdate,
    ToolResultUpdate,
)
from workflows.engine.graph import Graph
from workflows.engine.runner import GraphRun

MAX_DEPTH = 8
MAX_UNREAD = 64

_SHOWN = (Notification, SaveUpdate, ToolCallUpdate, ToolResultUpdate)
_count = itertools.count(1)


async def run_nested(
    graph: Graph, params: Mapping[str, Any], context: NodeContext, *, title: str
) -> dict[str, Any]:
    """Run a graph to its end with all that the node's own run may use.

    Returns what `OutputCollector.result` does, without the secrets that the run has
    read. Of what happens inside, the watchers see log lines, notifications, saved
    assets and tools, as those of the node. ``title`` names the graph in errors and in
    the log.

    Raises:
        EngineError: runs lie inside each other more than 8 deep, or the graph fails; it
            tells which node.
    """
    mask = _NestedMask(context.run.mask)
    run = _inner(graph, params, context, _NestedSink(context, title), mask, title)
    try:
        await _execute(run, title)
        return await run.outputs.result()
    finally:
        run.outputs.discard()


async def stream_nested(
    graph: Graph, params: Mapping[str, Any], context: NodeContext, *, title: str
) -> AsyncGenerator[tuple[str, Any], None]:
    """Run a graph as a part of the node's own: yield its outputs as they come.

    An item is the name of an output and a value of it, as along an edge. Besides what
    `run_nested` shows, the watchers see previews, pieces and progress, and in the log
    which nodes have ended. Whoever closes the generator cancels the run.

    Raises:
        EngineError: as `run_nested` does.
    """
    taken = _Taken()
    sink = _StreamingSink(context, title, taken)
    run = _inner(graph, params, context, sink, NothingToMask(), title)
    task = asyncio.get_running_loop().create_task(_execute(run, title))
    task.add_done_callback(lambda _: taken.news.set())
    try:
        while taken.items or not task.done():
            await taken.news.wait()
            while taken.items:
                yield taken.next()
            if not task.done():
                taken.news.clear()
        await task
    finally:
        task.cancel()
        await asyncio.wait([task])
        run.outputs.discard()


def _inner(
    graph: Graph,
    params: Mapping[str, Any],
    context: NodeContext,
    sink: EventSink,
    mask: Mask,
    title: str,
) -> GraphRun:
    outer = context.run
    if outer.depth >= MAX_DEPTH:
        raise EngineError(
            f"'{title}' was not run: workflows run inside each other {MAX_DEPTH} deep "
            "already"
        )
    inner = msgspec.structs.replace(outer, sink=sink, mask=mask, depth=outer.depth + 1)
    return GraphRun(graph, context=inner, params=params)


async def _execute(run: GraphRun, title: str) -> None:
    try:
        await run.execute()
    except NodeError as error:
        where = f"'{title}' failed at '{error.node_name}'"
        raise EngineError(f"{where}: {error}") from error


class _NestedSink:
    """Tells of a run inside a run as of the node that it belongs to."""

    def __init__(self, context: NodeContext, title: str) -> None:
        self._context = context
        self._outer: EventSink = context.run.sink
        self._title = title

    @property
    def is_full(self) -> bool:
        return self._outer.is_full

    async def wait_ready(self) -> None:
        await self._outer.wait_ready()

    def emit(self, event: Event) -> None:
        told = None if self._context.closed else self._told(event)
        if told is not None:
            self._outer.emit(told)

    def _told(self, event: Event) -> Event | None:
        """Return what the watchers see of an event."""
        if isinstance(event, LogUpdate):
            return self._log(event.content, event.severity)
        if isinstance(event, ClientToolCall):
            return event
        if isinstance(event, _SHOWN):
            return msgspec.structs.replace(event, node_id=self._context.node_id)
        return None

    def _log(self, content: str, severity: Severity = "info") -> LogUpdate:
        return LogUpdate(
            node_id=self._context.node_id,
            node_name=self._context.node_name,
            content=f"{self._title}: {content}",
            severity=severity,
        )


class _Taken:
    """Outputs that nobody has read yet."""

    def __init__(self) -> None:
        self.items: deque[tuple[str, Any]] = deque()
        self.news = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()

    def put(self, name: str, value: Any) -> None:
        self.items.append((name, value))
        self.news.set()
        if len(self.items) >= MAX_UNREAD:
            self.room.clear()

    def next(self) -> tuple[str, Any]:
        item = self.items.popleft()
        self.room.set()
        return item


class _StreamingSink(_NestedSink):
    """Tells of all that is going on, but keeps the outputs for the node."""

    def __init__(self, context: NodeContext, title: str, taken: _Taken) -> None:
        super().__init__(context, title)
        self._taken = taken

    @property
    def is_full(self) -> bool:
        return self._outer.is_full or not self._taken.room.is_set()

    async def wait_ready(self) -> None:
        await self._taken.room.wait()
        await self._outer.wait_ready()

    def _told(self, event: Event) -> Event | None:
        if isinstance(event, OutputUpdate):
            self._taken.put(event.output_name, event.value)
            return None
        if isinstance(event, NodeUpdate):
            is_over = event.status == "completed"
            return self._log(f"{event.node_name} completed") if is_over else None
        if isinstance(event, PreviewUpdate):
            return event
        if isinstance(event, NodeProgress):
            return msgspec.structs.replace(
                event, node_id=self._context.node_id, node_name=self._context.node_name
            )
        if isinstance(event, Chunk | TaskUpdate | PlanningUpdate):
            return msgspec.structs.replace(event, node_id=self._context.node_id)
        return super()._told(event)


class _NestedMask:
    """The mask of the outer run; texts of nodes with the same id stay apart."""

    def __init__(self, outer: Mask) -> None:
        self._outer = outer
        self._prefix = f"nested {next(_count)}"

    @property
    def is_needed(self) -> bool:
        return self._outer.is_needed

    def value(self, value: Any) -> Any:
        return self._outer.value(value)

    def piece(self, stream: str, text: str) -> str:
        return self._outer.piece(f"{self._prefix} {stream}", text)
