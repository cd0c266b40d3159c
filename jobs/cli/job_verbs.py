"""What ``nodetool jobs`` does: list, get, logs, start, cancel, pause, resume."""

import sys
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from jobs.api.job_views import STATUSES
from jobs.cli.arguments import add_params_options
from jobs.cli.store import JobQuery, JobStore, Json, decode, get, is_terminal
from jobs.cli.verbs import JobVerb
from jobs.requests import STRATEGIES, parse_job_request
from nodetool_site.lib.pagination import MAX_LIMIT
from nodetool_site.lib.rendering import encode_json
from storage.management.nouns import add_json_option, count

LOG_FIELDS = ("ts", "severity", "node_id", "node_name", "content")
LOG_MARK = b'"type":"log_update"'
NO_SERVER = "⚠ No server runs on this database; the job starts when one does"


class ListVerb(JobVerb):
    """Show the user's jobs."""

    help = "list jobs, the newest first"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        add_json_option(parser)
        parser.add_argument("--workflow-id", metavar="ID")
        parser.add_argument("--status", choices=sorted(STATUSES))
        parser.add_argument("--limit", type=count, default=100)
        parser.add_argument("--start-key", metavar="KEY", help="go on from a list")

    def work(self, store: JobStore, **options: Any) -> None:
        found = _list(store, **options)
        if options["json"]:
            self.say_json(found)
        elif not found["jobs"]:
            self.say("No jobs found.")
        else:
            head = ("ID", "Workflow", "Status", "Started")
            self.say_table("Jobs", head, [_row(job) for job in found["jobs"]])


class GetVerb(JobVerb):
    """Show one job."""

    help = "print a job as JSON"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        add_json_option(parser)
        parser.add_argument("id")

    def work(self, store: JobStore, **options: Any) -> None:
        self.say_json(get(store, options["id"]))


class LogsVerb(JobVerb):
    """Show what the nodes of a job have logged."""

    help = "print the log of a job"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        add_json_option(parser)
        parser.add_argument("id")
        parser.add_argument("--limit", type=count, default=200, help="newest lines")
        parser.add_argument(
            "-f",
            "--follow",
            action="store_true",
            help="go on to the job's end; with --json one object a line",
        )

    def work(self, store: JobStore, **options: Any) -> None:
        job_id = options["id"]
        get(store, job_id)
        if options["follow"]:
            self._follow(store, **options)
            return
        lines = deque(_log_lines(store.stored(job_id)), maxlen=options["limit"])
        if options["json"]:
            self.say_json({"job_id": job_id, "logs": list(lines)})
        else:
            for line in lines:
                self.say(_log_text(line))

    def _follow(self, store: JobStore, **options: Any) -> None:
        """Print the newest lines that are stored, then every one that comes."""
        job_id = options["id"]
        newest: deque[Json] = deque(maxlen=options["limit"])
        last: Json = {"type": "", "job_seq": 0}
        for message in map(decode, store.stored(job_id)):
            last = message
            if message["type"] == "log_update":
                newest.append(_log_line(message))
        for line in newest:
            self._say_line(line, **options)
        if not is_terminal(last):
            for message in map(decode, store.follow(job_id, after=last["job_seq"])):
                last = message
                if message["type"] == "log_update":
                    self._say_line(_log_line(message), **options)
        error = f": {last['error']}" if last["error"] else ""
        sys.stderr.write(f"Job {job_id} {last['status']}{error}\n")

    def _say_line(self, line: Json, **options: Any) -> None:
        self.say(encode_json(line).decode() if options["json"] else _log_text(line))


class StartVerb(JobVerb):
    """Create a job and leave it to the server."""

    help = "start a workflow and return at once"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        add_json_option(parser)
        add_params_options(parser)
        parser.add_argument("workflow_id")
        parser.add_argument("--execution-strategy", choices=sorted(STRATEGIES))

    def work(self, store: JobStore, **options: Any) -> None:
        names = ("workflow_id", "params", "execution_strategy")
        request = parse_job_request({name: options[name] for name in names})
        self.say_json(store.start(request))
        if not store.has_server:
            sys.stderr.write(f"{NO_SERVER}\n")


class ControlVerb(JobVerb):
    """Change the course of one job."""

    action: ClassVar[str]
    done: ClassVar[str]

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        add_json_option(parser)
        parser.add_argument("id")

    def work(self, store: JobStore, **options: Any) -> None:
        job_id = options["id"]
        get(store, job_id)
        answer = getattr(store, self.action)(job_id)
        if options["json"]:
            self.say_json(answer)
        else:
            self.say(f"Job {job_id} {self.done}")


class CancelVerb(ControlVerb):
    """End a job."""

    help = "cancel a job"
    action, done = "cancel", "cancelled"


class PauseVerb(ControlVerb):
    """Hold a job."""

    help = "pause a running job"
    action, done = "pause", "paused"


class ResumeVerb(ControlVerb):
    """Let a held job go on."""

    help = "let a paused job go on"
    action, done = "resume", "resumed"


def _list(store: JobStore, **options: Any) -> Json:
    """Return as many jobs as asked for; the API gives 500 at a time."""
    jobs: list[Json] = []
    key = options["start_key"]
    while True:
        room = min(options["limit"] - len(jobs), MAX_LIMIT)
        query = JobQuery(room, key, options["workflow_id"], options["status"])
        page = store.page(query)
        jobs += page["jobs"]
        key = page["next_start_key"]
        if key is None or len(jobs) >= options["limit"]:
            return {**page, "jobs": jobs}


def _row(job: Json) -> tuple[str | None, ...]:
    started = (job["started_at"] or "")[:19].replace("T", " ")
    return (job["id"], job["workflow_id"], job["status"], started)


def _log_lines(lines: Iterator[bytes]) -> Iterator[Json]:
    return (_log_line(decode(line)) for line in lines if LOG_MARK in line)


def _log_line(message: Json) -> Json:
    return {name: message.get(name) for name in LOG_FIELDS}


def _log_text(line: Json) -> str:
    at = datetime.fromtimestamp(line["ts"] or 0, UTC).isoformat(" ", "milliseconds")
    node = f"{line['node_name']}: " if line["node_name"] else ""
    return f"{at[:23]} {line['severity']:<7} {node}{line['content']}"
