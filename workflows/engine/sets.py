"""Sets of inputs: which items a node gets together.

Each class answers two questions. `poll`: is a set there, may one still come, or never
again? `take`: the set. What a class rules out by its form is not asked again per item:
most nodes have one input, and cost one queue look-up.
"""

from __future__ import annotations

import enum
from typing import Any, Protocol

from workflows.engine.streams import UNLIMITED, Item, Lineage, Link, merge_lineages


class Poll(enum.IntEnum):
    """The state of a node's inputs."""

    READY = 0
    WAITING = 1
    EXHAUSTED = 2


READY, WAITING, EXHAUSTED = Poll.READY, Poll.WAITING, Poll.EXHAUSTED
Taken = tuple[dict[str, Any], Lineage]


class InputSets(Protocol):
    """The inputs of a node, seen as a sequence of sets."""

    def poll(self) -> Poll: ...

    def take(self) -> Taken:
        """Return the values of the set that `poll` announced, and their lineage."""

    def missing(self) -> list[Link]:
        """Return the inputs without which the next set cannot be made."""


class OneSet:
    """A node without connected inputs runs once."""

    def __init__(self) -> None:
        self._taken = False

    def poll(self) -> Poll:
        return EXHAUSTED if self._taken else READY

    def take(self) -> Taken:
        self._taken = True
        return {}, ()

    def missing(self) -> list[Link]:
        return []


class SingleSets:
    """One connected input: every item is a set."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def poll(self) -> Poll:
        if self._link.items:
            return READY
        return WAITING if self._link.is_open else EXHAUSTED

    def take(self) -> Taken:
        _, value, lineage = self._link.take()
        return {self._link.name: value}, lineage

    def missing(self) -> list[Link]:
        return [self._link]


class GatheredSet:
    """Several edges lead into a list: one set, when everything has ended.

    The list follows the order of the edges; lists among the items are flattened one
    level. Other inputs give their last value; if one has none, there is no set.
    """

    def __init__(self, gathered: dict[str, list[Link]], others: list[Link]) -> None:
        self._gathered = gathered
        self._others = others
        self._last: dict[str, Any] = {}
        self._taken = False
        for links in gathered.values():
            for link in links:
                link.limit = UNLIMITED

    def poll(self) -> Poll:
        for link in self._others:
            while link.items:
                self._last[link.name] = link.take()[1]
        if self._taken:
            return EXHAUSTED
        if self.missing():
            return WAITING
        return READY if len(self._last) == len(self._others) else EXHAUSTED

    def take(self) -> Taken:
        self._taken = True
        values = dict(self._last)
        for name, links in self._gathered.items():
            values[name] = gathered_list(links)
        return values, ()

    def missing(self) -> list[Link]:
        gathered = [link for group in self._gathered.values() for link in group]
        return [link for link in gathered + self._others if link.is_open]


def gathered_list(links: list[Link]) -> list[Any]:
    """Take all items of some edges, in their order; lists among them one by one."""
    whole: list[Any] = []
    for link in links:
        while link.items:
            value = link.take()[1]
            if isinstance(value, list):
                whole.extend(value)
            else:
                whole.append(value)
    return whole


class JoinedSets:
    """Several inputs: items that belong together, whichever way they come.

    * Items with a root in common join by its index; one whose index is behind has lost
      its partner and is dropped. (Indexes of a root only rise within an input.)
    * An item with fewer roots (an outer loop, a constant) is held for all that belong
      to it.
    * Several items of one iteration on one input are a set each.
    * Unrelated streams pair by position with ``zips``; else each arrival makes a set
      with the latest of the others, and nothing is used before every input has an item.
    * With a ``leading`` input each of its items makes one set: unrelated streams move
      on with it, one item each; the last item of one that has ended is held.
    """

    def __init__(self, links: list[Link], *, zips: bool, leading: str = "") -> None:
        self._links = links
        self._zips = zips
        names = [link.name for link in links]
        self._lead = names.index(leading) if leading in names else None
        # Nothing but a constant leads: it makes one set.
        self._is_single = self._lead is not None and not links[self._lead].is_stream
        self._current: list[Item | None] = [None] * len(links)
        self._is_ready = False
        self._has_run = False
        self._count = 0
        for link in links:
            link.may_lapse = not self._is_single

    def poll(self) -> Poll:
        while not self._is_ready:
            status = self._step() if self._has_run else self._fill()
            if status is not READY:
                return status
            self._is_ready = not self._drop_behind()
        return READY

    def take(self) -> Taken:
        self._is_ready = False
        self._has_run = True
        current = [item for item in self._current if item is not None]
        values = {
            link.name: item[1] for link, item in zip(self._links, current, strict=True)
        }
        return values, merge_lineages([item[2] for item in current])

    def missing(self) -> list[Link]:
        if not self._has_run:
            empty = zip(self._links, self._current, strict=True)
            return [h for h, item in empty if item is None and not h.items]
        return [
            self._links[i]
            for group in self._leading_groups()
            for i in group
            if not self._links[i].items and self._links[i].is_open
        ]

    def _advance(self, position: int) -> None:
        link = self._links[position]
        order, value, lineage = link.take()
        if not lineage and link.is_stream:
            # A stream that lost its lineage is a root of its own.
            self._count += 1
            lineage = (((link.target.index, link.id), self._count),)
        self._current[position] = (order, value, lineage)

    def _fill(self) -> Poll:
        for position, link in enumerate(self._links):
            if self._current[position] is None:
                if not link.items:
                    return WAITING if link.is_open else EXHAUSTED
                self._advance(position)
        return READY

    def _drop_behind(self) -> bool:
        """Drop the items whose partners are past them; tell whether there were any."""
        newest: dict[Any, int] = {}
        lineages = [item[2] for item in self._current if item is not None]
        if all(lineage == lineages[0] for lineage in lineages):
            return False
        for lineage in lineages:
            for root, index in lineage:
                if index > newest.get(root, -1):
                    newest[root] = index
        dropped = False
        for position, lineage in enumerate(lineages):
            if any(index < newest[root] for root, index in lineage):
                self._current[position] = None
                dropped = True
        if dropped:
            self._has_run = False
        return dropped

    def _leading_groups(self) -> list[list[int]]:
        """Return the inputs that move on, those with the same roots together."""
        groups: dict[frozenset[Any], list[int]] = {}
        for position, item in enumerate(self._current):
            roots = frozenset(root for root, _ in item[2]) if item else frozenset()
            groups.setdefault(roots, []).append(position)
        return [
            positions
            for roots, positions in groups.items()
            if not any(roots < others for others in groups)
        ]

    def _step(self) -> Poll:
        if self._is_single:
            return EXHAUSTED
        groups = self._leading_groups()
        if self._zips or self._lead is not None:
            self._expect_partners(groups)
        led = next((group for group in groups if self._lead in group), None)
        if led is not None and len(groups) > 1:
            return self._step_led(groups, led)
        repeated = [i for group in groups for i in group if self._repeats(i)]
        if repeated:
            for position in repeated:
                self._advance(position)
            return READY
        ready = [g for g in groups if all(self._links[i].items for i in g)]
        ended = any(self._links[i].is_ended for g in groups for i in g)
        if self._zips or len(groups) == 1:
            return self._step_all(groups, ready, ended=ended)
        return self._step_latest(groups, ready)

    def _expect_partners(self, groups: list[list[int]]) -> None:
        """Count what is left over where streams pair that have no root in common."""
        for group in groups if len(groups) > 1 else ():
            self._links[group[0]].may_lapse = len(group) > 1

    def _repeats(self, position: int) -> bool:
        items, item = self._links[position].items, self._current[position]
        return bool(items and item and items[0][2] and items[0][2] == item[2])

    def _step_all(
        self, groups: list[list[int]], ready: list[list[int]], *, ended: bool
    ) -> Poll:
        if ended:
            return EXHAUSTED
        if len(ready) < len(groups):
            return WAITING
        for position in (i for group in groups for i in group):
            self._advance(position)
        return READY

    def _step_led(self, groups: list[list[int]], led: list[int]) -> Poll:
        """Move on the leading input, and with it all but what is of a later item."""
        going = [g for g in groups if not any(self._links[i].is_ended for i in g)]
        if led not in going:
            return EXHAUSTED
        if not all(self._links[i].items for group in going for i in group):
            return WAITING
        leading = self._upcoming(led)
        for group in going:
            upcoming = self._upcoming(group)
            if all(upcoming.get(root, -1) <= leading[root] for root in leading):
                for position in group:
                    self._advance(position)
        return READY

    def _upcoming(self, group: list[int]) -> dict[Any, int]:
        """Return the index of each root that the next items of these inputs have."""
        return dict(
            pair for position in group for pair in self._links[position].items[0][2]
        )

    def _step_latest(self, groups: list[list[int]], ready: list[list[int]]) -> Poll:
        """Move on the input whose next item came first and belongs to the others."""
        fitting = [group for group in ready if self._belongs(group, groups)]
        if fitting:
            first = min(fitting, key=lambda g: self._links[g[0]].items[0][0])
            for position in first:
                self._advance(position)
            return READY
        waiting = [group for group in groups if group not in ready]
        if not waiting:  # every stream has left the common iteration
            return self._step_all(groups, ready, ended=False)
        ended = [g for g in waiting if any(self._links[i].is_ended for i in g)]
        if len(ended) == len(waiting):
            return EXHAUSTED
        return WAITING

    def _belongs(self, group: list[int], groups: list[list[int]]) -> bool:
        upcoming = [dict(self._links[i].items[0][2]) for i in group]
        for other in groups:
            if other is group:
                continue
            for position in other:
                item = self._current[position]
                for root, index in item[2] if item else ():
                    if any(each.get(root, index) != index for each in upcoming):
                        return False
        return True
