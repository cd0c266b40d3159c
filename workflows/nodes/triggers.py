"""Nodes that start something again and again."""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.nodes import registry


@registry.register("nodetool.triggers.IntervalTrigger")
class IntervalTrigger(Node):
    """Sends a tick at a steady interval, until the run is cancelled or enough are sent.

    With drift compensation ticks keep to the clock, whatever the rest of the graph
    takes; ticks that were missed are left out. Without it the interval begins anew when
    a tick has been taken.
    """

    outputs = {
        "tick": "int",
        "elapsed_seconds": "float",
        "interval_seconds": "float",
        "timestamp": "str",
        "source": "str",
        "event_type": "str",
    }
    streaming_output = True

    max_events: Annotated[int, Meta(description="0 for no limit.", min=0)] = 0
    interval_seconds: Annotated[float, Meta(min=0)] = 60.0
    initial_delay_seconds: Annotated[float, Meta(min=0)] = 0.0
    emit_on_start: Annotated[
        bool, Meta(description="Send the first tick without waiting an interval.")
    ] = True
    include_drift_compensation: Annotated[
        bool, Meta(description="Keep to the clock.")
    ] = True

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        if self.interval_seconds == 0:
            raise ValueError("interval_seconds must be more than 0")
        started = time.monotonic()
        wait = 0.0 if self.emit_on_start else self.interval_seconds
        due = started + self.initial_delay_seconds + wait
        tick = 0
        while not self.max_events or tick < self.max_events:
            await asyncio.sleep(due - time.monotonic())
            tick += 1
            yield self._tick(tick, time.monotonic() - started)
            now = time.monotonic()
            base = due if self.include_drift_compensation else now
            due = max(base + self.interval_seconds, now)

    def _tick(self, number: int, elapsed: float) -> dict[str, Any]:
        return {
            "tick": number,
            "elapsed_seconds": elapsed,
            "interval_seconds": self.interval_seconds,
            "timestamp": dt.datetime.now(dt.UTC).isoformat(),
            "source": "interval",
            "event_type": "tick",
        }
