"""Settings that were stored over the API; the environment wins over them."""

from django.db import models


class StoredSetting(models.Model):
    """One process-wide setting."""

    name = models.CharField(primary_key=True, max_length=100)
    value = models.TextField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
