"""Application configuration."""

from django.apps import AppConfig

from nodetool_site.lib import lifecycle


class ChatConfig(AppConfig):
    """The ``chat`` application."""

    name = "chat"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have the connections to providers closed when the server stops."""
        lifecycle.on_stop(_stop)


async def _stop() -> None:
    # Here, because most processes never call a provider.
    from workflows.providers.http_client import close_shared

    await close_shared()
