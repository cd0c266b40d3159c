"""The options of ``nodetool serve``, and what they change in the settings.

An option wins over the environment, so it is put into the settings before anything
reads them; nothing else changes a setting while the process runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from nodetool_site.checks import Problem, listening_problems, settings_problems
from nodetool_site.lib import modes
from nodetool_site.lib.auth_providers import PROVIDERS
from nodetool_site.lib.hosts import default_allowed_hosts

SURFACES = ("main-ws", "openai", "default-api")
# Known to other servers of the same name; accepted so that their start lines work.
IGNORED_FLAGS = ("--mcp", "--ui", "--force-fp16", "--enable-terminal-ws")
IGNORED_OPTIONS = ("--ui-url", "--apps-folder")


def port_number(text: str) -> int:
    """Return a port.

    Raises:
        ArgumentTypeError: it is none.
    """
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a port (1 to 65535)")


def in_lower_case(text: str) -> str:
    """Return a word of a choice, as the environment's are read."""
    return text.strip().lower()


def add_options(parser: CommandParser) -> None:
    """Declare the options."""
    add_common_options(parser)
    add_mode_options(parser)
    parser.add_argument("--reload", action="store_true", help="for development")
    parser.add_argument("--static-folder", type=Path, metavar="FOLDER")
    for surface in SURFACES:
        parser.add_argument(
            f"--enable-{surface}", action="store_true", default=True, dest=surface
        )
        parser.add_argument(f"--disable-{surface}", action="store_false", dest=surface)
    parser.add_argument(
        "--with-worker",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="run jobs here (default without a broker), or start a Celery worker",
    )
    parser.add_argument("--no-worker", action="store_false", dest="with_worker")
    parser.add_argument("--workers", type=int, default=1, metavar="N")
    parser.add_argument(
        "--allow-unauthenticated",
        action="store_true",
        help="let anybody in who reaches the address",
    )
    parser.add_argument("--migrate", action="store_true", help="apply migrations")
    for flag in IGNORED_FLAGS:
        parser.add_argument(
            flag, action="append_const", const=flag, dest="ignored", help="no effect"
        )
    for option in IGNORED_OPTIONS:
        parser.add_argument(
            option, action=_Ignored, dest="ignored", help="no effect", metavar="VALUE"
        )


def add_common_options(parser: CommandParser) -> None:
    """Declare what every command that serves takes."""
    parser.add_argument("--host", default=settings.HOST)
    parser.add_argument("--port", type=port_number, default=settings.PORT)
    parser.add_argument("--auth-provider", type=in_lower_case, choices=PROVIDERS)
    parser.add_argument("-v", "--verbose", action="store_true", help="debug log")


def add_mode_options(parser: CommandParser) -> None:
    """Declare what a server and its worker must agree on."""
    parser.add_argument(
        "--mode",
        type=in_lower_case,
        choices=modes.CHOICES,
        help="what is served (default: desktop; private in production)",
    )
    parser.add_argument("--production", action="store_true", help="as ENV=production")
    parser.add_argument(
        "--mock", action="store_true", help="answer with the offline provider too"
    )


class _Ignored(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, *args: Any) -> None:
        names = [*(namespace.ignored or ()), self.option_strings[0]]
        namespace.ignored = names


def apply_options(options: dict[str, Any]) -> None:
    """Put the options into the settings, and check them together.

    Raises:
        CommandError: the server must not start like this.
    """
    apply_mode(options)
    apply_authentication(options)
    _apply_worker(options)
    settings.DISABLED_SURFACES = frozenset(s for s in SURFACES if not options[s])
    folder: Path | None = options["static_folder"]
    if folder is not None:
        if not folder.is_dir():
            raise CommandError(f"--static-folder {folder} is not a folder")
        settings.WHITENOISE_ROOT = folder.resolve()
    refuse_problems(
        settings_problems(),
        listening_problems(
            options["host"], may_be_open=options["allow_unauthenticated"]
        ),
    )


def apply_mode(options: dict[str, Any]) -> None:
    """Put these options into the settings, with what they imply."""
    if options["mock"]:
        settings.FAKE_PROVIDER_CHOSEN = True
    if options["production"]:
        settings.ENV = "production"
        settings.IS_PRODUCTION = True
        settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    chosen = modes.mode_named(options["mode"] or settings.SERVER_MODE_CHOSEN)
    settings.SERVER_MODE = chosen or modes.default_mode(
        is_production=settings.IS_PRODUCTION
    )


def refuse_problems(*groups: Iterable[Problem]) -> None:
    """Raise for the first problem there is.

    Raises:
        CommandError: in one line, what is wrong and how to cure it.
    """
    for _, problem, cure in chain(*groups):
        raise CommandError(f"{problem}; {cure}")


def apply_authentication(options: dict[str, Any]) -> None:
    """Choose the provider and the names served, where nobody has, for the mode."""
    host = settings.HOST = options["host"]
    chosen = options["auth_provider"] or settings.AUTH_PROVIDER_CHOSEN
    settings.AUTH_PROVIDER = chosen or modes.default_provider(
        settings.SERVER_MODE, host, is_production=settings.IS_PRODUCTION
    )
    if not settings.ALLOWED_HOSTS_CHOSEN:
        settings.ALLOWED_HOSTS = default_allowed_hosts(
            settings.AUTH_PROVIDER,
            host,
            is_hardened=settings.SERVER_MODE in modes.HARDENED,
        )


def _apply_worker(options: dict[str, Any]) -> None:
    if options["workers"] < 1:
        raise CommandError("--workers must be 1 or more", returncode=2)
    if options["workers"] > 1:
        if not settings.CHANNEL_LAYER_URL:
            raise CommandError("--workers above 1 needs Redis: set REDIS_URL")
        raise CommandError("--workers above 1 is not available; start several servers")
    if options["with_worker"] is False and not settings.IS_SCALE_OUT:
        raise CommandError(
            "--no-worker needs a broker: without REDIS_URL the server runs the jobs"
        )
