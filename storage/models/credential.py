"""What proves who somebody is."""

from django.conf import settings
from django.db import models

from storage.querysets import ApiTokenQuerySet


class ApiToken(models.Model):
    """A bearer token of one user. Only its SHA-256 is kept: nobody can read it back.

    ``prefix`` is the readable start of the token, so that its owner can tell which
    one a row is.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=100)
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
