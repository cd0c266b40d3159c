"""Bounded queues between nodes, and the lineage of what lies in them.

An item is a tuple ``(order, value, lineage)``. ``order`` is its place among all
arrivals of the run. ``lineage`` says of which iteration the value is a part: pairs of a
root (a stream's source) and the index of the source's item; a constant has none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workflows.engine.overflow import Overflow

if TYPE_CHECKING:
    from workflows.engine.actors import Actor

NORMAL_LIMIT = 3
UNLIMITED = 1 << 62
# How many items an edge that had to grow keeps in memory; the others go to a file.
IN_MEMORY = 4096

Lineage = tuple[tuple[Any, int], ...]
Item = tuple[int, Any, Lineage]


class Link:
    """An edge while it runs: the queue from an output to the input ``name``.

    It holds at most ``limit`` items; then its producer waits. An edge that had to grow
    keeps the oldest in ``items`` and what memory shall not hold in ``overflow``. It is
    at its end once its source has ended and it is empty.

    ``counter`` counts all items that were sent; ``is_dirty`` says that watchers do not
    know the count yet. After its target has ended an edge takes everything and keeps
    nothing; ``unread`` counts what it dropped, but not with ``may_lapse``: items
    without a partner in their iteration are no loss.
    """

    __slots__ = (
        "counter",
        "id",
        "is_dirty",
        "is_open",
        "is_stream",
        "items",
        "limit",
        "may_lapse",
        "name",
        "on_room",
        "overflow",
        "source",
        "target",
        "target_ended",
        "unread",
    )

    def __init__(
        self, edge_id: str, source: Actor, target: Actor, name: str, *, is_stream: bool
    ) -> None:
        self.id = edge_id
        self.source = source
        self.target = target
        self.name = name
        self.is_stream = is_stream
        self.items: deque[Item] = deque()
        self.overflow: Overflow | None = None
        self.limit = NORMAL_LIMIT
        self.is_open = True
        self.target_ended = False
        self.on_room: Callable[[], None] | None = None
        self.counter = 0
        self.is_dirty = False
        self.may_lapse = False
        self.unread = 0

    @property
    def is_full(self) -> bool:
        return len(self.items) >= self.limit

    @property
    def is_ended(self) -> bool:
        return not self.items and not self.is_open

    def put(self, item: Item) -> None:
        """Add the newest item."""
        if self.overflow is not None:
            self.overflow.append(item)
        elif IN_MEMORY < self.limit < UNLIMITED and len(self.items) >= IN_MEMORY:
            self.overflow = Overflow()
            self.overflow.append(item)
        else:
            self.items.append(item)

    def take(self) -> Item:
        """Remove the oldest item; the producer may go on if it waited for room."""
        item = self.items.popleft()
        if self.overflow is not None and not self.items:
            self._fetch(self.overflow)
        if self.on_room is not None and len(self.items) < self.limit:
            self.release()
        return item

    def _fetch(self, overflow: Overflow) -> None:
        self.items.extend(overflow.take_block())
        if not overflow:
            overflow.close()
            self.overflow = None

    def release(self) -> None:
        """Let the producer look again."""
        wake, self.on_room = self.on_room, None
        if wake is not None:
            wake()

    def grow(self) -> None:
        """Hold twice as much: the only way out of a wait in a circle."""
        self.limit *= 2
        self.release()

    def bury(self) -> None:
        """Drop what is left and what will come: the target has ended."""
        left = len(self.items)
        self.items.clear()
        if self.overflow is not None:
            left += len(self.overflow)
            self.overflow.close()
            self.overflow = None
        if not self.may_lapse:
            self.unread += left
        self.limit = UNLIMITED
        self.target_ended = True
        self.release()


def merge_lineages(lineages: list[Lineage]) -> Lineage:
    """Return what a result made of all these items is a part of."""
    merged: Lineage = ()
    for lineage in lineages:
        if not lineage or lineage == merged:
            continue
        merged = tuple({**dict(merged), **dict(lineage)}.items()) if merged else lineage
    return merged
