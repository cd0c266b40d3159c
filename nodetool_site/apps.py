"""Application configuration."""

from importlib import import_module

from django.apps import AppConfig

from nodetool_site.lib.optional_imports import without

# The first application that is loaded, so nobody has imported this before. The driver
# of PostgreSQL comes with the first of these, whatever the database is.
with without("django.contrib.postgres", "pygments", "requests", "yaml"):
    import rest_framework.compat  # noqa: F401 - what it finds now it keeps

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
