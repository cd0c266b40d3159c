"""Application configuration."""

from django.apps import AppConfig

from nodetool_site.lib import lifecycle


class ChatConfig(AppConfig):
    """The ``chat`` application."""

    name = "chat"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have turns settled when they end, and providers' connections closed."""
        # Models can only be imported from here on.
        from chat.settlement import settle
        from chat.turns import JOB_TYPE
        from jobs import endings

        lifecycle.on_stop(_stop)
        endings.on_end(JOB_TYPE, settle)


async def _stop() -> None:
    # Here, because most processes never call a provider.
    from workflows.providers.http_client import close_shared

    await close_shared()
