"""The way of items from node to node: who has news, who waits for what."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from workflows.engine.actors import Actor, Awaited
from workflows.engine.errors import TargetFailed
from workflows.engine.reports import Reports
from workflows.engine.stalls import stalled_links, stuck_actors
from workflows.engine.streams import Lineage, Link

T = TypeVar("T")


class Exchange:
    """Moves items along edges, and keeps the list of actors that have news.

    ``on_news`` is called when an actor was added to ``ready``.
    """

    def __init__(self, reports: Reports, on_news: Callable[[], None]) -> None:
        self._reports = reports
        self._on_news = on_news
        self._order = 0
        self._blocked: set[Actor] = set()
        self._awaiting: set[Actor] = set()
        self.actors: Sequence[Actor] = ()
        self.ready: deque[Actor] = deque()

    def schedule(self, actor: Actor) -> None:
        """Have the actor looked at: something about its inputs or outputs is new."""
        if actor.readers:
            for reader in actor.readers:
                if not reader.done():
                    reader.set_result(None)
        elif not (actor.queued or actor.busy or actor.ended or actor.blocked_on):
            actor.queued = True
            self.ready.append(actor)
            self._on_news()

    def deliver(self, link: Link, value: Any, lineage: Lineage) -> None:
        """Put an item on an edge; the caller has seen to it that there is room."""
        self._reports.sent(link)
        if link.target_ended:
            link.unread += not link.may_lapse
            return
        self._order += 1
        link.put((self._order, value, lineage))
        self.schedule(link.target)

    def close(self, link: Link) -> None:
        """No more items come along this edge."""
        if link.is_open:
            link.is_open = False
            self._reports.drained(link)
            self.schedule(link.target)

    def block(self, actor: Actor, link: Link) -> None:
        """Look at the actor again when the edge has room."""

        def unblock() -> None:
            self._unblock(actor)
            self.schedule(actor)

        self._wait(actor, link, unblock)

    async def wait_for_room(self, actor: Actor, link: Link) -> None:
        """Return when the edge may have room; for a node with a task of its own."""
        room = asyncio.get_running_loop().create_future()

        def unblock() -> None:
            self._unblock(actor)
            if not room.done():
                room.set_result(None)

        self._wait(actor, link, unblock)
        self.look_for_stalls()
        try:
            await room
        finally:
            self._unblock(actor)

    async def wait_for_item(self, actor: Actor, links: list[Link]) -> None:
        """Return when something has happened on an input of a streaming node."""
        news = asyncio.get_running_loop().create_future()
        actor.readers[news] = links
        self.look_for_stalls()
        try:
            await news
        finally:
            del actor.readers[news]

    async def wait_for_target(
        self, actor: Actor, awaited: Awaited, answer: asyncio.Future[T]
    ) -> T:
        """Return what comes of a node that the actor controls.

        Raises:
            TargetFailed: it never will.
        """
        actor.awaited[answer] = awaited
        self._awaiting.add(actor)
        self.look_for_stalls()
        try:
            return await answer
        finally:
            del actor.awaited[answer]
            if not actor.awaited:
                self._awaiting.discard(actor)
            else:  # it was this one that could go on, perhaps alone
                asyncio.get_running_loop().call_soon(self.look_for_stalls)

    def look_for_stalls(self) -> None:
        """Widen the edges on which nodes wait for each other in a circle.

        Where none would help, a node waits for one that it controls, which waits for
        something that only comes afterwards: it is told that it waits in vain.
        """
        if not (self._blocked or self._awaiting) or self.ready:
            return
        stuck = stuck_actors(self.actors)
        links = stalled_links(stuck)
        for link in links:
            link.grow()
        if not links:
            self._give_up(stuck)

    def _give_up(self, stuck: Sequence[Actor]) -> None:
        for actor in stuck:
            for answer, awaited in list(actor.awaited.items()):
                target = awaited.target
                if not (answer.done() or (target.awaited and awaited.inputs is None)):
                    answer.set_exception(
                        TargetFailed(
                            f"'{target.name}' cannot run: it waits for an input that "
                            f"comes only after '{actor.name}' has gone on"
                        )
                    )
                    self.schedule(target)

    def _wait(self, actor: Actor, link: Link, wake: Callable[[], None]) -> None:
        actor.blocked_on = link
        self._blocked.add(actor)
        link.on_room = wake

    def _unblock(self, actor: Actor) -> None:
        actor.blocked_on = None
        self._blocked.discard(actor)
