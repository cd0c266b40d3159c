"""What a streaming node holds in its hands: its inputs and its outputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from workflows.engine.actors import Actor
from workflows.engine.context import NodeContext
from workflows.engine.errors import UnknownOutput
from workflows.engine.exchange import Exchange
from workflows.engine.sets import EXHAUSTED, READY, InputSets
from workflows.engine.streams import Lineage, Link
from workflows.engine.turns import Turns

Send = Callable[[Actor, str, Any, Lineage], Awaitable[None]]


class StreamInputs:
    """The inputs of a streaming node, in order of arrival, one by one or in sets."""

    def __init__(
        self,
        actor: Actor,
        incoming: Mapping[str, list[Link]],
        sets: InputSets,
        exchange: Exchange,
        turns: Turns,
    ) -> None:
        self.actor = actor
        self.exchange = exchange
        self.turns = turns
        self.lineage: Lineage = ()
        self._incoming = incoming
        self._sets = sets

    def is_connected(self, handle: str) -> bool:
        return handle in self._incoming

    async def any(self) -> AsyncIterator[tuple[str, Any]]:
        links = [link for group in self._incoming.values() for link in group]
        while (link := await self._next(links)) is not None:
            yield link.name, self._take(link)

    async def each(self, handle: str) -> AsyncIterator[Any]:
        links = self._incoming.get(handle, ())
        while (link := await self._next(links)) is not None:
            yield self._take(link)

    async def first(self, handle: str, default: Any = None) -> Any:
        link = await self._next(self._incoming.get(handle, ()))
        return default if link is None else self._take(link)

    async def sets(self) -> AsyncIterator[dict[str, Any]]:
        sets = self._sets
        while True:
            if self.turns.must_wait():
                await self.turns.wait()
            state = sets.poll()
            if state is EXHAUSTED:
                self.lineage = ()
                return
            if state is READY:
                values, self.lineage = sets.take()
                coerce = self.actor.plan.coerce
                yield {name: coerce(name, value) for name, value in values.items()}
            else:
                await self.exchange.wait_for_item(self.actor, sets.missing())

    async def _next(self, links: Sequence[Link]) -> Link | None:
        """Return the edge whose item came first; None when all have ended."""
        while True:
            if self.turns.must_wait():
                await self.turns.wait()
            waiting = [link for link in links if link.items]
            if waiting:
                return min(waiting, key=lambda link: link.items[0][0])
            if not any(link.is_open for link in links):
                self.lineage = ()
                return None
            await self.exchange.wait_for_item(self.actor, list(links))

    def _take(self, link: Link) -> Any:
        _, value, self.lineage = link.take()
        return self.actor.plan.coerce(link.name, value)


class StreamOutputs:
    """Where a streaming node sends its values."""

    def __init__(
        self,
        inputs: StreamInputs,
        context: NodeContext,
        send: Send,
        lineage: Lineage | None = None,
    ) -> None:
        """``lineage``: that of the whole run, if its inputs are read again."""
        self._inputs = inputs
        self._send = send
        self._context = context
        self._lineage = lineage
        # A node may send from several tasks at once; an edge has one waiting producer.
        self._turn = asyncio.Lock()

    async def emit(self, handle: str, value: Any) -> None:
        inputs = self._inputs
        if handle not in inputs.actor.links:
            raise UnknownOutput(inputs.actor.name, handle)
        self._context.touch()
        if inputs.turns.must_wait():
            await inputs.turns.wait()
        if self._turn.locked():
            inputs.exchange.look_for_stalls()  # this wait may be what closes a circle
        async with self._turn:
            lineage = inputs.lineage if self._lineage is None else self._lineage
            await self._send(inputs.actor, handle, value, lineage)
