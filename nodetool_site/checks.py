"""Whether the settings make sense together: for ``check`` and the server's start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from nodetool_site.lib.hosts import OPEN_PROVIDERS

Problem = tuple[str, str, str]


def settings_problems() -> Iterable[Problem]:
    """Yield id, problem and cure of everything that keeps a process from starting."""
    if settings.IS_SCALE_OUT and settings.IS_SQLITE:
        yield (
            "nodetool.E001",
            "A broker is configured, but the database is SQLite, which several "
            "processes cannot share",
            "set DATABASE_URL to a PostgreSQL database, or unset REDIS_URL and "
            "CELERY_BROKER_URL",
        )
    if settings.IS_SCALE_OUT and not settings.CHANNEL_LAYER_URL:
        yield (
            "nodetool.E002",
            "The broker is not Redis, and there is none for announcements",
            "set REDIS_URL (or CHANNEL_LAYER_URL) beside CELERY_BROKER_URL",
        )
    if settings.CHANNEL_LAYER_URL and not settings.IS_SCALE_OUT:
        yield (
            "nodetool.E003",
            "CHANNEL_LAYER_URL is set, but there is no broker",
            "set REDIS_URL or CELERY_BROKER_URL, or unset CHANNEL_LAYER_URL",
        )
    if settings.IS_PRODUCTION:
        yield from _production_problems()


def _production_problems() -> Iterable[Problem]:
    if settings.DEBUG:
        yield (
            "nodetool.E004",
            "DEBUG is on with ENV=production: error answers would show source code",
            "unset DEBUG",
        )
    if not settings.SECRETS_MASTER_KEY:
        yield (
            "nodetool.E005",
            "ENV=production needs SECRETS_MASTER_KEY",
            "set it to a Fernet key, and keep a copy",
        )
    if settings.AUTH_PROVIDER in OPEN_PROVIDERS:
        yield (
            "nodetool.E006",
            f"ENV=production with AUTH_PROVIDER={settings.AUTH_PROVIDER} would let "
            "anybody in",
            "set AUTH_PROVIDER to static or multi_user",
        )


def settings_warnings() -> Iterable[Problem]:
    """Yield what is allowed and hardly meant."""
    if settings.IS_PRODUCTION and settings.IS_SQLITE:
        yield (
            "nodetool.W001",
            "SQLite in production: one process, one writer",
            "set DATABASE_URL to a PostgreSQL database",
        )


def register() -> None:
    """Make the problems known to ``manage.py check``."""
    checks.register(check_settings)


def check_settings(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Report the problems the way Django's ``check`` does."""
    errors = [
        checks.Error(msg, hint=hint, id=id_) for id_, msg, hint in settings_problems()
    ]
    warnings = [
        checks.Warning(msg, hint=hint, id=id_) for id_, msg, hint in settings_warnings()
    ]
    return [*errors, *warnings]
