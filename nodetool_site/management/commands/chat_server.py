"""``nodetool chat-server``: the OpenAI-compatible API, and nothing else."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from nodetool_site import served_workflows
from nodetool_site.chat_server_options import add_options, apply_options
from nodetool_site.management.server_command import ServerCommand


class Command(ServerCommand):
    """One process that serves models, workflows among them."""

    help = "Start a server of the OpenAI-compatible API alone."
    example_path = "/v1/models"

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        apply_options(options)
        workflows = served_workflows.read_files(options["workflows"])
        self.check_start(verbose=options["verbose"])
        self.prepare_data(may_migrate=False)
        for workflow in served_workflows.store(workflows):
            self.say(f"Serves workflow:{workflow.pk} ({workflow.name})")
        self.listen(options["host"], options["port"])
