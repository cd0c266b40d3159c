"""``nodetool nodes``: the node types that graphs may use."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from storage.management.nouns import NounCommand, Verb, add_json_option
from workflows import node_catalogue


class ListVerb(Verb):
    """Show the node types."""

    help = "list node types"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--namespace", default="", help="the start of their names")
        add_json_option(parser)

    def run(self, **options: Any) -> None:
        found = node_catalogue.select_metadata(namespace=options["namespace"])
        if options["json"]:
            self.say_json(found)
        elif not found:
            self.say("No nodes found.")
        else:
            rows = [(each["node_type"], _title(each)) for each in found]
            self.say_table("Nodes", ("Type", "Title"), rows)


class GetVerb(Verb):
    """Show one node type."""

    help = "print a node type as JSON"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("type")
        add_json_option(parser)

    def run(self, **options: Any) -> None:
        found = node_catalogue.find_metadata(options["type"])
        if found is None:
            raise CommandError(f"Node type {options['type']} not found")
        self.say_json(found)


def _title(metadata: dict[str, Any]) -> str:
    """Return the title, with the reason behind it where the mode leaves it out."""
    reason = metadata.get("unavailable_reason")
    return f"{metadata['title']} ({reason})" if reason else str(metadata["title"])


class Command(NounCommand):
    """Node types."""

    help = "List and describe node types."
    noun = "nodes"
    verbs = {"list": ListVerb, "get": GetVerb}
