"""What ``nodetool workflows`` does: list, get, import, export, validate, delete."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from storage.management.nouns import (
    Verb,
    add_json_option,
    add_place_options,
    count,
    pretty,
)
from workflows.errors import WorkflowNotFound
from workflows.ids import is_usable_id
from workflows.management.documents import (
    imports_of,
    parse_json,
    read_graph,
    speaks_of,
)
from workflows.management.http_client import ApiClient
from workflows.management.stores import LocalStore, RemoteStore, WorkflowStore

Json = dict[str, Any]
STDIN = "-"


class WorkflowVerb(Verb):
    """A verb that works on the database, or on a running server."""

    def add_options(self, parser: CommandParser) -> None:
        add_place_options(parser)

    def run(self, **options: Any) -> None:
        if options["api_url"]:
            api = ApiClient(options["api_url"], options["token"])
            store: WorkflowStore = RemoteStore(api)
        else:
            store = LocalStore(options["user_id"])
        self.work(store, **options)

    def work(self, store: WorkflowStore, **options: Any) -> None:
        """Do it."""
        raise NotImplementedError


class ListVerb(WorkflowVerb):
    """Show the user's workflows, the examples or both."""

    help = "list workflows"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        add_json_option(parser)
        kinds = ("user", "example", "all")
        parser.add_argument("--type", choices=kinds, default="user")
        parser.add_argument("--query", default="", help="text in name or description")
        parser.add_argument("--limit", type=count, default=100)

    def work(self, store: WorkflowStore, **options: Any) -> None:
        found = [
            (kind, document)
            for kind, document in _all_of(store, options["type"])
            if speaks_of(document, options["query"])
        ]
        shown = found[: options["limit"]]
        if options["json"]:
            documents = [document for _, document in shown]
            answer = {"workflows": documents, "next": None, "total": len(found)}
            self.say_json(answer)
        elif not shown:
            self.say("No workflows found.")
        else:
            head = ("ID", "Name", "Type", "Package", "Updated")
            self.say_table("Workflows", head, [_row(*each) for each in shown])


class GetVerb(WorkflowVerb):
    """Show one workflow."""

    help = "print a workflow as JSON"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        add_json_option(parser)
        parser.add_argument("id")

    def work(self, store: WorkflowStore, **options: Any) -> None:
        self.say_json(find(store, options["id"]))


class ImportVerb(WorkflowVerb):
    """Store workflows from files."""

    help = "store workflows or graphs from JSON files; - reads stdin"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        add_json_option(parser)
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--id", help="the id to store a single workflow under")
        parser.add_argument("--name", help="the name of a single workflow")
        parser.add_argument("--replace", action="store_true")

    def work(self, store: WorkflowStore, **options: Any) -> None:
        found = [
            each
            for source in options["files"]
            for each in imports_of(parse_json(source), source)
        ]
        if len(found) != 1 and (options["id"] or options["name"]):
            self.parser.error("--id and --name are for a single workflow")
        if options["id"]:
            found = [each._replace(workflow_id=options["id"]) for each in found]
        if options["name"]:
            named = {"name": options["name"]}
            found = [e._replace(request={**e.request, **named}) for e in found]
        stored = store.store(found, replace=options["replace"])
        if options["json"]:
            self.say_json({"workflows": stored})
        else:
            for document in stored:
                self.say(f"Imported {document['id']} {document['name']}")


class ExportVerb(WorkflowVerb):
    """Write workflows as files that ``import`` reads."""

    help = "write a workflow, or all of them, as JSON"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        parser.add_argument("id", nargs="?")
        parser.add_argument("--output", type=Path, metavar="FILE")
        parser.add_argument("--all", action="store_true", help="all, with --dir")
        parser.add_argument("--dir", type=Path, metavar="FOLDER")

    def work(self, store: WorkflowStore, **options: Any) -> None:
        if options["all"]:
            if options["id"] or not options["dir"]:
                self.parser.error("--all needs --dir and no ID")
            self._export_all(store, options["dir"])
        elif not options["id"]:
            self.parser.error("an ID or --all is needed")
        else:
            text = pretty(find(store, options["id"]))
            if options["output"]:
                _write(options["output"], text)
            else:
                self.say(text)

    def _export_all(self, store: WorkflowStore, folder: Path) -> None:
        for document in store.owned():
            if not is_usable_id(document["id"]):  # a server's word is no path
                raise CommandError(f"Unusable workflow id {document['id']!r}")
            path = folder / f"{document['id']}.json"
            _write(path, pretty(document))
            self.say(str(path))


class ValidateVerb(WorkflowVerb):
    """Say what keeps a workflow from running."""

    help = "check the graph of a workflow or of a file"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        add_json_option(parser)
        parser.add_argument("source", metavar="ID|FILE")

    def work(self, store: WorkflowStore, **options: Any) -> None:
        source = options["source"]
        if source == STDIN or Path(source).is_file():
            graph = read_graph(parse_json(source))
        else:
            graph = find(store, source)["graph"]
        answer = store.check(graph)
        if options["json"]:
            self.say_json(answer)
        else:
            for problem in answer["problems"]:
                self.say(_problem_line(problem))
        if not answer["valid"]:
            raise CommandError(f"{source} cannot run")


class DeleteVerb(WorkflowVerb):
    """Delete one workflow."""

    help = "delete a workflow"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        parser.add_argument("id")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def work(self, store: WorkflowStore, **options: Any) -> None:
        workflow_id = options["id"]
        if not options["yes"]:
            document = find(store, workflow_id)
            if not self.is_sure(f"Delete workflow {workflow_id} ({document['name']})?"):
                raise CommandError("Nothing deleted.")
        try:
            store.delete(workflow_id)
        except WorkflowNotFound as error:
            raise CommandError(f"Workflow {workflow_id} not found") from error
        self.say(f"Deleted {workflow_id}")


def find(store: WorkflowStore, workflow_id: str) -> Json:
    """Return a workflow; a missing one ends the command.

    Raises:
        CommandError: there is none.
    """
    try:
        return store.get(workflow_id)
    except WorkflowNotFound as error:
        raise CommandError(f"Workflow {workflow_id} not found") from error


def _all_of(store: WorkflowStore, kind: str) -> Iterator[tuple[str, Json]]:
    if kind in ("user", "all"):
        yield from (("user", document) for document in store.owned())
    if kind in ("example", "all"):
        yield from (("example", document) for document in store.examples())


def _row(kind: str, document: Json) -> tuple[str | None, ...]:
    return (
        document["id"],
        document["name"],
        kind,
        document["package_name"],
        document["updated_at"][:19].replace("T", " "),
    )


def _problem_line(problem: Json) -> str:
    places = (problem["node_id"] or problem["edge_id"], problem["property"])
    place = ".".join(filter(None, places)) or "graph"
    cure = f"; {problem['cure']}" if problem["cure"] else ""
    return f"{problem['severity']} {place}: {problem['message']}{cure}"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}") from error
