"""``nodetool worker``: a Celery worker that runs jobs."""

from __future__ import annotations

import gc
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from nodetool_site.checks import process_problems
from nodetool_site.serve_options import add_mode_options, apply_mode, refuse_problems


class Command(BaseCommand):
    """Runs until it is told to stop."""

    help = "Start a worker that runs jobs (needs a broker)."
    requires_system_checks = ()

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        """Let ``-v`` mean ``--verbose``."""
        return super().create_parser(*args, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--concurrency",
            type=int,
            default=settings.WORKER_CONCURRENCY,
            help="jobs at once (default: %(default)s)",
        )
        parser.add_argument(
            "--queues",
            default=settings.CELERY_TASK_DEFAULT_QUEUE,
            help="comma-separated names (default: %(default)s)",
        )
        add_mode_options(parser)
        parser.add_argument("-v", "--verbose", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.IS_SCALE_OUT:
            raise CommandError(
                "A worker needs a broker: set REDIS_URL or CELERY_BROKER_URL"
            )
        apply_mode(options)
        refuse_problems(process_problems())
        if options["concurrency"] < 1:
            raise CommandError("--concurrency must be 1 or more", returncode=2)
        # Only a worker, or a server that rings one, pays for Celery's import.
        from nodetool_site.celery import app

        gc.collect()
        gc.freeze()
        app.worker_main(
            [
                "worker",
                "--pool=threads",
                f"--concurrency={options['concurrency']}",
                f"--queues={options['queues']}",
                f"--loglevel={'DEBUG' if options['verbose'] else settings.LOG_LEVEL}",
                "--without-gossip",
                "--without-mingle",
            ]
        )
