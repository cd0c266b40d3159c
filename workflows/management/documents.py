"""Workflow documents in files, as people and other servers write them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import CommandError

from workflows.ids import is_usable_id
from workflows.management.stores import Import

Json = dict[str, Any]


def parse_json(source: str) -> Json:
    """Return the JSON object in a file; ``-`` is stdin.

    Raises:
        CommandError: it cannot be read, or holds something else.
    """
    name = _shown(source)
    try:
        body = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        document = msgspec.json.decode(body)
    except OSError as error:
        raise CommandError(f"Cannot read {name}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CommandError(f"{name} is not JSON: {error}") from error
    return _object(document, source)


def imports_of(document: Json, source: str) -> Iterator[Import]:
    """Yield what a file wants stored.

    It holds a workflow, a request for one, a bare graph, or a list of workflows as
    the API answers it. Only a workflow brings an id.
    """
    if isinstance(document.get("workflows"), list):
        for each in document["workflows"]:
            yield from imports_of(_object(each, source), source)
        return
    name = "Untitled" if source == "-" else Path(source).stem
    if "graph" not in document and "nodes" in document:
        document = {"graph": document}
    request = {"name": name, "access": "private", **document}
    workflow_id = document.get("id")
    is_id = isinstance(workflow_id, str) and is_usable_id(workflow_id)
    yield Import(request, workflow_id if is_id else None)


def _object(document: object, source: str) -> Json:
    if not isinstance(document, dict):
        raise CommandError(f"{_shown(source)} holds no JSON object")
    return document


def _shown(source: str) -> str:
    return "stdin" if source == "-" else source


def read_graph(document: Json) -> object:
    """Return the graph of a workflow, or the document itself: a bare graph."""
    return document.get("graph", document)


def speaks_of(document: Json, query: str) -> bool:
    """Whether the query is in the name or the description, whatever its case."""
    wanted = query.casefold()
    return any(
        wanted in (document[field] or "").casefold()
        for field in ("name", "description")
    )
