"""All writes of threads and messages but a turn's: see ``turns`` and ``settlement``.

A thread that is not the caller's does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from chat.documents import MessageFields, NewMessage, message_document
from chat.errors import InvalidThreadId, ThreadNotFound
from chat.models import Message, OpenTurn, Thread
from storage.ids import new_id
from workflows.engine.sanitize import sanitize

NEW_TITLE = "New Thread"
MAX_TITLE = 1_000
MAX_SHORT_TITLE = 60
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def is_usable_id(text: str) -> bool:
    """Tell whether a thread or message may have this id; no stored one has another."""
    return _ID.fullmatch(text) is not None


def create_thread(owner_id: str, title: str | None = None) -> Thread:
    """Store a new thread."""
    return _insert_thread(new_id(), owner_id, title)


def get_or_create_thread(
    owner_id: str, thread_id: str, title: str | None = None
) -> tuple[Thread, bool]:
    """Return the owner's thread, and whether it was made: nobody had the id.

    Raises:
        InvalidThreadId: no thread may have this id.
        ThreadNotFound: the id belongs to somebody else.
    """
    if not is_usable_id(thread_id):
        raise InvalidThreadId
    found = Thread.objects.filter(pk=thread_id).first()
    if found is None:
        try:
            with transaction.atomic():
                return _insert_thread(thread_id, owner_id, title), True
        except IntegrityError:  # somebody took the unused id meanwhile
            found = Thread.objects.get(pk=thread_id)
    if found.owner_id != owner_id:
        raise ThreadNotFound
    return found, False


def rename_thread(owner_id: str, thread_id: str, title: str) -> Thread:
    """Give the owner's thread another title.

    Raises:
        ThreadNotFound: no such thread of this owner.
    """
    with transaction.atomic():
        thread = lock_thread(thread_id, owner_id=owner_id)
        thread.title = _title(title)
        thread.updated_at = timezone.now()
        thread.save(update_fields=["title", "updated_at"])
    return thread


def delete_thread(owner_id: str, thread_id: str) -> str | None:
    """Delete the owner's thread with its messages; the job of the turn under way.

    Raises:
        ThreadNotFound: no such thread of this owner.
    """
    with transaction.atomic():
        thread = lock_thread(thread_id, owner_id=owner_id)
        turn = OpenTurn.objects.filter(thread=thread).first()
        thread.delete()
    return None if turn is None else turn.job_id


def remove_if_empty(thread_id: str) -> None:
    """Delete a thread in which nothing has been said."""
    with suppress(ThreadNotFound), transaction.atomic():
        thread = lock_thread(thread_id)
        if not thread.messages.exists():
            thread.delete()


def post_message(
    owner_id: str, fields: MessageFields, thread_id: str | None = None
) -> Message:
    """Store a message at the end of a thread; None makes one.

    Raises:
        ThreadNotFound: no such thread of this owner.
    """
    with transaction.atomic():
        thread = (
            create_thread(owner_id)
            if thread_id is None
            else lock_thread(thread_id, owner_id=owner_id)
        )
        return add_messages(thread, [new_message(fields)])[0]


def new_message(fields: MessageFields, message_id: str | None = None) -> NewMessage:
    """Return a message that is said now."""
    return NewMessage(message_id or new_id(), fields, timezone.now())


def lock_thread(thread_id: str, *, owner_id: str | None = None) -> Thread:
    """Return a thread, kept from other writers until the transaction ends.

    Raises:
        ThreadNotFound: there is none, or it is not ``owner_id``'s.
    """
    rows = Thread.objects.select_for_update(no_key=True).filter(pk=thread_id)
    found = (rows if owner_id is None else rows.filter(owner_id=owner_id)).first()
    if found is None:
        raise ThreadNotFound
    return found


def add_messages(locked: Thread, messages: Sequence[NewMessage]) -> list[Message]:
    """Store messages at the end of a thread that ``lock_thread`` returned.

    Those whose id is there already are left as they are. Returns the new ones.
    """
    ids = [message.id for message in messages]
    taken = set(Message.objects.filter(pk__in=ids).values_list("pk", flat=True))
    last = Message.objects.filter(thread=locked).aggregate(last=Max("position"))["last"]
    rows = [
        _row(locked, message, position)
        for position, message in enumerate(
            (message for message in messages if message.id not in taken),
            start=(last or 0) + 1,
        )
    ]
    if rows:
        Message.objects.bulk_create(rows)
        locked.updated_at = max(locked.updated_at, rows[-1].created_at)
        locked.save(update_fields=["updated_at"])
    return rows


def _row(thread: Thread, message: NewMessage, position: int) -> Message:
    document = message_document(message, thread_id=thread.pk)
    return Message(
        id=message.id,
        thread=thread,
        position=position,
        role=message.fields.role,
        document=document.decode(),
        size=len(document),
        created_at=message.created_at,
    )


def _insert_thread(thread_id: str, owner_id: str, title: str | None) -> Thread:
    now = timezone.now()
    return Thread.objects.create(
        id=thread_id,
        owner_id=owner_id,
        title=_title(title or NEW_TITLE),
        created_at=now,
        updated_at=now,
    )


def name_after(locked: Thread, text: str) -> None:
    """Give a thread that nobody has named the beginning of a text as its title."""
    if locked.title != NEW_TITLE:
        return
    locked.title = _title(short_title(text) or NEW_TITLE)
    locked.save(update_fields=["title"])


def short_title(text: str) -> str:
    """Return a text as one line of at most 60 characters, without quotes around it."""
    words = " ".join(text.split()).strip("\"'*#` ")
    if len(words) <= MAX_SHORT_TITLE:
        return words
    return words[: MAX_SHORT_TITLE - 1].rstrip() + "…"


def _title(text: str) -> str:
    cleaned: str = sanitize(text)
    return cleaned[:MAX_TITLE]
