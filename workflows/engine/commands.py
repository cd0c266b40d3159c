"""What a node holds in its hands of the nodes that it controls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from workflows.engine.actors import Actor, Awaited
from workflows.engine.context import ControlTarget, NodeContext
from workflows.engine.control_events import RunEvent
from workflows.engine.controlled import Order
from workflows.engine.errors import TargetFailed, UnknownTarget
from workflows.engine.exchange import Exchange
from workflows.engine.streams import Lineage


class Commands:
    """The targets of a node, during one activation of it.

    What it asks for is part of the iteration that the activation is part of.
    """

    def __init__(
        self,
        actor: Actor,
        context: NodeContext,
        exchange: Exchange,
        lineage: Callable[[], Lineage],
    ) -> None:
        self._actor = actor
        self._context = context
        self._exchange = exchange
        self._lineage = lineage

    @property
    def target_ids(self) -> Sequence[str]:
        return tuple(self._actor.commands)

    async def targets(self, *, settled: bool = True) -> list[ControlTarget]:
        links = list(self._actor.commands.values())
        if settled:
            for link in links:
                await self._settle(link.target)
        return [self._seen(link.target) for link in links]

    async def run(
        self, target_id: str, properties: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        actor = self._actor
        link = actor.commands.get(target_id)
        if link is None:
            raise UnknownTarget(target_id)
        target = link.target
        assert target.control is not None
        if target.ended or self._context.closed:
            ended = target if target.ended else actor
            raise TargetFailed(f"'{target.name}' cannot run: '{ended.name}' has ended")
        self._context.touch()
        answer = asyncio.get_running_loop().create_future()
        target.control.expect(answer)
        order = Order(RunEvent(dict(properties or {})), answer)
        self._exchange.deliver(link, order, self._lineage())
        return await self._exchange.wait_for_target(actor, Awaited(target), answer)

    async def _settle(self, target: Actor) -> None:
        """Wait for what the inputs of a target would be in a run."""
        assert target.control is not None
        if target.ended:
            return
        lacking = partial(target.control.lacking, self._lineage(), self._actor.index)
        arrival = asyncio.get_running_loop().create_future()
        target.control.watch(arrival, lacking)
        # Where they only come later, what is there is all that can be seen.
        with contextlib.suppress(TargetFailed):
            await self._exchange.wait_for_target(
                self._actor, Awaited(target, lacking), arrival
            )

    def _seen(self, target: Actor) -> ControlTarget:
        assert target.control is not None
        plan, mask = target.plan, self._context.run.mask
        values = {
            **target.node.properties,
            **target.node.dynamic,
            **target.control.values(),
        }
        return ControlTarget(
            id=target.id,
            title=target.name,
            plan=plan,
            values={
                name: mask.value(value)
                for name, value in values.items()
                if name in plan.settable or plan.cls.dynamic
            },
        )
