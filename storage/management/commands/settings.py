"""``nodetool settings``: what counts in this environment."""

from typing import Any

from django.core.management.base import CommandParser

from storage.management.nouns import (
    NounCommand,
    Verb,
    add_json_option,
    add_user_option,
)
from storage.start_up import prepare_process
from storage.stored_settings import all_settings


class ShowVerb(Verb):
    """Show every setting that can be changed, and which keys there are."""

    help = "show the settings, secrets masked"

    def add_options(self, parser: CommandParser) -> None:
        add_user_option(parser)
        add_json_option(parser)

    def run(self, **options: Any) -> None:
        prepare_process()
        rows = all_settings(options["user_id"])
        if options["json"]:
            self.say_json({"settings": rows})
        else:
            cells = [
                (row["group"], row["env_var"], _word(row["value"])) for row in rows
            ]
            self.say_table("Settings", ("Group", "Name", "Value"), cells)


class Command(NounCommand):
    """Settings; they are changed by the environment, or over the API."""

    help = "Show the settings."
    noun = "settings"
    verbs = {"show": ShowVerb}


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value)
