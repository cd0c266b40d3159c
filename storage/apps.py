"""Application configuration."""

from django.apps import AppConfig


class StorageConfig(AppConfig):
    """The ``storage`` application."""

    name = "storage"
    default_auto_field = "django.db.models.BigAutoField"
