"""Application configuration."""

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class WorkflowsConfig(AppConfig):
    """The ``workflows`` application."""

    name = "workflows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Load every node class: those that ship, and those of ``NODE_PACKAGES``."""
        from workflows import checks, node_policy  # noqa: F401 - they need the models
        from workflows.nodes import registry

        registry.load_package("workflows.nodes")
        for package in settings.NODE_PACKAGES:
            try:
                registry.load_package(package)
            except ImportError as error:
                raise ImproperlyConfigured(
                    f"NODE_PACKAGES: cannot import {package}: {error}"
                ) from error
        node_policy.check_reaches(registry)
