"""``nodetool run`` and ``nodetool workflows run``: run something and wait for it."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rest_framework.exceptions import APIException

from jobs.cli.arguments import add_params_options, seconds
from jobs.cli.progress import ProgressLine
from jobs.cli.record import RunRecord
from jobs.cli.sources import STDIN, read_request, read_request_file
from jobs.cli.store import JobStore, Json, decode
from jobs.cli.verbs import JobVerb
from jobs.requests import JobRequest
from nodetool_site.lib.errors import ApplicationError
from nodetool_site.lib.interrupts import Interrupts
from nodetool_site.lib.rendering import encode_json
from storage.ids import new_id
from storage.management.nouns import add_json_option, count

OnMessage = Callable[[bytes, Json], None]


class RunFailed(CommandError):
    """The run itself did not end well; its messages have said so."""


class RunVerb(JobVerb):
    """Runs something in this process, or with the workers, and waits for its end.

    Whoever interrupts or terminates the command cancels the run.
    """

    runs_here = True

    def run(self, **options: Any) -> None:
        with Interrupts():
            super().run(**options)

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        add_params_options(parser)
        parser.add_argument(
            "--timeout", type=seconds, metavar="S", help="cancel it after S seconds"
        )

    def execute(
        self,
        store: JobStore,
        request: JobRequest,
        on_message: OnMessage,
        timeout_s: float | None,
    ) -> RunRecord:
        """Run it to its end, or to the timeout.

        Raises:
            RunFailed: it did not end in time, and is cancelled.
        """
        record = RunRecord(request.job_id, request.workflow_id)
        try:
            record.workflow_id = store.start(request)["workflow_id"]
            self._follow(store, record, on_message, timeout_s)
        except KeyboardInterrupt:
            self._cancel(store, record, on_message)
            raise
        except TimeoutError as error:
            self._cancel(store, record, on_message)
            raise RunFailed(f"Timed out after {timeout_s:g} s") from error
        return record

    def _follow(
        self,
        store: JobStore,
        record: RunRecord,
        on_message: OnMessage,
        timeout_s: float | None = None,
    ) -> None:
        lines = store.follow(record.job_id, after=record.last_seq, timeout_s=timeout_s)
        for line in lines:
            message = decode(line)
            record.feed(message)
            on_message(line, message)

    def _cancel(
        self, store: JobStore, record: RunRecord, on_message: OnMessage
    ) -> None:
        """End the run, and tell what it says until then."""
        with suppress(ApplicationError, CommandError):
            store.cancel(record.job_id)
            self._follow(store, record, on_message)


class WorkflowRunVerb(RunVerb):
    """``workflows run``: the result as one JSON document."""

    help = "run a workflow and print its result"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        add_json_option(parser)
        parser.add_argument("source", metavar="ID|FILE")

    def work(self, store: JobStore, **options: Any) -> None:
        request = read_request(options["source"], options["params"])
        progress = ProgressLine(sys.stderr)
        try:
            record = self.execute(
                store,
                request,
                lambda _, message: progress.show(message),
                options["timeout"],
            )
        finally:
            progress.clear()
        if not record.is_completed:
            raise CommandError(record.failure)
        self.say_json(record.document())


class RunCommandVerb(RunVerb):
    """``run``: messages as lines, one document, or text for people."""

    help = "run a workflow, a graph or a request"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        parser.add_argument("source", nargs="?", metavar="ID|FILE")
        parser.add_argument(
            "--stdin", action="store_true", help="read a request to run, as JSON"
        )
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--jsonl", action="store_true", help="one message a line")
        group.add_argument("--json", action="store_true", help="print one document")
        parser.add_argument("--auth-token", default="local_token", help="no effect")
        parser.add_argument("-n", "--repeat", type=count, default=1, metavar="N")
        parser.add_argument("--show-node-updates", action="store_true")
        parser.add_argument("--show-previews", action="store_true")
        parser.add_argument("--show-outputs", action="store_true")

    def run(self, **options: Any) -> None:
        if not (options["source"] or options["stdin"]):
            raise CommandError("What to run? Give a workflow's id, a file or --stdin")
        if options["source"] and options["stdin"]:
            self.parser.error("--stdin takes no ID or FILE")
        try:
            super().run(**options)
        except (ApplicationError, APIException, CommandError) as error:
            self.tell(error, options)
            raise

    def tell(self, error: Exception, options: dict[str, Any]) -> None:
        """With ``--jsonl`` a failure to start is a line too."""
        if options["jsonl"] and not isinstance(error, RunFailed):
            self._say_line(encode_json({"type": "error", "error": str(error)}))

    def work(self, store: JobStore, **options: Any) -> None:
        source, params = options["source"], options["params"]
        request = (
            read_request_file(STDIN, params)
            if options["stdin"]
            else read_request(source, params)
        )
        for round_number in range(options["repeat"]):
            if round_number:
                request = replace(request, job_id=new_id())
            record = self._run_once(store, request, **options)
            if not record.is_completed:
                raise RunFailed(record.failure)

    def _run_once(
        self, store: JobStore, request: JobRequest, **options: Any
    ) -> RunRecord:
        if options["jsonl"]:
            return self.execute(
                store, request, lambda line, _: self._say_line(line), options["timeout"]
            )
        view = _People(**options)
        try:
            record = self.execute(store, request, view.show, options["timeout"])
        finally:
            view.end()
        if record.is_completed and options["json"]:
            self.say_json(record.document())
        elif not options["json"]:
            for name, value in record.outputs().items():
                self.say(_shown_output(name, value))
        return record

    def _say_line(self, line: bytes) -> None:
        self.say(line.decode())
        sys.stdout.flush()


class _People:
    """Tells people what happens: a line that moves, and what they asked to see."""

    def __init__(self, **options: Any) -> None:
        self._progress = ProgressLine(sys.stderr)
        self._shows = {
            "node_update": options["show_node_updates"],
            "preview_update": options["show_previews"],
            "output_update": options["show_outputs"],
        }

    def show(self, line: bytes, message: Json) -> None:
        if self._shows.get(message["type"]):
            self._progress.clear()
            sys.stderr.write(f"{_shown_message(message)}\n")
        self._progress.show(message)

    def end(self) -> None:
        self._progress.clear()


def _shown_message(message: Json) -> str:
    if message["type"] == "node_update":
        error = f": {message['error']}" if message["error"] else ""
        return f"{message['node_name']} {message['status']}{error}"
    name = message.get("output_name") or message["node_name"]
    return _shown_output(name, message["value"])


def _shown_output(name: str, value: Any) -> str:
    text = value if isinstance(value, str) else encode_json(value).decode()
    return f"{name}:\n{text}" if "\n" in text else f"{name}: {text}"
