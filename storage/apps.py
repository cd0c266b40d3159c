"""Application configuration."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_delete, post_save

from nodetool_site.lib import lifecycle


class StorageConfig(AppConfig):
    """The ``storage`` application."""

    name = "storage"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let a changed token or user count at once; end with the server.

        And let a password, where it is given, take the place of a token.
        """
        # Models cannot be imported before the registry is ready.
        from storage.api_tokens import forget_verified
        from storage.leases import look_again
        from storage.models import ApiToken, User
        from storage.page_sessions import forget_token

        user_logged_in.connect(forget_token)
        for model in (ApiToken, User):
            for signal in (post_save, post_delete):
                signal.connect(forget_verified, sender=model)
                signal.connect(look_again, sender=model)
        lifecycle.on_stop(_stop)


async def _stop() -> None:
    # Only a server pays for the imports; most commands never decode a picture.
    from storage import images, supabase

    images.close()
    await supabase.close()
