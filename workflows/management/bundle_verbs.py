"""``nodetool workflows export-bundle`` and ``import-bundle``: ZIP files with assets."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser

from storage.management.nouns import add_json_option
from workflows.errors import WorkflowNotFound
from workflows.management.stores import WorkflowStore
from workflows.management.workflow_verbs import WorkflowVerb


class ExportBundleVerb(WorkflowVerb):
    """Write a workflow and the files it refers to."""

    help = "write a workflow with the files it refers to, as a ZIP file"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        parser.add_argument("id")
        parser.add_argument("--output", type=Path, metavar="FILE", help="else stdout")

    def work(self, store: WorkflowStore, **options: Any) -> None:
        output = options["output"]
        if output is None and sys.stdout.isatty():
            self.parser.error("a ZIP file is nothing for a terminal: --output FILE")
        try:
            if output is None:
                store.write_bundle(options["id"], sys.stdout.buffer)
            else:
                with _new_file(output) as file:
                    store.write_bundle(options["id"], file)
        except WorkflowNotFound as error:
            raise CommandError(f"Workflow {options['id']} not found") from error


class ImportBundleVerb(WorkflowVerb):
    """Store what ``export-bundle`` wrote, under new ids."""

    help = "store a workflow with its files from a ZIP file"

    def add_options(self, parser: CommandParser) -> None:
        super().add_options(parser)
        add_json_option(parser)
        parser.add_argument("file", type=Path, metavar="FILE")

    def work(self, store: WorkflowStore, **options: Any) -> None:
        with _opened(options["file"]) as file:
            document = store.read_bundle(file)
        if options["json"]:
            self.say_json(document)
        else:
            self.say(f"Imported {document['id']} {document['name']}")


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when it is whole."""
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise CommandError(f"Cannot read {path}: {error.strerror}") from error
    with file:
        yield file
