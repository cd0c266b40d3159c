"""The way of items from node to node: who has news, who waits for what."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from workflows.engine.actors import Actor
from workflows.engine.reports import Reports
from workflows.engine.stalls import stalled_links
from workflows.engine.streams import Lineage, Link


class Exchange:
    """Moves items along edges, and keeps the list of actors that have news.

    ``on_news`` is called when an actor was added to ``ready``.
    """

    def __init__(self, reports: Reports, on_news: Callable[[], None]) -> None:
        self._reports = reports
        self._on_news = on_news
        self._order = 0
        self._blocked: set[Actor] = set()
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

    def look_for_stalls(self) -> None:
        """Widen the edges on which nodes wait for each other in a circle."""
        if self._blocked and not self.ready:
            for link in stalled_links(self.actors):
                link.grow()

    def _wait(self, actor: Actor, link: Link, wake: Callable[[], None]) -> None:
        actor.blocked_on = link
        self._blocked.add(actor)
        link.on_room = wake

    def _unblock(self, actor: Actor) -> None:
        actor.blocked_on = None
        self._blocked.discard(actor)
