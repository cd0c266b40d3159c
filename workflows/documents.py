"""The wire form of a workflow: built once, when it is saved, and stored as text."""

from datetime import datetime
from typing import Any

import msgspec

from nodetool_site.lib.rendering import encode_json, etag_of, format_time
from workflows.io_schemas import input_schema, output_schema

Json = dict[str, Any]

DOCUMENT_FIELDS = (
    "id",
    "access",
    "created_at",
    "updated_at",
    "name",
    "tool_name",
    "description",
    "tags",
    "thumbnail",
    "thumbnail_url",
    "graph",
    "input_schema",
    "output_schema",
    "settings",
    "package_name",
    "path",
    "run_mode",
    "workspace_id",
    "required_providers",
    "required_models",
    "html_app",
    "etag",
)
_EMPTY: Json = {
    **dict.fromkeys(DOCUMENT_FIELDS),
    **dict.fromkeys(
        ("id", "access", "created_at", "updated_at", "name", "description", "etag"), ""
    ),
    "graph": {"nodes": [], "edges": []},
}


class WorkflowFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says about a workflow; everything else is derived."""

    name: str
    graph: Json
    access: str = "private"
    tool_name: str | None = None
    description: str = ""
    tags: list[str] | None = None
    thumbnail: str | None = None
    thumbnail_url: str | None = None
    settings: Json | None = None
    package_name: str | None = None
    path: str | None = None
    run_mode: str | None = None
    workspace_id: str | None = None
    html_app: str | None = None


def build_document(
    fields: WorkflowFields,
    *,
    workflow_id: str,
    created_at: datetime,
    updated_at: datetime,
) -> Json:
    """Return the complete Workflow object; the graph in ``fields`` is normalised."""
    known = {
        **msgspec.structs.asdict(fields),
        "id": workflow_id,
        "created_at": format_time(created_at),
        "updated_at": format_time(updated_at),
        "input_schema": input_schema(fields.graph),
        "output_schema": output_schema(fields.graph),
    }
    document = {name: known.get(name) for name in DOCUMENT_FIELDS if name != "etag"}
    return {**document, "etag": etag_of(document)}


def fields_of(document: Json) -> WorkflowFields:
    """Return what a stored Workflow object was built from."""
    names = WorkflowFields.__struct_fields__
    return WorkflowFields(**{name: document[name] for name in names})


def only_columns(document: Json, columns: frozenset[str]) -> Json:
    """Return the document with the value of every other field empty, but for the id."""
    return {
        name: document[name] if name in columns or name == "id" else empty
        for name, empty in _EMPTY.items()
    }


def to_text(document: Json) -> str:
    """Return the compact JSON text of an object that came from JSON."""
    return encode_json(document).decode()
