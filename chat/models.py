"""Conversations as they are stored.

Only ``chat.services``, ``chat.turns`` and ``chat.settlement`` write rows.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models

from chat.querysets import MessageQuerySet, ThreadQuerySet
from storage.ids import new_id


class Thread(models.Model):
    """A conversation of one user."""

    id = models.CharField(primary_key=True, max_length=64, default=new_id)
    # Without an index of its own: ``thread_of_owner`` begins with it.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="threads",
        db_index=False,
    )
    title = models.TextField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(help_text="When it last changed or grew")

    objects = ThreadQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["owner", "created_at", "id"], name="thread_of_owner")
        ]

    def __str__(self) -> str:
        return self.title


class Message(models.Model):
    """What was said in a thread. ``position`` counts from 1 and is its order there.

    ``document`` is the complete answer of the API as text; ``size`` is its length in
    bytes, so that a page can be bounded without reading it.
    """

    id = models.CharField(primary_key=True, max_length=64, default=new_id)
    thread = models.ForeignKey(
        Thread, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    position = models.IntegerField()
    role = models.CharField(max_length=16)
    document = models.TextField(help_text="The JSON object that the API answers")
    size = models.IntegerField()
    created_at = models.DateTimeField()

    objects = MessageQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["thread", "position"], name="message_position"
            )
        ]
        # Everybody's, for the admin.
        indexes = [
            models.Index(fields=["-created_at", "-position"], name="message_newest")
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.position}"


class OpenTurn(models.Model):
    """The turn of a thread that is under way: the job that answers a message.

    There is one for a thread at most. The row is there before the job and goes when
    the job has ended and all that it said is stored.
    """

    thread = models.OneToOneField(Thread, on_delete=models.CASCADE, primary_key=True)
    # No foreign key: the row is there before the job.
    job_id = models.CharField(max_length=64, unique=True)
    message_id = models.CharField(max_length=64)
    is_workflow = models.BooleanField(
        default=False, help_text="A workflow answers, not a model alone"
    )
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.job_id
