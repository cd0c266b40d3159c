"""A node that is controlled: it runs on events alone, once for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from typing import Any

from workflows.engine.control_events import RunEvent, StopEvent
from workflows.engine.errors import TargetFailed
from workflows.engine.graph import CONTROL_HANDLE
from workflows.engine.sets import EXHAUSTED, READY, WAITING, Poll, Taken, gathered_list
from workflows.engine.streams import UNLIMITED, Item, Lineage, Link

MAX_UNANSWERED = 1_000


class Order:
    """An event on its way; ``answer`` is for whoever waits for what the run gives."""

    __slots__ = ("answer", "event")

    def __init__(
        self,
        event: RunEvent | StopEvent,
        answer: asyncio.Future[dict[str, Any]] | None = None,
    ) -> None:
        self.event = event
        self.answer = answer

    @property
    def is_given_up(self) -> bool:
        """Whether who waited for the answer does so no more."""
        return self.answer is not None and self.answer.done()


class ControlledSets:
    """The sets of a controlled node: one for each event, first in, first out.

    A set has the latest value of each connected input, unless that has ended without
    one, and over them the properties of the event. It is there when every input has a
    value, or has ended. Of an iteration that the event is part of as well, an input
    gives the value of the same item, as in `JoinedSets`. Where several edges lead into
    a list, it is whole when they have ended.
    """

    def __init__(
        self,
        name: str,
        index: int,
        orders: list[Link],
        inputs: dict[str, list[Link]],
        paired: set[Link],
    ) -> None:
        """``paired``: the inputs that may be parts of an iteration of some event."""
        self._name = name
        self._root = (index, CONTROL_HANDLE)
        self.orders = orders
        self._single = [links[0] for links in inputs.values() if len(links) == 1]
        self._gathered = {n: links for n, links in inputs.items() if len(links) > 1}
        self._free = [link for link in self._single if link not in paired]
        self._latest: dict[str, Item] = {}
        self._lists: dict[str, list[Any]] = {}
        self._next: tuple[Order, Lineage, int] | None = None
        self._running: Order | None = None
        self._is_stopped = False
        self._unanswered: set[asyncio.Future[dict[str, Any]]] = set()
        self._watchers: dict[asyncio.Future[None], Callable[[], list[Link]]] = {}
        self._count = 0
        for link in self._single:
            link.may_lapse = True
        for links in self._gathered.values():
            for link in links:
                link.limit = UNLIMITED

    # -- Sets

    def poll(self) -> Poll:
        for link in self._free:
            while link.items:
                self._latest[link.name] = link.take()
        self._tell_watchers()
        while self._next is None or self._next[0].is_given_up:
            if self._is_stopped or not self._take_order():
                return self._without_order()
        return WAITING if self.missing() else READY

    def take(self) -> Taken:
        assert self._next is not None
        order, lineage, _ = self._next
        assert isinstance(order.event, RunEvent)
        self._next, self._running = None, order
        self._count += 1
        values = {**self.values(), **order.event.properties}
        return values, (*lineage, (self._root, self._count))

    def missing(self) -> list[Link]:
        if self._next is None:
            return [link for link in self.orders if link.is_open]
        order, lineage, sender = self._next
        assert isinstance(order.event, RunEvent)
        return self.lacking(lineage, sender, order.event.properties)

    @property
    def needs_any(self) -> bool:
        """Whether one of the `missing` is enough: no event is there."""
        return self._next is None

    def values(self) -> dict[str, Any]:
        """Return the latest values of the connected inputs."""
        found = {name: item[1] for name, item in self._latest.items()}
        for name, links in self._gathered.items():
            if name not in self._lists and not any(link.is_open for link in links):
                self._lists[name] = gathered_list(links)
        return {**found, **self._lists}

    def _without_order(self) -> Poll:
        self._next = None
        may_come = any(link.is_open for link in self.orders)
        return WAITING if may_come and not self._is_stopped else EXHAUSTED

    def _take_order(self) -> bool:
        """Look at the oldest event of all controllers; tell whether there is one."""
        waiting = [link for link in self.orders if link.items]
        if not waiting:
            return False
        link = min(waiting, key=lambda link: link.items[0][0])
        _, order, lineage = link.take()
        if isinstance(order.event, StopEvent):
            self._next, self._is_stopped = None, True
        else:
            self._next = (order, lineage, link.source.index)
        return True

    def lacking(
        self, lineage: Lineage, sender: int, given: Container[str] = ()
    ) -> list[Link]:
        """Return the inputs that a run as part of these iterations must wait for."""
        at = dict(lineage)
        lacking = [
            link
            for link in self._single
            if link.name not in given and not self._advance(link, at, sender)
        ]
        for name, links in self._gathered.items():
            if name not in given:
                lacking += [link for link in links if link.is_open]
        return lacking

    def _advance(self, link: Link, at: dict[Any, int], sender: int) -> bool:
        """Take what is not of a later item; tell whether nothing better will come."""
        while link.items and not _is_later(link.items[0][2], at):
            self._latest[link.name] = link.take()
        if link.items or not link.is_open:
            return True
        latest = self._latest.get(link.name)
        return latest is not None and not _is_behind(latest[2], at, sender)

    # -- Answers

    def expect(self, answer: asyncio.Future[dict[str, Any]]) -> None:
        """Promise an answer to an order that is about to be sent.

        Raises:
            TargetFailed: too many wait already.
        """
        if len(self._unanswered) >= MAX_UNANSWERED:
            raise TargetFailed(
                f"'{self._name}' has {MAX_UNANSWERED} runs to answer already"
            )
        self._unanswered.add(answer)
        answer.add_done_callback(self._unanswered.discard)

    def answer(self, values: dict[str, Any]) -> None:
        """Tell who asked for the run that is over what it gave."""
        order, self._running = self._running, None
        if order is not None and order.answer is not None and not order.answer.done():
            order.answer.set_result(values)

    def end(self, reason: str) -> None:
        """The node runs no more: tell all who wait for it."""
        for answer in list(self._unanswered):
            if not answer.done():
                answer.set_exception(TargetFailed(f"'{self._name}' {reason}"))
        for arrival in list(self._watchers):
            if not arrival.done():
                arrival.set_result(None)

    # -- Who wants to know what a run would get

    def watch(
        self, arrival: asyncio.Future[None], lacking: Callable[[], list[Link]]
    ) -> None:
        """Tell when all of some inputs have arrived."""
        self._watchers[arrival] = lacking
        arrival.add_done_callback(lambda done: self._watchers.pop(done, None))
        self._tell_watchers()

    def _tell_watchers(self) -> None:
        for arrival, lacking in list(self._watchers.items()):
            if not (arrival.done() or lacking()):
                arrival.set_result(None)


def _is_later(lineage: Lineage, at: dict[Any, int]) -> bool:
    return any(index > at.get(root, index) for root, index in lineage)


def _is_behind(lineage: Lineage, at: dict[Any, int], sender: int) -> bool:
    """Tell whether an item's successor may be of the item that the event is of.

    Not in an iteration of the sender's own: it may send events and nothing else.
    """
    return any(
        index < at.get(root, index) for root, index in lineage if root[0] != sender
    )
