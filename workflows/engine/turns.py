"""When a run must let others go first: other jobs, a slow reader, a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic, thread_time

from workflows.engine.context import EventSink
from workflows.engine.outputs import OutputCollector

# How long one run may keep the loop, alone; several share that. The number of steps
# decides, so that a run is the same each time; the time is for nodes that compute far
# too long on the loop. It must pass twice: by the clock, and then in processor time,
# which is costly to ask for but tells what was spent here and not by another thread.
TURN_STEPS = 64
MIN_TURN_STEPS = 4
TURN_S = 0.01
MIN_TURN_S = 0.001


class Crowd:
    """How many wait for their turn: a new run must not wait long for all of them."""

    def __init__(self) -> None:
        self.size = 0


_crowd = Crowd()


class Turns:
    """Whoever works for a run asks `must_wait` at every step, and waits if so."""

    def __init__(
        self, sink: EventSink, outputs: OutputCollector, before: Callable[[], None]
    ) -> None:
        """``before`` is called each time the run hands over the loop."""
        self._sink = sink
        self._outputs = outputs
        self._before = before
        self._go = asyncio.Event()
        self._go.set()
        self._is_stopped = False
        self._left = 0
        self._turn_s = TURN_S
        self._late_at: float | None = None
        self._ends_at = 0.0
        self.held = 0

    @property
    def is_paused(self) -> bool:
        return not (self._go.is_set() or self._is_stopped)

    def stop(self) -> None:
        """The run is cancelled: whoever asks for a turn is, too."""
        self._is_stopped = True
        self.pause()

    def pause(self) -> None:
        self._go.clear()
        self._left = 0

    def resume(self) -> None:
        self._go.set()

    def begin(self) -> None:
        """Start a turn: the loop has just run something else."""
        share = max(1, _crowd.size + 1)
        is_held = not self._go.is_set()
        self._left = 0 if is_held else max(MIN_TURN_STEPS, TURN_STEPS // share)
        self._turn_s = max(MIN_TURN_S, TURN_S / share)
        self._late_at = None
        self._ends_at = monotonic() + self._turn_s

    def must_wait(self) -> bool:
        """Count a step; tell whether `wait` must be awaited before the next one."""
        self._left -= 1
        return (
            self._left <= 0
            or self._sink.is_full
            or self._outputs.must_spill
            or (monotonic() >= self._ends_at and self._is_used_up())
        )

    def _is_used_up(self) -> bool:
        now = thread_time()
        if self._late_at is None:
            self._late_at = now
        left = self._turn_s - (now - self._late_at)
        self._ends_at = monotonic() + left
        return left <= 0

    async def wait(self, *, holds_node: bool = True) -> None:
        """Return when the run may go on; ``holds_node``: a node waits here."""
        if self._is_stopped:
            raise asyncio.CancelledError
        self._before()
        _crowd.size += 1
        try:
            await asyncio.sleep(0)
        finally:
            _crowd.size -= 1
        while not self._go.is_set():
            self.held += holds_node
            try:
                await self._go.wait()
            finally:
                self.held -= holds_node
        if self._outputs.must_spill:
            await self._outputs.spill()
        if self._sink.is_full:
            await self._sink.wait_ready()
        self.begin()
