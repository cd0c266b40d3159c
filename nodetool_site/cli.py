"""``nodetool <noun> <verb>``: the management command of that noun.

Nothing of Django is imported to say the version or that a command does not exist.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nodetool_site import __version__

APPS = ("nodetool_site", "storage", "workflows", "jobs", "chat")
HIDDEN = frozenset({"runserver"})
# These prepare the database themselves, need none, or must see it as it is.
OWN_DATABASE = frozenset(
    {"serve", "chat-server", "chat-client", "worker", "db", "doctor"}
)
USAGE = "usage: nodetool [-h] [--version] COMMAND ..."
EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def main(argv: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    _open_closed_streams()
    words = sys.argv[1:] if argv is None else argv
    if not words:
        _fail_usage("a command is needed")
    noun, rest = words[0], words[1:]
    if noun in ("-h", "--help"):
        _show_help()
    elif noun == "--version":
        sys.stdout.write(f"nodetool {__version__}\n")
    elif noun not in (found := commands()):
        _fail_usage(f"unknown command '{noun}'")
    else:
        sys.exit(_run(found[noun], noun, rest))


def _open_closed_streams() -> None:
    """Give a process that was started without a standard stream an empty one."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "r+", encoding="utf-8")  # noqa: SIM115, PTH123 - for good
            setattr(sys, name, stream)


def commands() -> dict[str, str]:
    """Return the app of each command, by its name on the command line."""
    found: dict[str, str] = {}
    for app in APPS:
        for file in sorted(_folder(app).glob("management/commands/[a-z]*.py")):
            name = file.stem.replace("_", "-")
            if name not in HIDDEN:
                found.setdefault(name, app)
    return found


def _folder(app: str) -> Path:
    spec = find_spec(app)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _run(app: str, noun: str, words: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nodetool_site.settings")
    # Only a command that exists pays for these imports.
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import load_command_class
    from django.core.management.base import CommandError
    from django.db import Error as DatabaseProblem

    from nodetool_site.lib.db import describe_problem

    try:
        django.setup()
        command = load_command_class(app, noun.replace("-", "_"))
        options = _parse(command, noun, words)
        if noun not in OWN_DATABASE:
            _prepare_database()
        _execute(command, options)
    except CommandError as error:
        return _fail(str(error), error.returncode)
    except ImproperlyConfigured as error:
        return _fail(str(error), EXIT_ERROR)
    except DatabaseProblem as error:
        return _fail(describe_problem(error), EXIT_ERROR)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    return 0


def _parse(command: Any, noun: str, words: list[str]) -> dict[str, Any]:
    """Return the options; a usage error exits with 2."""
    command._called_from_command_line = True
    parser = command.create_parser("nodetool", noun)
    options: dict[str, Any] = vars(parser.parse_args(words))
    options["skip_checks"] = True  # they are for developers, and take their time
    options["no_color"] = True  # on stderr is also what is no error
    return options


def _execute(command: Any, options: dict[str, Any]) -> None:
    # Here, because it needs Django to be set up.
    from django.core.management.base import CommandError

    from nodetool_site.lib.errors import ApplicationError

    try:
        command.execute(*options.pop("args", ()), **options)
    except ApplicationError as error:
        raise CommandError(error.message) from error


def _prepare_database() -> None:
    # Here, because it needs Django to be set up.
    from nodetool_site.database import prepare_if_empty

    for line in prepare_if_empty():
        sys.stderr.write(f"{line}\n")


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"❌ {message}\n")
    return code


def _fail_usage(message: str) -> None:
    sys.stderr.write(f"{USAGE}\nnodetool: error: {message}\n")
    sys.exit(EXIT_USAGE)


def _show_help() -> None:
    names = "\n".join(f"  {name}" for name in sorted(commands()))
    sys.stdout.write(
        f"{USAGE}\n\ncommands:\n{names}\n\n"
        "`nodetool COMMAND --help` says what a command takes.\n"
    )


if __name__ == "__main__":
    main()
