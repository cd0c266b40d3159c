"""Which workflows a user may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models

if TYPE_CHECKING:
    from storage.querysets import HasId
    from workflows.models import (  # noqa: F401 - read by the type checker
        Workflow,
        WorkflowVersion,
    )


class WorkflowQuerySet(models.QuerySet["Workflow"]):
    """Reads of workflows; each says which rows stay."""

    def owned_by(self, user: HasId) -> Self:
        """Keep what ``user`` may read and write."""
        return self.filter(owner_id=user.pk)

    def public(self) -> Self:
        """Keep what anybody may read."""
        return self.filter(access="public")

    def visible_to(self, user: HasId) -> Self:
        """Keep what ``user`` may read: own workflows and public ones."""
        return self.filter(models.Q(owner_id=user.pk) | models.Q(access="public"))


class WorkflowVersionQuerySet(models.QuerySet["WorkflowVersion"]):
    """Reads of versions: they belong to whom their workflow belongs to."""

    def owned_by(self, user: HasId) -> Self:
        """Keep the versions of the workflows of ``user``."""
        return self.filter(workflow__owner_id=user.pk)
