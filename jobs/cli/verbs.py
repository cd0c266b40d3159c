"""What every verb on jobs has: whose jobs, and where they are."""

from typing import Any, ClassVar

from django.core.management.base import CommandParser

from jobs.cli.local_jobs import LocalJobs
from jobs.cli.remote_jobs import RemoteJobs
from jobs.cli.store import JobStore
from storage.management.nouns import Verb, add_place_options
from workflows.management.http_client import ApiClient


class JobVerb(Verb):
    """A verb that works on the database, or on a running server."""

    runs_here: ClassVar[bool] = False

    def add_options(self, parser: CommandParser) -> None:
        add_place_options(parser)

    def run(self, **options: Any) -> None:
        with self._open(**options) as store:
            self.work(store, **options)

    def work(self, store: JobStore, **options: Any) -> None:
        """Do it."""
        raise NotImplementedError

    def _open(self, **options: Any) -> JobStore:
        if options["api_url"]:
            return RemoteJobs(ApiClient(options["api_url"], options["token"]))
        return LocalJobs(options["user_id"], runs_here=self.runs_here)
