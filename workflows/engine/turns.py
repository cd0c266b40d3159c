"""When a run must let others go first: other jobs, a slow reader, a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic, thread_time

from workflows.engine.context import EventSink
from workflows.engine.outputs import OutputCollector

# How long one run may keep the loop, alone; several share that. The number of steps
# decides, so that a run is the same each time; the processor time is for nodes that
# compute far too long on the loop.
TURN_STEPS = 64
MIN_TURN_STEPS = 4
TURN_S = 0.02
MIN_TURN_S = 0.002


class Crowd:
    """How many runs this process has under way: a new one must not wait for all."""

    def __init__(self) -> None:
        self.size = 0

    def enter(self) -> None:
        self.size += 1

    def leave(self) -> None:
        self.size -= 1


crowd = Crowd()


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
        self._began_at = 0.0
        self._ends_at = 0.0
        self.held = 0

    @property
    def is_paused(self) -> bool:
        return not (self._go.is_set() or self._is_stopped)

    def stop(self) -> None:
        """The run is cancelled: whoever asks for a turn is, too."""
        self._is_stopped = True
        self._go.clear()

    def pause(self) -> None:
        self._go.clear()

    def resume(self) -> None:
        self._go.set()

    def begin(self) -> None:
        """Start a turn: the loop has just run something else."""
        runs = crowd.size or 1
        self._left = max(MIN_TURN_STEPS, TURN_STEPS // runs)
        self._turn_s = max(MIN_TURN_S, TURN_S / runs)
        self._began_at = thread_time()
        self._ends_at = monotonic() + self._turn_s

    def must_wait(self) -> bool:
        """Count a step; tell whether `wait` must be awaited before the next one."""
        self._left -= 1
        return (
            self._left <= 0
            or self._sink.is_full
            or self._outputs.must_spill
            or not self._go.is_set()
            or (monotonic() >= self._ends_at and self._is_used_up())
        )

    def _is_used_up(self) -> bool:
        """Tell whether the turn's time was spent here, not by another thread."""
        left = self._turn_s - (thread_time() - self._began_at)
        self._ends_at = monotonic() + left
        return left <= 0

    async def wait(self, *, holds_node: bool = True) -> None:
        """Return when the run may go on; ``holds_node``: a node waits here."""
        if self._is_stopped:
            raise asyncio.CancelledError
        self._before()
        await asyncio.sleep(0)
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
