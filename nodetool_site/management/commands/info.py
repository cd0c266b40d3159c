"""``nodetool info``: what is installed, and how it is set up."""

import platform
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import connection

from nodetool_site import __version__
from nodetool_site.lib.registered import SECRETS
from storage.management.nouns import (
    NounCommand,
    Verb,
    add_json_option,
    add_user_option,
)
from storage.models import Secret


class InfoVerb(Verb):
    """Tells of each key only whether there is one."""

    def add_options(self, parser: CommandParser) -> None:
        add_user_option(parser)
        add_json_option(parser)

    def run(self, **options: Any) -> None:
        stored = Secret.objects.filter(owner_id=options["user_id"])
        keys = {*stored.values_list("key", flat=True)}
        keys.update(name for name, value in settings.PROVIDER_KEYS.items() if value)
        facts = {
            "version": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "database": connection.vendor,
            "broker": "none" if not settings.IS_SCALE_OUT else _scheme(),
            "mode": settings.SERVER_MODE,
            "auth_provider": settings.AUTH_PROVIDER,
        }
        known = {secret.name: secret.name in keys for secret in SECRETS}
        if options["json"]:
            self.say_json({**facts, "provider_keys": known})
            return
        rows = [*facts.items(), *((n, "set" if on else "-") for n, on in known.items())]
        self.say_table("NodeTool server", ("Name", "Value"), rows)


class Command(NounCommand):
    """A noun that is its own verb."""

    help = "Show versions, the database, and which providers have a key."
    noun = "info"

    def add_arguments(self, parser: CommandParser) -> None:
        self._made = {"info": InfoVerb(self, parser)}
        parser.set_defaults(verb="info")


def _scheme() -> str:
    scheme: str = settings.CELERY_BROKER_URL.partition(":")[0]
    return scheme
