"""One turn of a stored conversation: the model's answer to the thread so far."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from workflows.agents.client_tools import client_tools
from workflows.agents.failures import error_message
from workflows.agents.loop import AgentLoop, Piece, RoundEnded
from workflows.agents.media import read_stored
from workflows.agents.telling import Teller, call_document
from workflows.agents.thoughts import Thoughts
from workflows.agents.tool_names import tools_named
from workflows.agents.tools import Tool
from workflows.engine.context import NodeContext, ReachedModel
from workflows.engine.events import MessageEvent
from workflows.engine.node import Node
from workflows.nodes import registry
from workflows.providers.messages import ChatRequest, Message


@registry.register("nodetool.chat.Turn")
class Turn(Node):
    """Answers the newest message of a thread.

    ``message_id`` is that message: later ones are not looked at. ``tools`` are names of
    tools of the server; ``client_tools`` (``name``, ``description``, ``parameters``)
    run at the client that watches. ``max_tokens``: 0 is the provider's own limit.

    It tells of each piece of text, of each tool, of the messages that the thread gets
    by them and at last of the whole answer. A failure is told as an ``error`` before
    the node fails with it.
    """

    outputs = {"text": "str"}
    hidden = True

    thread_id: str = ""
    message_id: str = ""
    model: str = ""
    provider: str = ""
    tools: list[str] = []
    client_tools: list[dict[str, Any]] = []
    max_tokens: int = 0

    async def process(self, context: NodeContext) -> dict[str, Any]:
        try:
            text = await self._answer(context)
        except Exception as error:
            await context.emit(error_message(error, self.thread_id))
            raise
        return {"text": text}

    async def _answer(self, context: NodeContext) -> str:
        reached = await context.models.find(self.model, self.provider or None)
        conversation = await self._conversation(context)
        request = ChatRequest(
            model=reached.model,
            messages=tuple(conversation),
            max_tokens=self.max_tokens or None,
        )
        loop = AgentLoop(
            reached,
            request,
            usage=context.run.usage,
            tools=await self._tools(context),
        )
        teller = Teller(context, self.thread_id)
        added = _AddedMessages(context, self.thread_id, reached)
        async with aclosing(loop.run()) as happenings:
            async for happening in happenings:
                await teller.tell(happening)
                if isinstance(happening, Piece) and happening.is_thinking:
                    added.thoughts.add(happening.text)
                elif isinstance(happening, RoundEnded):
                    await added.add_round(happening)
        loop.check()
        await teller.chunk("", is_last=True)
        await added.add("assistant", loop.text, thinking=added.thoughts.take())
        return loop.text

    async def _conversation(self, context: NodeContext) -> list[Message]:
        stored = await context.run.threads.history(
            self.thread_id, until=self.message_id or None
        )
        conversation = await read_stored(stored, context)
        if not conversation:
            raise ValueError(
                "There is nothing to answer: no such message in the thread"
            )
        return conversation

    async def _tools(self, context: NodeContext) -> list[Tool]:
        """Return the tools; one of the client hides one of the server."""
        own = client_tools(self.client_tools, context, self.thread_id)
        taken = {tool.name for tool in own}
        served = await tools_named(self.tools, context)
        return [*own, *(tool for tool in served if tool.name not in taken)]


class _AddedMessages:
    """The messages that a turn adds to its thread, with ids that a replay repeats.

    ``thoughts``: what goes with the next message of the model.
    """

    def __init__(
        self, context: NodeContext, thread_id: str, reached: ReachedModel
    ) -> None:
        self._context = context
        self._thread_id = thread_id
        self._reached = reached
        self._count = 0
        self.thoughts = Thoughts()

    async def add_round(self, ended: RoundEnded) -> None:
        """Add the model's calls and, after them, what each came to."""
        calls = [call_document(c.call, c.outcome.value) for c in ended.calls]
        thinking = self.thoughts.take()
        await self.add("assistant", "", tool_calls=calls, thinking=thinking)
        for call in ended.calls:
            await self.add(
                "tool",
                call.outcome.text,
                name=call.call.name,
                tool_call_id=call.call.id,
            )

    async def add(self, role: Any, content: str, **fields: Any) -> None:
        """Add one message."""
        self._count += 1
        await self._context.emit(
            MessageEvent(
                id=f"{self._context.run.job_id}-{self._count}",
                thread_id=self._thread_id,
                role=role,
                content=content,
                provider=self._reached.provider_id,
                model=self._reached.model,
                **fields,
            )
        )
