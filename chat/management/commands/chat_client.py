"""``nodetool chat-client``: talk to a server with OpenAI's API."""

from django.core.management.base import CommandParser

from chat.cli.client_verb import ChatClientVerb
from storage.management.nouns import NounCommand


class Command(NounCommand):
    """A noun that is its own verb."""

    help = "Talk to a model of any server with OpenAI's API."
    noun = "chat-client"

    def add_arguments(self, parser: CommandParser) -> None:
        self._made = {"talk": ChatClientVerb(self, parser)}
        parser.set_defaults(verb="talk")
