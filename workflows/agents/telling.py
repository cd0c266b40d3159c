"""What the watchers of a run are told of an agent's work."""

from __future__ import annotations

from typing import Any

from workflows.agents.loop import Happening, Piece, ToolEnded, ToolStarted
from workflows.agents.tools import AskedCall
from workflows.engine.context import NodeContext
from workflows.engine.events import Chunk, ToolCallUpdate, ToolResultUpdate


class Teller:
    """Tells of one agent: to a conversation, if it has one, else as the node's work.

    ``step_id``: the step of a task that it works at.
    """

    def __init__(
        self,
        context: NodeContext,
        thread_id: str | None = None,
        *,
        step_id: str | None = None,
    ) -> None:
        self._context = context
        self._thread_id = thread_id
        self._step_id = step_id

    async def tell(self, happening: Happening) -> None:
        """Tell of a piece of text or of a tool; of nothing else."""
        if isinstance(happening, Piece):
            await self.chunk(happening.text, is_thinking=happening.is_thinking)
        elif isinstance(happening, ToolStarted):
            await self._started(happening)
        elif isinstance(happening, ToolEnded):
            await self._ended(happening)

    async def chunk(
        self, text: str, *, is_thinking: bool = False, is_last: bool = False
    ) -> None:
        """Send a piece of text; in a conversation it belongs to no node."""
        await self._context.emit(
            Chunk(
                node_id=None if self._thread_id else self._context.node_id,
                thread_id=self._thread_id,
                content=text,
                thinking=is_thinking,
                done=is_last,
            )
        )

    async def _started(self, started: ToolStarted) -> None:
        call = started.call
        await self._context.emit(
            ToolCallUpdate(
                node_id=self._context.node_id,
                thread_id=self._thread_id,
                tool_call_id=call.id,
                name=call.name,
                args=call.arguments,
                step_id=self._step_id,
            )
        )

    async def _ended(self, ended: ToolEnded) -> None:
        await self._context.emit(
            ToolResultUpdate(
                node_id=self._context.node_id,
                thread_id=self._thread_id,
                tool_call_id=ended.call.id,
                result=ended.outcome.told,
            )
        )


def call_document(call: AskedCall, result: Any = None) -> dict[str, Any]:
    """Return a call, and what it came to, as ``tool_calls`` of a message has it."""
    return {
        "id": call.id,
        "name": call.name,
        "args": call.arguments,
        "result": result,
        "step_id": None,
        "message": None,
    }
