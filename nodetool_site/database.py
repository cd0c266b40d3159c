"""Bringing the database to the code's state before anything uses it."""

from __future__ import annotations

from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from nodetool_site.first_run import make_folder, make_folders, prepare
from nodetool_site.lib.errors import Unavailable

LOCK_ID = 0x6E6F6465  # any number that nobody else locks


class PendingMigrations(Unavailable):
    """The code is newer than the database."""

    default_message = "The database is older than the server; run `nodetool db migrate`"


def prepare_database(*, may_migrate: bool) -> list[str]:
    """Bring an empty database, or with leave any, to the code's state, with its user.

    Returns the lines to show: what the first run made.

    Raises:
        PendingMigrations: it is not empty, behind, and may not be migrated.
    """
    _make_folder()
    make_folders()
    applied = _applied()
    if not _shipped() <= applied:
        if applied and not may_migrate:
            raise PendingMigrations
        _migrate()
    return prepare(is_desktop=settings.SERVER_MODE == "desktop")


def prepare_if_empty() -> list[str]:
    """Do the same for a new database; leave any other as it is."""
    _make_folder()
    return [] if _applied() else prepare_database(may_migrate=True)


def check_migrated() -> None:
    """See that the database is as the code wants it; for who may not migrate it.

    Raises:
        PendingMigrations: it is behind, or empty.
    """
    if not _shipped() <= _applied():
        raise PendingMigrations


def _migrate() -> None:
    """Apply all migrations; of several processes that try, one does."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK_ID])
            try:
                call_command("migrate", verbosity=0, interactive=False)
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK_ID])
    else:
        call_command("migrate", verbosity=0, interactive=False)


def _make_folder() -> None:
    if settings.IS_SQLITE:
        make_folder(Path(settings.DATABASES["default"]["NAME"]).parent)


def _applied() -> set[tuple[str, str]]:
    return set(MigrationRecorder(connection).applied_migrations())


def _shipped() -> set[tuple[str, str]]:
    """Return the migrations in the apps' folders, without importing them.

    Django's own answer imports them all, a quarter of a server's start.
    """
    return {
        (app.label, file.stem)
        for app in apps.get_app_configs()
        for file in (Path(app.path) / "migrations").glob("[0-9]*.py")
    }
