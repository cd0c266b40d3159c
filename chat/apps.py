"""Application configuration."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    """The ``chat`` application."""

    name = "chat"
    default_auto_field = "django.db.models.BigAutoField"
