"""Application configuration."""

from django.apps import AppConfig


class WorkflowsConfig(AppConfig):
    """The ``workflows`` application."""

    name = "workflows"
    default_auto_field = "django.db.models.BigAutoField"
