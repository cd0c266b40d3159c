"""Application configuration."""

from importlib import import_module

from django.apps import AppConfig

from jobs import dispatch
from nodetool_site import checks, readiness


class SiteConfig(AppConfig):
    """The project's own commands and checks."""

    name = "nodetool_site"

    def ready(self) -> None:
        """Register the checks; say how Celery is loaded, where it is used."""
        checks.register()
        readiness.register()
        dispatch.configure_celery_by(lambda: import_module("nodetool_site.celery"))
