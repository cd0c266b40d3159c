"""A run inside a run: a whole graph as one step of a node."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import msgspec

from workflows.engine.context import EventSink, Mask, NodeContext
from workflows.engine.errors import EngineError, NodeError
from workflows.engine.events import (
    ClientToolCall,
    Event,
    LogUpdate,
    Notification,
    SaveUpdate,
    ToolCallUpdate,
    ToolResultUpdate,
)
from workflows.engine.graph import Graph
from workflows.engine.runner import GraphRun

MAX_DEPTH = 8

_count = itertools.count(1)


async def run_nested(
    graph: Graph, params: Mapping[str, Any], context: NodeContext, *, title: str
) -> dict[str, Any]:
    """Run a graph to its end with all that the node's own run may use.

    Returns what `OutputCollector.result` does. Of what happens inside, the watchers see
    log lines, notifications, saved assets and tools, as those of the node. ``title``
    names the graph in errors and in the log.

    Raises:
        EngineError: runs lie inside each other more than 8 deep, or the graph fails; it
            tells which node.
    """
    outer = context.run
    if outer.depth >= MAX_DEPTH:
        raise EngineError(
            f"'{title}' was not run: workflows run inside each other {MAX_DEPTH} deep "
            "already"
        )
    inner = msgspec.structs.replace(
        outer,
        sink=_NestedSink(context, title),
        mask=_NestedMask(outer.mask),
        depth=outer.depth + 1,
    )
    run = GraphRun(graph, context=inner, params=params)
    try:
        await run.execute()
        return await run.outputs.result()
    except NodeError as error:
        where = f"'{title}' failed at '{error.node_name}'"
        raise EngineError(f"{where}: {error}") from error
    finally:
        run.outputs.discard()


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
        context = self._context
        if context.closed:
            return
        if isinstance(event, LogUpdate):
            self._outer.emit(
                LogUpdate(
                    node_id=context.node_id,
                    node_name=context.node_name,
                    content=f"{self._title}: {event.content}",
                    severity=event.severity,
                )
            )
        elif isinstance(
            event, Notification | SaveUpdate | ToolCallUpdate | ToolResultUpdate
        ):
            moved = msgspec.structs.replace(event, node_id=context.node_id)
            self._outer.emit(moved)
        elif isinstance(event, ClientToolCall):
            self._outer.emit(event)


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
