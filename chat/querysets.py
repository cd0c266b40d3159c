"""Which conversations a user may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models

if TYPE_CHECKING:
    from chat.models import Message, Thread  # noqa: F401 - read by the type checker
    from storage.querysets import HasId


class ThreadQuerySet(models.QuerySet["Thread"]):
    """Reads of threads."""

    def visible_to(self, user: HasId) -> Self:
        """Keep the threads of ``user``."""
        return self.filter(owner_id=user.pk)


class MessageQuerySet(models.QuerySet["Message"]):
    """Reads of messages: they belong to whom their thread belongs to."""

    def visible_to(self, user: HasId) -> Self:
        """Keep the messages of the threads of ``user``."""
        return self.filter(thread__owner_id=user.pk)
