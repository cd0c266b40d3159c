"""Find the nodes that wait for each other in a circle."""

from __future__ import annotations

from collections.abc import Sequence

from workflows.engine.actors import Actor, Awaited
from workflows.engine.controlled import ControlledSets
from workflows.engine.plans import Flavour
from workflows.engine.streams import Link


def stuck_actors(actors: Sequence[Actor]) -> list[Actor]:
    """Return those that never get on, unless something is done about it.

    An actor gets on by itself, or when one it waits for does: the target of an edge it
    is blocked on, the sources of the inputs it misses, a node that it controls. Those
    that never get on hold each other: a producer waits for room on one input of a node
    that waits for another input, which the same producer feeds.
    """
    waiting = [actor for actor in actors if not actor.ended and not _moves(actor)]
    moving = {actor for actor in actors if not actor.ended} - set(waiting)
    moving |= {actor for actor in actors if actor.flavour == Flavour.INPUT}
    found = True
    while found:
        # Both directions: lack of items follows the edges, lack of room comes back.
        found = False
        for order in (waiting, list(reversed(waiting))):
            for actor in order:
                if actor not in moving and _gets_on(actor, moving):
                    moving.add(actor)
                    found = True
    return [actor for actor in waiting if actor not in moving]


def stalled_links(stuck: Sequence[Actor]) -> list[Link]:
    """Return the full edges that must grow so that the run can go on."""
    return [
        actor.blocked_on
        for actor in stuck
        if actor.blocked_on is not None and actor.blocked_on.target.blocked_on is None
    ]


def _moves(actor: Actor) -> bool:
    if any(wait.done() for wait in (*actor.awaited, *actor.readers)):
        return True
    if actor.blocked_on is not None or actor.readers or actor.awaited:
        return False
    return actor.busy or actor.queued


def _gets_on(actor: Actor, moving: set[Actor]) -> bool:
    blocked_on = actor.blocked_on
    if any(_comes(awaited, moving) for awaited in actor.awaited.values()):
        return True
    if blocked_on is not None:
        if not blocked_on.is_full or blocked_on.target in moving:
            return True
    elif not (actor.readers or actor.awaited):
        return _gets_set(actor, moving)
    return any(
        link.items or link.source in moving
        for links in actor.readers.values()
        for link in links
    )


def _comes(awaited: Awaited, moving: set[Actor]) -> bool:
    if awaited.inputs is None:
        return awaited.target in moving
    return all(link.source in moving for link in awaited.inputs())


def _gets_set(actor: Actor, moving: set[Actor]) -> bool:
    sets = actor.sets
    sources = (link.source in moving for link in sets.missing())
    if isinstance(sets, ControlledSets) and sets.needs_any:
        return any(sources)
    return all(sources)
