"""Input nodes: the parameters of a run, and items that come while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workflows.engine.actors import Actor
from workflows.engine.errors import (
    InputEnded,
    InputFull,
    InvalidParameter,
    UnknownInput,
)
from workflows.engine.exchange import Exchange
from workflows.engine.node import InputNode
from workflows.engine.streams import Lineage
from workflows.engine.values import is_blank

MAX_UNREAD = 10_000


class RunInputs:
    """The input nodes of a run.

    They never run: their values are sent for them, then each output ends, except where
    the node is a stream that stays open for items from outside.
    """

    def __init__(
        self,
        actors: Sequence[Actor],
        params: Mapping[str, Any],
        exchange: Exchange,
    ) -> None:
        """Check every parameter.

        Raises:
            InvalidParameter: the value given for an input node is refused.
        """
        self._exchange = exchange
        self._actors = {actor.node.properties["name"]: actor for actor in actors}
        self._first = [(actor, _first_items(actor, params)) for actor in actors]
        self._open: set[tuple[Actor, str]] = set()
        self.unknown = [name for name in params if name not in self._actors]

    def start(self) -> None:
        """Send the first items, and end the outputs that get no others."""
        for actor, items in self._first:
            for output in actor.links:
                if output in items:
                    self._send(actor, output, items[output])
                if actor.plan.cls.streaming_output:
                    self._open.add((actor, output))
                else:
                    self._end(actor, output)

    def push(self, name: str, value: Any, handle: str | None) -> None:
        """Send an item from outside; the first output is the default."""
        actor, output = self._find(name, handle)
        for link in actor.links[output]:
            if len(link.items) >= MAX_UNREAD and not link.target_ended:
                raise InputFull(name, MAX_UNREAD)
        self._send(actor, output, value)

    def end(self, name: str, handle: str | None) -> None:
        """End the stream of an output; the first one is the default."""
        actor, output = self._find(name, handle)
        self._open.discard((actor, output))
        self._end(actor, output)

    def end_all(self) -> None:
        """End what is still open: nobody is left to read it."""
        for actor, output in sorted(self._open, key=lambda pair: pair[0].index):
            self._end(actor, output)
        self._open.clear()

    def _find(self, name: str, handle: str | None) -> tuple[Actor, str]:
        actor = self._actors.get(name)
        if actor is None:
            raise UnknownInput(name)
        output = next(iter(actor.links)) if handle is None else handle
        if output not in actor.links:
            raise UnknownInput(f"{name}.{output}")
        if (actor, output) not in self._open:
            raise InputEnded
        return actor, output

    def _send(self, actor: Actor, output: str, value: Any) -> None:
        lineage: Lineage = ()
        if actor.plan.cls.streaming_output:
            actor.count += 1
            lineage = actor.next_lineage((), output)
        for link in actor.links[output]:
            self._exchange.deliver(link, value, lineage)

    def _end(self, actor: Actor, output: str) -> None:
        for link in actor.links[output]:
            self._exchange.close(link)


def _first_items(actor: Actor, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an input node sends before anything else, by output."""
    properties = actor.node.properties
    node = actor.plan.cls(**properties)
    assert isinstance(node, InputNode)
    given = params.get(properties["name"])
    if given is not None:
        return node.values(_parameter(node, actor, given))
    default = properties["value"]
    if actor.plan.cls.streaming_output and is_blank(default):
        return {}
    return node.values(default)


def _parameter(node: InputNode, actor: Actor, value: Any) -> Any:
    coerce = actor.plan.properties["value"].coerce
    try:
        return node.check(value if coerce is None else coerce(value))
    except ValueError as error:
        raise InvalidParameter(node.name, str(error)) from error
