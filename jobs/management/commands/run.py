"""``nodetool run``: run a workflow, a graph or a request, and wait for it."""

from django.core.management.base import CommandParser

from jobs.cli.run_verbs import RunCommandVerb
from storage.management.nouns import NounCommand


class Command(NounCommand):
    """A noun that is its own verb."""

    help = "Run a workflow by its id, a file or a request on stdin."
    noun = "run"

    def add_arguments(self, parser: CommandParser) -> None:
        self._made = {"run": RunCommandVerb(self, parser)}
        parser.set_defaults(verb="run")
