"""``nodetool db migrate``: bring the database to the code's state."""

from typing import Any

from nodetool_site.database import prepare_database
from storage.management.nouns import NounCommand, Verb


class MigrateVerb(Verb):
    """Apply what the code brings and the database lacks."""

    help = "apply the migrations"

    def run(self, **options: Any) -> None:
        for line in prepare_database(may_migrate=True):
            self.remark(line)
        self.say("The database is up to date.")


class Command(NounCommand):
    """One verb so far."""

    help = "Apply the migrations."
    noun = "db"
    verbs = {"migrate": MigrateVerb}
