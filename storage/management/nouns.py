"""Commands of the form ``<noun> <verb>``: one class a verb, one way to fail.

Results go to stdout, everything else to stderr; a failure is one line and exit 1.
"""

import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseProblem
from django.utils.module_loading import import_string
from rest_framework.exceptions import APIException

from nodetool_site.lib.db import describe_problem
from nodetool_site.lib.errors import (
    ApplicationError,
    describe_error,
    validation_problems,
)
from nodetool_site.lib.rendering import encode_json
from storage.models.user import DEFAULT_USER_ID
from storage.static_token import own_commands_token
from storage.users import find_account

_added: dict[str, dict[str, str]] = {}


def add_verb(noun: str, verb: str, path: str) -> None:
    """Let an application above add a verb to a noun of one below.

    ``path`` is the dotted path of a ``Verb``; it is imported when the noun is used.
    """
    _added.setdefault(noun, {})[verb] = path


class Verb:
    """One verb: its options and what it does."""

    help: ClassVar[str]

    def __init__(self, command: BaseCommand, parser: CommandParser) -> None:
        self._command = command
        self.parser = parser
        self.add_options(parser)

    def add_options(self, parser: CommandParser) -> None:
        """Declare the arguments."""

    def tell(self, error: Exception, options: dict[str, Any]) -> None:
        """Tell a program that reads along of a failure; people are told anyway."""

    def run(self, **options: Any) -> None:
        """Do it."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Write a line of the result."""
        self._command.stdout.write(text)

    def say_json(self, document: Any) -> None:
        """Write a result as one indented JSON document."""
        self.say(pretty(document))

    def remark(self, text: str) -> None:
        """Write a line that is worth knowing and no part of the result."""
        self._command.stderr.write(text, style_func=str)

    def say_table(
        self, title: str, head: Sequence[str], rows: Sequence[Sequence[str | None]]
    ) -> None:
        """Write a titled table; what is empty shows as ``-``."""
        shown = [list(head), *([cell or "-" for cell in row] for row in rows)]
        widths = [max(len(row[i]) for row in shown) for i in range(len(head))]
        self.say(title)
        for row in shown:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.say("  ".join(cells).rstrip())

    def is_sure(self, question: str) -> bool:
        """Ask on the terminal.

        Raises:
            CommandError: there is none to ask on.
        """
        if not sys.stdin.isatty():
            raise CommandError("Without a terminal --yes is needed.")
        self._command.stderr.write(f"{question} [y/N] ", style_func=str, ending="")
        self._command.stderr.flush()
        try:
            return input().strip().lower() in ("y", "yes")
        except EOFError:
            self.remark("")  # the end of input ends no line
            return False


class NounCommand(BaseCommand):
    """A management command with verbs, its own and those that were added."""

    requires_system_checks = ()
    noun: ClassVar[str]
    verbs: ClassVar[dict[str, type[Verb]]]
    _made: dict[str, Verb]
    _called_from_command_line: bool

    def add_arguments(self, parser: CommandParser) -> None:
        choices = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        added = {
            name: import_string(path)
            for name, path in _added.get(self.noun, {}).items()
        }
        self._made = {
            name: verb(self, choices.add_parser(name, help=verb.help))
            for name, verb in {**self.verbs, **added}.items()
        }

    def handle(self, *args: Any, **options: Any) -> None:
        verb = self._made[options["verb"]]
        try:
            if _names_somebody(options):
                try:
                    options["user_id"] = find_account(options["user_id"]).pk
                except ApplicationError as error:
                    verb.tell(error, options)
                    raise
            verb.run(**options)
        except (ApplicationError, APIException) as error:
            raise CommandError(sentence(error)) from error
        except DatabaseProblem as error:
            raise CommandError(describe_problem(error)) from error

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run; on a command line every failure is one line on stderr."""
        try:
            return super().execute(*args, **options)
        except CommandError as error:
            if not self._called_from_command_line or options["traceback"]:
                raise
            self.stderr.write(f"❌ {error}")
            sys.exit(error.returncode)
        except KeyboardInterrupt:
            sys.exit(130)


def pretty(document: Any) -> str:
    """Return the indented JSON text of a document."""
    return msgspec.json.format(encode_json(document), indent=2).decode()


def add_user_option(
    parser: CommandParser, *, default: str | None = DEFAULT_USER_ID
) -> None:
    """Add the option that says whose objects are meant; a name becomes an id."""
    shown = "everybody" if default is None else default
    parser.add_argument(
        "-u",
        "--user-id",
        default=default,
        metavar="ID",
        help=f"id or name; default: {shown}",
    )


def _names_somebody(options: dict[str, Any]) -> bool:
    """Tell whether a user of this database was asked for, not of another server."""
    given = options.get("user_id") or DEFAULT_USER_ID
    return given != DEFAULT_USER_ID and not options.get("api_url")


def add_place_options(parser: CommandParser) -> None:
    """Add the options that say whose objects are meant, and on which server."""
    add_user_option(parser)
    parser.add_argument("--api-url", metavar="URL", help="ask a running server")
    parser.add_argument("--token", default=own_commands_token())


def add_json_option(parser: CommandParser) -> None:
    """Add the option that turns a result into one JSON document."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def count(text: str) -> int:
    """Return a number of rows, for argparse."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"{text!r} is not a positive number")
    return number


def names(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas, for argparse."""
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def sentence(error: Exception) -> str:
    """Return what REST would answer, on one line; it names the field in any mode."""
    problems = [
        ": ".join((".".join(map(str, entry["loc"][1:])), entry["msg"]))
        for entry in validation_problems(error)
    ]
    return "; ".join(problems) or str(describe_error(error).body["detail"])
