"""Stored conversations that nodes make, read and go on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import uuid4

from workflows.engine.context import NodeContext, ReachedModel
from workflows.engine.node import Meta, Node
from workflows.engine.values import is_blank
from workflows.nodes import registry

Json = dict[str, Any]
Title = Annotated[str | None, Meta(description="What a new one is called.")]


@registry.register("nodetool.agents.CreateThread")
class CreateThread(Node):
    """Gives the id of a stored conversation: of a new one, or of that it names."""

    outputs = {"thread_id": "str"}

    # Editors know the property by this name, though classes have a title, too.
    title: Title = "Agent Conversation"  # type: ignore[misc, assignment]
    thread_id: Annotated[
        str, Meta(description="An id to use; empty for a new conversation.")
    ] = ""

    async def process(self, context: NodeContext) -> dict[str, Any]:
        threads = context.run.threads
        return {"thread_id": await threads.ensure(self.thread_id, title=self.title)}


class StoredThread:
    """A conversation that a node reads and goes on with."""

    def __init__(self, context: NodeContext, thread_id: str) -> None:
        self._run = context.run
        self._id = thread_id

    async def history(self) -> list[Json]:
        """Return its newest messages, the oldest of them first."""
        return await self._run.threads.history(self._id)

    async def add_exchange(
        self,
        prompt: str,
        references: Sequence[Mapping[str, Any]],
        answer: str,
        reached: ReachedModel,
    ) -> None:
        """Store what was asked, and the answer, without the secrets of the run."""
        source = {"provider": reached.provider_id, "model": reached.model}
        asked = {"role": "user", "content": _content(prompt, references)}
        answered = {"role": "assistant", "content": answer, **source}
        mask = self._run.mask
        await self._run.threads.add(
            self._id,
            [mask.value({"id": uuid4().hex, **each}) for each in (asked, answered)],
        )


async def stored_thread(
    context: NodeContext, thread_id: str | None
) -> StoredThread | None:
    """Return a conversation of the user's, made if nobody has it; None for no id.

    Raises:
        Exception: the id cannot be used, or it is somebody else's.
    """
    if not thread_id:
        return None
    return StoredThread(context, await context.run.threads.ensure(thread_id))


def _content(prompt: str, references: Sequence[Mapping[str, Any]]) -> str | list[Json]:
    """Return what a message says: text alone, or parts as the API has them."""
    parts: list[Json] = []
    for reference in references:
        if is_blank(reference):
            continue
        kind = str(reference["type"])
        name = "image_url" if kind == "image" else kind
        parts.append({"type": name, kind: dict(reference)})
    if not parts:
        return prompt
    return [*([{"type": "text", "text": prompt}] if prompt else []), *parts]
