"""Workflows as they are stored."""

from django.conf import settings
from django.db import models

from storage.ids import new_id
from workflows.querysets import WorkflowQuerySet, WorkflowVersionQuerySet


class Access(models.TextChoices):
    """Who may read a workflow; only its owner may write it."""

    PRIVATE = "private", "Private"
    PUBLIC = "public", "Public"


class Workflow(models.Model):
    """A named graph that belongs to one user.

    ``document`` is the complete answer of the API as text, derived from everything
    else when the row is saved, so that reads send bytes and build nothing. The columns
    beside it are those that a statement filters, sorts or joins by; fields that are
    only shown (description, tags, settings, ...) live in the document alone.
    Only ``workflows.services`` writes rows.
    """

    id = models.CharField(primary_key=True, max_length=64, default=new_id)
    # Without an index of its own: ``workflow_of_owner`` begins with it.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="workflows",
        db_index=False,
    )
    name = models.TextField()
    access = models.CharField(
        max_length=16, choices=Access.choices, default=Access.PRIVATE
    )
    run_mode = models.TextField(null=True, blank=True)  # noqa: DJ001 - null is on the wire
    tool_name = models.TextField(null=True, blank=True)  # noqa: DJ001 - as above
    graph = models.TextField(help_text='JSON {"nodes": [...], "edges": [...]}')
    document = models.TextField(help_text="The JSON object that the API answers")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = WorkflowQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at", "-id"]
        indexes = [
            models.Index(
                fields=["owner", "-updated_at", "-id"], name="workflow_of_owner"
            ),
            models.Index(
                fields=["-updated_at", "-id"],
                name="workflow_public",
                condition=models.Q(access="public"),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SaveType(models.TextChoices):
    """Why a version was kept."""

    MANUAL = "manual", "Manual"
    AUTOSAVE = "autosave", "Autosave"
    CHECKPOINT = "checkpoint", "Checkpoint"
    RESTORE = "restore", "Restore"


class WorkflowVersion(models.Model):
    """A graph as its workflow once had it. Numbered from 1 per workflow."""

    id = models.CharField(primary_key=True, max_length=64, default=new_id)
    workflow = models.ForeignKey(
        Workflow, on_delete=models.CASCADE, related_name="versions", db_index=False
    )
    version = models.IntegerField()
    name = models.TextField(blank=True, default="")
    description = models.TextField(blank=True, default="")
    graph = models.TextField(help_text='JSON {"nodes": [...], "edges": [...]}')
    save_type = models.CharField(
        max_length=16, choices=SaveType.choices, default=SaveType.MANUAL
    )
    autosave_metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()

    objects = WorkflowVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "version"], name="version_of_workflow"
            )
        ]

    def __str__(self) -> str:
        return f"{self.workflow_id} version {self.version}"
