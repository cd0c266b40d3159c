"""Application configuration."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """The project's own commands and checks."""

    name = "nodetool_site"

    def ready(self) -> None:
        """Register the system checks."""
        from nodetool_site import checks  # noqa: F401 - registers them
