"""An edge that is read again: into a streaming node that runs once for each event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.engine.errors import EngineError
from workflows.engine.streams import Item, Link

if TYPE_CHECKING:
    from workflows.engine.actors import Actor

MAX_KEPT = 10_000


class ReplayLink(Link):
    """Keeps what was taken, `MAX_KEPT` items at most, until it is rewound."""

    __slots__ = ("_kept",)

    def __init__(
        self, edge_id: str, source: Actor, target: Actor, name: str, *, is_stream: bool
    ) -> None:
        super().__init__(edge_id, source, target, name, is_stream=is_stream)
        self._kept: list[Item] | None = []

    def take(self) -> Item:
        item = super().take()
        if self._kept is not None:
            self._kept.append(item)
            if len(self._kept) > MAX_KEPT:
                self._kept = None
        return item

    def rewind(self) -> None:
        """Begin again with the first item.

        Raises:
            EngineError: too many have gone by.
        """
        if self._kept is None:
            raise EngineError(
                f"The input '{self.name}' had more than {MAX_KEPT:,} items: so long a "
                "stream can be read for one event only"
            )
        self.items.extendleft(reversed(self._kept))
        self._kept.clear()

    def bury(self) -> None:
        super().bury()
        self._kept = None
