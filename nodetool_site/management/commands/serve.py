"""``nodetool serve``: the whole server."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from nodetool_site.management.server_command import ServerCommand
from nodetool_site.serve_options import add_options, apply_options

WORKER_STOP_S = 80.0


class Command(ServerCommand):
    """One process that serves everything."""

    help = "Start the server."
    example_path = "/api/workflows/hello/run"
    example_words = " -H 'Content-Type: application/json' -d '{\"params\": {}}'"

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["reload"]:
            self._serve_with_reload(options)
            return
        apply_options(options)
        self.check_start(verbose=options["verbose"])
        if options["ignored"]:
            self.say(f"No effect here: {' '.join(options['ignored'])}")
        self.prepare_data(
            may_migrate=options["migrate"] or settings.SERVER_MODE == "desktop"
        )
        worker = self._start_worker(options)
        try:
            self.listen(options["host"], options["port"])
        finally:
            if worker is not None:
                worker.terminate()
                worker.wait(WORKER_STOP_S)

    def _start_worker(self, options: dict[str, Any]) -> subprocess.Popen[bytes] | None:
        """Start a Celery worker beside the server if it was asked for."""
        if not settings.IS_SCALE_OUT or not options["with_worker"]:
            return None
        words = ["worker", "--mode", settings.SERVER_MODE]
        if settings.IS_PRODUCTION:
            words.append("--production")
        if options["mock"]:
            words.append("--mock")
        return subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "nodetool_site.cli", *words]
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
