"""How the API's schema speaks of stored workflows and node types.

Apart from the views, because drf-spectacular takes its time to import. Importing this
module is enough: extensions register themselves.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema

from nodetool_site.lib.api_schema import (
    BINARY,
    FLAG,
    GRAPH,
    MAPPING,
    NULL,
    TEXT,
    WHOLE,
    Json,
    array_of,
    describe_views,
    errors,
    object_of,
    optional,
    query,
)
from workflows.documents import DOCUMENT_FIELDS
from workflows.models import Access, SaveType

ACCESS: Json = {"type": "string", "enum": list(Access.values)}
_SAID = {
    "name": TEXT,
    "access": ACCESS,
    "description": TEXT,
    "tags": optional(array_of(TEXT)),
    "graph": GRAPH,
    "settings": optional(MAPPING),
}
_DERIVED = {
    **dict.fromkeys(("id", "created_at", "updated_at", "etag"), TEXT),
    "input_schema": optional(MAPPING),
    "output_schema": optional(MAPPING),
    "required_providers": optional(array_of(TEXT)),
    "required_models": optional(array_of(MAPPING)),
}
WORKFLOW = object_of(
    {
        name: _SAID.get(name) or _DERIVED.get(name) or optional(TEXT)
        for name in DOCUMENT_FIELDS
    }
)
WORKFLOW_LIST = object_of(
    {"next": optional(TEXT), "workflows": array_of(WORKFLOW)}, {"total": WHOLE}
)
# What the server derives itself is not read.
WORKFLOW_REQUEST = object_of(
    {"name": TEXT, "access": ACCESS, "graph": GRAPH},
    {
        **dict.fromkeys(
            (
                "description",
                "thumbnail",
                "thumbnail_url",
                "tool_name",
                "package_name",
                "path",
                "run_mode",
                "workspace_id",
                "html_app",
            ),
            optional(TEXT),
        ),
        "tags": optional(array_of(TEXT)),
        "settings": optional(MAPPING),
    },
)
PROBLEM = object_of(
    {
        "node_id": optional(TEXT),
        "edge_id": optional(TEXT),
        "property": optional(TEXT),
        "severity": {"type": "string", "enum": ["error", "warning"]},
        "message": TEXT,
        "cure": optional(TEXT),
    }
)
NODE_TYPE = object_of(
    {
        **dict.fromkeys(
            ("title", "description", "namespace", "node_type", "layout"), TEXT
        ),
        **dict.fromkeys(
            (
                "is_dynamic",
                "is_streaming_output",
                "expose_as_tool",
                "supports_dynamic_outputs",
            ),
            FLAG,
        ),
    },
    {
        "properties": array_of(MAPPING),
        "outputs": array_of(MAPPING),
        "is_available": FLAG,
        "unavailable_reason": TEXT,
    },
)
TOOL = object_of({"name": TEXT, "tool_name": optional(TEXT), "description": TEXT})

SAVE_TYPE: Json = {"type": "string", "enum": list(SaveType.values)}
VERSION = object_of(
    {
        "id": TEXT,
        "workflow_id": TEXT,
        "version": WHOLE,
        "created_at": TEXT,
        "name": TEXT,
        "description": TEXT,
        "graph": GRAPH,
        "save_type": SAVE_TYPE,
        "autosave_metadata": optional(MAPPING),
    }
)
VERSION_LIST = object_of({"next": optional(TEXT), "versions": array_of(VERSION)})
AUTOSAVE = object_of(
    {},
    {
        "save_type": SAVE_TYPE,
        "description": optional(TEXT),
        "force": FLAG,
        "client_id": optional(TEXT),
        "graph": optional(GRAPH),
        "max_versions": optional(WHOLE),
    },
)
DIFF = object_of(
    dict.fromkeys(
        (
            "added_nodes",
            "removed_nodes",
            "changed_nodes",
            "added_edges",
            "removed_edges",
        ),
        array_of(MAPPING),
    )
)

PAGE = [
    query("limit", WHOLE, "Rows of a page, 1 to 500."),
    query("cursor", TEXT, "`next` of the page before."),
    query(
        "columns", TEXT, "The fields to fill, comma-separated; the others are empty."
    ),
]


def _reads(answer: Json, *codes: int, parameters: Any = ()) -> Any:
    return extend_schema(
        parameters=list(parameters), responses={200: answer, **errors(*codes)}
    )


def _writes(body: Json, answer: Json, *codes: int, parameters: Any = ()) -> Any:
    return extend_schema(
        request={"application/json": body},
        parameters=list(parameters),
        responses={200: answer, **errors(404, 413, 422, *codes)},
    )


describe_views(
    "workflows.api",
    {
        "views.WorkflowCollection": {
            "get": _reads(
                WORKFLOW_LIST,
                422,
                parameters=[*PAGE, query("run_mode", TEXT, "Only those of this mode.")],
            ),
            "post": _writes(
                WORKFLOW_REQUEST,
                WORKFLOW,
                parameters=[
                    query("from_example_package", TEXT, "Start from this example."),
                    query("from_example_name", TEXT, "Its name."),
                ],
            ),
        },
        "views.WorkflowDetail": {
            "get": _reads(WORKFLOW, 404),
            "put": _writes(WORKFLOW_REQUEST, WORKFLOW),
            "delete": _reads(NULL, 404),
        },
        "version_views.VersionCollection": {
            "get": _reads(VERSION_LIST, 404, 422, parameters=PAGE[:2]),
            "post": _writes(
                object_of({}, {"name": optional(TEXT), "description": optional(TEXT)}),
                VERSION,
            ),
        },
        "version_views.VersionDetail": {
            "get": _reads(VERSION, 404),
            "delete": _reads(object_of({"success": FLAG}), 404),
        },
        "version_views.VersionRestore": {"post": _writes(object_of({}), WORKFLOW)},
        "version_views.VersionDiff": {
            "get": _reads(
                DIFF,
                404,
                parameters=[
                    query("to", TEXT, "Another version; without it the present graph.")
                ],
            )
        },
        "version_views.WorkflowAutosave": {
            "post": _writes(
                AUTOSAVE,
                object_of(
                    {"version": optional(VERSION), "message": TEXT, "skipped": FLAG}
                ),
            )
        },
        "views.WorkflowApp": {
            "get": extend_schema(responses={(200, "text/html"): TEXT, **errors(404)})
        },
        "bundle_views.BundleExport": {
            "get": extend_schema(
                responses={(200, "application/zip"): BINARY, **errors(404, 413)}
            )
        },
        "bundle_views.BundleImport": {
            "post": extend_schema(
                request={"multipart/form-data": object_of({"file": BINARY})},
                responses={200: WORKFLOW, **errors(413, 415, 422)},
            )
        },
        "views.WorkflowNames": {
            "get": _reads({"type": "object", "additionalProperties": TEXT})
        },
        "views.WorkflowTools": {
            "get": _reads(
                object_of({"next": optional(TEXT), "workflows": array_of(TOOL)}),
                422,
                parameters=PAGE,
            )
        },
        "views.PublicCollection": {"get": _reads(WORKFLOW_LIST, 422, parameters=PAGE)},
        "views.PublicDetail": {"get": _reads(WORKFLOW, 404)},
        "views.WorkflowValidation": {
            "post": _writes(
                object_of({"graph": GRAPH}),
                object_of({"valid": FLAG, "problems": array_of(PROBLEM)}),
            )
        },
        "views.ExampleCollection": {"get": _reads(WORKFLOW_LIST)},
        "views.ExampleSearch": {
            "get": _reads(
                WORKFLOW_LIST, parameters=[query("query", TEXT, "What they speak of.")]
            )
        },
        "views.ExampleDetail": {"get": _reads(WORKFLOW, 404)},
        "node_views.NodeMetadata": {
            "get": _reads(
                array_of(NODE_TYPE),
                404,
                422,
                parameters=[
                    query("node_type", TEXT, "Only this type."),
                    query("namespace", TEXT, "How their names begin."),
                    query("query", TEXT, "What they speak of."),
                    query("limit", WHOLE, "How many at most."),
                    query(
                        "fields",
                        {"type": "string", "enum": ["full", "slim"]},
                        "Whether with properties and outputs.",
                    ),
                ],
            )
        },
    },
)
