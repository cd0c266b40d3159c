"""Nodes for examples and tests; they need nothing from outside."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.engine.values import text_chunk
from workflows.nodes import registry


@registry.register("demo.StreamText")
class StreamText(Node):
    """Sends a text in pieces, as a model does, and then the text as a whole.

    Each piece goes out as a ``chunk`` message and on the output ``chunk``; the last one
    says that it is the last.
    """

    outputs = {"chunk": "chunk", "text": "str"}
    streaming_output = True
    retry_safe = True

    text: str = "The quick brown fox jumps over the lazy dog."
    chunk_size: Annotated[int, Meta(description="Characters in a piece.", min=1)] = 4
    repeat: Annotated[
        int, Meta(description="How many times the pieces are sent.", min=1)
    ] = 1
    delay_seconds: Annotated[float, Meta(description="Pause after a piece.", min=0)] = 0

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        starts = range(0, max(1, len(self.text)), self.chunk_size)
        left = len(starts) * self.repeat
        for _ in range(self.repeat):
            for start in starts:
                left -= 1
                piece = self.text[start : start + self.chunk_size]
                await context.chunk(piece, done=left == 0)
                yield {"chunk": text_chunk(piece, done=left == 0)}
                if self.delay_seconds > 0:
                    await asyncio.sleep(self.delay_seconds)
        yield {"text": self.text}


@registry.register("demo.SlowSteps")
class SlowSteps(Node):
    """Takes its time, and tells how far it is."""

    outputs = {"output": "int"}
    retry_safe = True

    steps: Annotated[int, Meta(description="How many steps it takes.", min=0)] = 10
    seconds_per_step: Annotated[float, Meta(min=0)] = 0.5

    async def process(self, context: NodeContext) -> int:
        for step in range(self.steps):
            await asyncio.sleep(self.seconds_per_step)
            await context.progress(step + 1, self.steps)
        return self.steps


@registry.register("demo.Fail")
class Fail(Node):
    """Fails, whatever it is given."""

    outputs = {"output": "any"}

    value: Annotated[Any, Meta(description="Not looked at.")] = None
    message: Annotated[str, Meta(description="The error's text.")] = "Failed on purpose"

    async def process(self, context: NodeContext) -> Any:
        raise RuntimeError(self.message)


@registry.register("demo.Busy")
class Busy(Node):
    """Keeps a processor busy, in a process of its own."""

    outputs = {"output": "float"}
    retry_safe = True

    value: Annotated[Any, Meta(description="Not looked at; for an edge.")] = None
    seconds: Annotated[float, Meta(description="Processor time.", min=0)] = 1.0

    async def process(self, context: NodeContext) -> Any:
        return await context.run_blocking(burn, self.seconds)


def burn(seconds: float) -> float:
    """Use up processor time; return how much it was."""
    started = time.process_time()
    while (spent := time.process_time() - started) < seconds:
        pass
    return spent
