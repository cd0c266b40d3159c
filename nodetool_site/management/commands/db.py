"""``nodetool db migrate``: bring the database to the code's state."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from nodetool_site.database import prepare_database


class Command(BaseCommand):
    """One verb so far."""

    help = "Apply the migrations."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        verbs.add_parser("migrate", help="apply the migrations")

    def handle(self, *args: Any, **options: Any) -> None:
        for line in prepare_database(may_migrate=True):
            self.stderr.write(line)
        self.stdout.write("The database is up to date.")
