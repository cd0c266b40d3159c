"""Application configuration."""

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_save

from nodetool_site.lib import lifecycle


class StorageConfig(AppConfig):
    """The ``storage`` application."""

    name = "storage"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let a changed token or user count at once; end with the server."""
        # Models cannot be imported before the registry is ready.
        from storage.api_tokens import forget_verified
        from storage.models import ApiToken, User

        for model in (ApiToken, User):
            post_save.connect(forget_verified, sender=model)
            post_delete.connect(forget_verified, sender=model)
        lifecycle.on_stop(_stop)


async def _stop() -> None:
    # Only a server pays for the import; most commands never decode a picture.
    from storage import images

    images.close()
