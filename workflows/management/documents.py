"""Workflow documents in files, as people and other servers write them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import CommandError

from nodetool_site.lib.errors import BadRequest
from workflows.ids import is_usable_id
from workflows.import_forms import requests_in
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
    """Yield what a file wants stored; only a workflow brings an id.

    Raises:
        CommandError: a workflow in a list is no object.
    """
    name = "Untitled" if source == "-" else Path(source).stem
    try:
        for request in requests_in(document, name):
            workflow_id = request.get("id")
            is_id = isinstance(workflow_id, str) and is_usable_id(workflow_id)
            yield Import(request, workflow_id if is_id else None)
    except BadRequest as error:
        raise CommandError(f"{_shown(source)} holds no JSON object") from error


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
