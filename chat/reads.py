"""Reads of conversations, every one scoped to the owner."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import Q

from chat.errors import MessageNotFound, ThreadNotFound
from chat.models import Message, OpenTurn, Thread
from nodetool_site.lib.pagination import TimePosition, fitting

HISTORY = 100
INSTRUCTIONS = 10
SYSTEM = "system"


class ThreadPage(NamedTuple):
    """Some threads; ``next_position`` None: nothing is left."""

    threads: list[Thread]
    next_position: TimePosition | None


class MessagePage(NamedTuple):
    """Some messages as JSON texts; ``next_position`` None: nothing is left."""

    documents: list[str]
    next_position: int | None


def read_thread(owner_id: str, thread_id: str) -> Thread:
    """Return the owner's thread.

    Raises:
        ThreadNotFound: no such thread of this owner.
    """
    found = Thread.objects.filter(pk=thread_id, owner_id=owner_id).first()
    if found is None:
        raise ThreadNotFound
    return found


def list_threads(
    owner_id: str,
    *,
    limit: int,
    after: TimePosition | None = None,
    newest_first: bool = False,
) -> ThreadPage:
    """Return the owner's threads in the order of their creation, or against it."""
    rows = Thread.objects.filter(owner_id=owner_id)
    if after is not None:
        side = "lt" if newest_first else "gt"
        rows = rows.filter(
            Q(**{f"created_at__{side}": after.moment})
            | Q(created_at=after.moment, **{f"pk__{side}": after.row_id})
        )
    sign = "-" if newest_first else ""
    # One row more than asked for tells whether a next page exists.
    found = list(rows.order_by(f"{sign}created_at", f"{sign}pk")[: limit + 1])
    if len(found) <= limit:
        return ThreadPage(found, None)
    last = found[limit - 1]
    return ThreadPage(found[:limit], TimePosition(last.created_at, last.pk))


def open_turn(owner_id: str, thread_id: str) -> OpenTurn | None:
    """Return the turn of the owner's thread that is under way, or not yet settled."""
    return OpenTurn.objects.filter(pk=thread_id, thread__owner_id=owner_id).first()


def read_message(owner_id: str, message_id: str) -> str:
    """Return a message of the owner's as JSON text.

    Raises:
        MessageNotFound: no such message in a thread of this owner.
    """
    rows = Message.objects.filter(pk=message_id, thread__owner_id=owner_id)
    document = rows.values_list("document", flat=True).first()
    if document is None:
        raise MessageNotFound
    return document


def list_messages(
    owner_id: str,
    thread_id: str,
    *,
    limit: int,
    after: int | None = None,
    newest_first: bool = False,
) -> MessagePage:
    """Return messages of the owner's thread in their order, or against it.

    Raises:
        ThreadNotFound: no such thread of this owner.
    """
    read_thread(owner_id, thread_id)
    rows = Message.objects.filter(thread_id=thread_id)
    if after is not None:
        side = "lt" if newest_first else "gt"
        rows = rows.filter(**{f"position__{side}": after})
    rows = rows.order_by("-position" if newest_first else "position")
    sizes = list(rows.values_list("position", "size")[: limit + 1])
    positions = fitting(sizes, limit)
    if not positions:
        return MessagePage([], None)
    chosen = rows.filter(position__range=(min(positions), max(positions)))
    documents = list(chosen.values_list("document", flat=True))
    is_last = len(positions) == len(sizes)
    return MessagePage(documents, None if is_last else positions[-1])


def read_history(owner_id: str, thread_id: str, until: str | None = None) -> list[str]:
    """Return the newest 100 messages as JSON texts, the oldest of them first.

    As many as fit into 16 MiB; the newest 10 of the system are among them, however old
    they are. ``until``: the id of the last one wanted. Empty if the owner has no such
    thread, or no such message in it.
    """
    rows = Message.objects.filter(thread_id=thread_id, thread__owner_id=owner_id)
    if until is not None:
        last = rows.filter(pk=until).values_list("position", flat=True).first()
        rows = rows.filter(position__lte=last or 0)
    newest = rows.order_by("-position").values_list("position", "size")
    said = list(newest.exclude(role=SYSTEM)[:HISTORY])
    instructions = list(newest.filter(role=SYSTEM)[:INSTRUCTIONS])
    told = fitting([*said[:1], *instructions, *said[1:]], HISTORY)
    found = rows.filter(position__in=told).order_by("position")
    return list(found.values_list("document", flat=True))
