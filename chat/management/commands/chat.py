"""``nodetool chat``: talk to a model or a workflow."""

from django.core.management.base import CommandParser

from chat.cli.chat_verb import ChatVerb
from storage.management.nouns import NounCommand


class Command(NounCommand):
    """A noun that is its own verb."""

    help = "Talk to a model or a workflow, in a thread that is kept."
    noun = "chat"

    def add_arguments(self, parser: CommandParser) -> None:
        self._made = {"talk": ChatVerb(self, parser)}
        parser.set_defaults(verb="talk")
