"""Answers made of stored texts: bytes are joined, nothing is parsed."""

from collections.abc import Iterable

import msgspec
from django.http import HttpResponse

from nodetool_site.lib.pagination import TimePosition, encode_position
from nodetool_site.lib.rendering import JSON_TYPE, encode_json
from workflows.documents import only_columns, to_text
from workflows.errors import WorkflowNotFound
from workflows.reads import Page


def one(document: str | None, workflow_id: str) -> HttpResponse:
    """Answer with one workflow.

    Raises:
        WorkflowNotFound: there is none.
    """
    if document is None:
        raise WorkflowNotFound(workflow_id)
    return HttpResponse(document.encode(), content_type=JSON_TYPE)


def page(found: Page, columns: frozenset[str] = frozenset()) -> HttpResponse:
    """Answer with one page of a list, reduced to ``columns`` if there are any."""
    documents: Iterable[str] = found.documents
    if columns:
        decoded = map(msgspec.json.decode, documents)
        documents = (to_text(only_columns(each, columns)) for each in decoded)
    return workflow_list(documents, found.next_position)


def workflow_list(
    documents: Iterable[str], next_position: TimePosition | None = None
) -> HttpResponse:
    """Answer with workflows as they are stored."""
    cursor = encode_json(encode_position(next_position))
    head = b'{"next":%b,"workflows":[' % cursor
    body = b"".join((head, ",".join(documents).encode(), b"]}"))
    return HttpResponse(body, content_type=JSON_TYPE)
