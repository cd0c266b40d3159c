"""Files that users and their jobs keep."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from storage.ids import new_id
from storage.querysets import AssetQuerySet


class Asset(models.Model):
    """One stored file, or a folder. A file's bytes are in the file store under ``key``.

    ``key`` is ``<id>.<extension>``: the id is unguessable, so a key may be a link.
    A row is written after its file, and deleted before it. A folder has the content
    type ``folder``, size 0 and no file. Without a ``parent`` it lies in the owner's
    root folder. Temporary data has an end: ``expires_at``.
    """

    id = models.CharField(
        primary_key=True, max_length=64, default=new_id, editable=False
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assets"
    )
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=127)
    size = models.BigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    key = models.CharField(max_length=80, unique=True)
    parent = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="children"
    )
    workflow_id = models.CharField(max_length=64, null=True, blank=True, db_index=True)  # noqa: DJ001 - null: no workflow
    node_id = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - null: no node
    job_id = models.CharField(max_length=64, null=True, blank=True, db_index=True)  # noqa: DJ001 - null: no job
    metadata = models.JSONField(null=True, blank=True)
    duration = models.FloatField(null=True, blank=True, help_text="Seconds.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())
    expires_at = models.DateTimeField(null=True, blank=True, db_index=True)

    objects = AssetQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.name
