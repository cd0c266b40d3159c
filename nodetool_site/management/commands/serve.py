"""``nodetool serve``: check, migrate, listen, drain."""

from __future__ import annotations

import logging
import shlex
import subprocess
import sys
from functools import partial
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from nodetool_site.checks import settings_warnings
from nodetool_site.database import PendingMigrations, prepare_database
from nodetool_site.lib.errors import ApplicationError
from nodetool_site.lib.hosts import OPEN_PROVIDERS, WILDCARDS
from nodetool_site.lib.modes import HARDENED
from nodetool_site.serve_options import add_options, apply_options

WORKER_STOP_S = 80.0
FIRST_EXAMPLE = "hello"


class Command(BaseCommand):
    """One process that serves everything; what it prints goes to stderr."""

    help = "Start the server."
    requires_system_checks = ()

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        """Let ``-v`` mean ``--verbose``."""
        return super().create_parser(*args, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["reload"]:
            self._serve_with_reload(options)
            return
        apply_options(options)
        self._check()
        if options["ignored"]:
            self._say(f"No effect here: {' '.join(options['ignored'])}")
        if options["verbose"]:
            logging.getLogger().setLevel(logging.DEBUG)
        self._prepare_data(options)
        worker = self._start_worker(options)
        try:
            self._serve(options["host"], options["port"])
        finally:
            if worker is not None:
                worker.terminate()
                worker.wait(WORKER_STOP_S)

    def _check(self) -> None:
        for _, problem, cure in settings_warnings():
            self._say(f"Warning: {problem}; {cure}")
        # Imported when the settings are final: it reads them.
        from nodetool_site import auth
        from storage.identity import is_enforced

        try:
            must_show_token = is_enforced()
            warnings = auth.check_start(is_desktop=settings.SERVER_MODE == "desktop")
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        for warning in warnings:
            self._say(f"Warning: {warning}")
        if settings.SERVER_MODE in HARDENED and not settings.ALLOWED_HOSTS_CHOSEN:
            names = ", ".join(settings.ALLOWED_HOSTS)
            self._say(f"Serves requests to {names}; ALLOWED_HOSTS names others.")
        if must_show_token:
            self._show_token()

    def _show_token(self) -> None:
        # Imported when the settings are final: it reads them.
        from storage.static_token import static_tokens

        found = static_tokens()
        if found.is_new:
            self._say(f"Token (kept in {found.source}): {found.tokens[0]}")
        else:
            self._say(f"Token: see {found.source}")

    def _prepare_data(self, options: dict[str, Any]) -> None:
        may_migrate = options["migrate"] or settings.SERVER_MODE == "desktop"
        try:
            lines = prepare_database(may_migrate=may_migrate)
        except PendingMigrations as error:
            raise CommandError(str(error)) from error
        for line in lines:
            self._say(line)
        # Imported when the settings are final: it reads them.
        from storage.start_up import prepare_process

        try:
            prepare_process()
        except ApplicationError as error:
            raise CommandError(error.message) from error

    def _start_worker(self, options: dict[str, Any]) -> subprocess.Popen[bytes] | None:
        """Start a Celery worker beside the server if it was asked for."""
        if not settings.IS_SCALE_OUT or not options["with_worker"]:
            return None
        words = ["worker", "--mode", settings.SERVER_MODE]
        if settings.IS_PRODUCTION:
            words.append("--production")
        return subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "nodetool_site.cli", *words]
        )

    def _serve(self, host: str, port: int) -> None:
        # The reactor and the application: imported once nothing can be wrong.
        from nodetool_site.asgi import application
        from nodetool_site.lib.db import close_database_threads
        from nodetool_site.server import AddressInUse, Server

        server = Server(
            application,
            host=host,
            port=port,
            max_message_bytes=settings.WS_MAX_MESSAGE_BYTES,
            on_ready=partial(self._announce, host),
        )
        try:
            server.run()
        except (AddressInUse, OSError) as error:
            raise CommandError(str(error)) from error
        finally:
            close_database_threads()

    def _announce(self, host: str, port: int) -> None:
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._say(
            f"NodeTool server listening on {url} "
            f"(mode={settings.SERVER_MODE}, auth={settings.AUTH_PROVIDER})"
        )
        if host in WILDCARDS:
            url = f"http://localhost:{port}"
        self._say(
            f"Try: curl {url}/api/workflows/{FIRST_EXAMPLE}/run{_token_header()} "
            "-H 'Content-Type: application/json' -d '{\"params\": {}}'"
        )

    def _serve_with_reload(self, options: dict[str, Any]) -> None:
        if options["production"] or settings.IS_PRODUCTION:
            raise CommandError("--reload is not for production", returncode=2)
        # Imported for this option alone.
        from nodetool_site.reload import run_with_reload

        words = [word for word in sys.argv[1:] if word != "--reload"]
        code = run_with_reload([sys.executable, "-m", "nodetool_site.cli", *words])
        if code:
            sys.exit(code)

    def _say(self, line: str) -> None:
        self.stderr.write(line)
        self.stderr.flush()


def _token_header() -> str:
    """Return the option of ``curl`` that sends the token from where it is kept."""
    if settings.AUTH_PROVIDER in OPEN_PROVIDERS:
        return ""
    # Imported when the settings are final: it reads them.
    from storage.static_token import static_tokens

    if settings.SERVER_AUTH_TOKEN:
        token = "$SERVER_AUTH_TOKEN"  # noqa: S105 - a variable of the user's shell
    else:
        token = f"$(cat {shlex.quote(static_tokens().source)})"
    return f' -H "Authorization: Bearer {token}"'
