"""What the commands of this application share: how a result is written.

Results go to stdout, everything else to stderr.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError

from nodetool_site.lib.errors import ApplicationError
from nodetool_site.lib.rendering import encode_json

Options = dict[str, Any]
TOKENS_DO_NOT_COUNT = (
    "Users' tokens count under AUTH_PROVIDER=multi_user and supabase; it is {}."
)


class ResultCommand(BaseCommand):
    """A command with verbs: one method each, one line for each failure."""

    requires_system_checks = ()

    def run_verb(
        self, verbs: dict[str, Callable[[Options], None]], options: Options
    ) -> None:
        """Call the method of the verb that was asked for."""
        try:
            verbs[options["verb"]](options)
        except ApplicationError as error:
            raise CommandError(error.message) from error

    def say_json(self, document: dict[str, Any]) -> None:
        """Write one indented JSON document."""
        self.stdout.write(msgspec.json.format(encode_json(document), indent=2).decode())

    def say_table(self, rows: Sequence[tuple[str, ...]]) -> None:
        """Write rows in columns; the first is the head."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())
