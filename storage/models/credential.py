"""What proves who somebody is, and what they keep for others to prove it with."""

from django.conf import settings
from django.db import models

from storage.querysets import ApiTokenQuerySet, SecretQuerySet


class ApiToken(models.Model):
    """A bearer token of one user. Only its SHA-256 is kept: nobody can read it back.

    ``prefix`` is the readable start of the token, so that its owner can tell which
    one a row is. ``scopes`` names what it opens (``run``, ``read``, ``write``,
    ``admin``); an empty list opens all that its owner may do.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=100)
    scopes = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
    )
    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(max_length=12, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Secret(models.Model):
    """A value that a user's runs may use and nobody can read back.

    ``ciphertext`` opens only with a key of the ring, and only in the row of this owner
    and this name; ``key_id`` tells which key of the ring wrote it. Only
    ``storage.vault`` reads or writes the two.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="secrets"
    )
    key = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="")
    ciphertext = models.BinaryField()
    key_id = models.CharField(max_length=16, editable=False, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = SecretQuerySet.as_manager()

    class Meta:
        ordering = ("key",)
        constraints = [
            models.UniqueConstraint(fields=["owner", "key"], name="secret_of_owner")
        ]

    def __str__(self) -> str:
        return self.key


class MasterKeyCheck(models.Model):
    """One known text under each master key in use, to tell a wrong key at start."""

    key_id = models.CharField(primary_key=True, max_length=16)
    ciphertext = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.key_id
