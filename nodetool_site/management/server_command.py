"""What the commands that serve have in common: check, migrate, listen, drain."""

from __future__ import annotations

import logging
import shlex
from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseProblem

from nodetool_site.checks import settings_warnings
from nodetool_site.database import prepare_database
from nodetool_site.lib.auth_providers import OPEN_PROVIDERS
from nodetool_site.lib.db import describe_problem
from nodetool_site.lib.errors import ApplicationError
from nodetool_site.lib.hosts import WILDCARDS
from nodetool_site.lib.modes import HARDENED


class ServerCommand(BaseCommand):
    """One process that serves; what it prints goes to stderr.

    Its steps, for commands to call once the settings are final: ``check_start``,
    ``prepare_data``, ``listen``.
    """

    requires_system_checks = ()
    # A first request to try: its path, and further words for ``curl``.
    example_path: ClassVar[str]
    example_words: ClassVar[str] = ""

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        """Let ``-v`` mean ``--verbose``."""
        return super().create_parser(*args, conflict_handler="resolve", **kwargs)

    def check_start(self, *, verbose: bool) -> None:
        """Show what is worth a warning, and how to get in.

        Raises:
            CommandError: the server must not start like this.
        """
        if verbose:
            logging.getLogger().setLevel(logging.DEBUG)
        for _, problem, cure in settings_warnings():
            self.say(f"Warning: {problem}; {cure}")
        if settings.SERVER_MODE in HARDENED and not settings.ALLOWED_HOSTS_CHOSEN:
            names = ", ".join(settings.ALLOWED_HOSTS)
            self.say(f"Serves requests to {names}; ALLOWED_HOSTS names others.")
        if settings.AUTH_PROVIDER not in OPEN_PROVIDERS:
            self._show_token()

    def _show_token(self) -> None:
        # Imported when the settings are final: it reads them.
        from storage.static_token import static_tokens

        try:
            found = static_tokens()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if found.is_new:
            self.say(f"Token (kept in {found.source}): {found.tokens[0]}")
        else:
            self.say(f"Token: see {found.source}")

    def prepare_data(self, *, may_migrate: bool) -> None:
        """Bring the database to the code's state, and the process to its settings.

        Raises:
            CommandError: it may not be migrated, or the keys do not fit it.
        """
        # Imported when the settings are final: it reads them.
        from storage.start_up import prepare_process

        try:
            for line in prepare_database(may_migrate=may_migrate):
                self.say(line)
            prepare_process()
        except ApplicationError as error:
            raise CommandError(error.message) from error
        except DatabaseProblem as error:
            raise CommandError(describe_problem(error)) from error

    def listen(self, host: str, port: int) -> None:
        """Serve until a signal says to stop.

        Raises:
            CommandError: the address cannot be listened on.
        """
        # The reactor and the application: imported once nothing can be wrong.
        from nodetool_site.asgi import application
        from nodetool_site.lib.db import close_database_threads
        from nodetool_site.server import CannotListen, Server

        server = Server(
            application,
            host=host,
            port=port,
            max_message_bytes=settings.WS_MAX_MESSAGE_BYTES,
            on_ready=partial(self._announce, host),
        )
        try:
            server.run()
        except (CannotListen, OSError) as error:
            raise CommandError(str(error)) from error
        finally:
            close_database_threads()

    def say(self, line: str) -> None:
        """Write a line to stderr, at once."""
        self.stderr.write(line, style_func=str)
        self.stderr.flush()

    def _announce(self, host: str, port: int) -> None:
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.say(
            f"NodeTool server listening on {url} "
            f"(mode={settings.SERVER_MODE}, auth={settings.AUTH_PROVIDER})"
        )
        if host in WILDCARDS:
            url = f"http://localhost:{port}"
        url += self.example_path
        self.say(f"Try: curl {url}{_token_header()}{self.example_words}")


def _token_header() -> str:
    """Return the option of ``curl`` that sends the token from where it is kept."""
    if settings.AUTH_PROVIDER in OPEN_PROVIDERS:
        return ""
    # Imported when the settings are final: it reads them.
    from storage.static_token import static_tokens

    if settings.SERVER_AUTH_TOKEN:
        # Of the user's shell; of a list the first.
        is_list = "," in settings.SERVER_AUTH_TOKEN
        token = "${SERVER_AUTH_TOKEN%%,*}" if is_list else "$SERVER_AUTH_TOKEN"
    else:
        token = f"$(cat {shlex.quote(static_tokens().source)})"
    return f' -H "Authorization: Bearer {token}"'
