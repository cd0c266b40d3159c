"""Files that users and their jobs keep."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from storage.ids import new_id
from storage.querysets import AssetQuerySet

FOLDER_TYPE = "folder"
THUMBNAIL_SUFFIX = "_thumb.jpg"


class Asset(models.Model):
    """One stored file, or a folder. A file's bytes are in the file store under ``key``.

    ``key`` is ``<id>.<extension>``: the id is unguessable, so a key may be a link.
    A row is written after its file, and deleted before it. A folder has the content
    type ``folder``, size 0 and no file. Without a ``parent`` it lies in the owner's
    root folder. Temporary data has an end: ``expires_at``. ``is_value`` marks what a
    job put aside because it was too large for an event: it goes with its job.
    """

    id = models.CharField(
        primary_key=True, max_length=64, default=new_id, editable=False
    )
    # Without an index of its own: ``asset_in_folder`` begins with it.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="assets",
        db_index=False,
    )
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=127)
    size = models.BigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    key = models.CharField(max_length=80, unique=True)
    file_name = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="The file's name in the store; empty: the key.",
    )
    is_value = models.BooleanField(default=False, db_default=False, editable=False)
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
        indexes = [
            models.Index(
                fields=("file_name",),
                condition=~models.Q(file_name=""),
                name="asset_by_file_name",
            ),
            models.Index(
                fields=("owner", "parent", "-created_at", "-id"), name="asset_in_folder"
            ),
            # For the root folder: to PostgreSQL "parent IS NULL" is no value, so it
            # would sort all that is there. The condition is that of ``kept()``.
            models.Index(
                fields=("owner", "-created_at", "-id"),
                name="asset_kept",
                condition=models.Q(expires_at=None, is_value=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder."""
        return self.content_type == FOLDER_TYPE

    @property
    def is_temp(self) -> bool:
        """Whether this is temporary data."""
        return self.expires_at is not None

    @property
    def stored_as(self) -> str:
        """The name of the file in the store."""
        return self.file_name or self.key

    @property
    def thumbnail_key(self) -> str:
        """The key under which the thumbnail is read."""
        return f"{self.pk}{THUMBNAIL_SUFFIX}"

    @property
    def thumbnail_file(self) -> str:
        """The name of the thumbnail's file: other content, another file."""
        return f"{self.pk}_{self.sha256[:12]}{THUMBNAIL_SUFFIX}"
