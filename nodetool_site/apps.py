"""Application configuration."""

from importlib import import_module

from django.apps import AppConfig

from jobs import dispatch


class SiteConfig(AppConfig):
    """The project's own commands and checks."""

    name = "nodetool_site"

    def ready(self) -> None:
        """Register the system checks; say how Celery is loaded, where it is used."""
        from nodetool_site import checks  # noqa: F401 - registers them

        dispatch.configure_celery_by(lambda: import_module("nodetool_site.celery"))
