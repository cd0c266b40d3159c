"""The words that every app's ``api/schema.py`` describes its views with.

Apart from ``lib/api.py``, because drf-spectacular takes its time to import: only what
makes the description of the API imports this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, extend_schema_view

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
WHOLE: Json = {"type": "integer"}
FLAG: Json = {"type": "boolean"}
NULL: Json = {"type": "null"}
ANY: Json = {}
MAPPING: Json = {"type": "object", "additionalProperties": True}
BINARY: Json = {"type": "string", "format": "binary"}
WRITING = frozenset({"POST", "PUT", "PATCH"})


def optional(schema: Json) -> Json:
    """Return a schema that also takes null."""
    return {"oneOf": [schema, {"type": "null"}]}


def array_of(schema: Json) -> Json:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def object_of(required: Json, may_have: Json | None = None) -> Json:
    """Return the schema of an object; members beyond these may come."""
    return {
        "type": "object",
        "properties": {**required, **(may_have or {})},
        "required": list(required),
        "additionalProperties": True,
    }


GRAPH = object_of({}, {"nodes": array_of(MAPPING), "edges": array_of(MAPPING)})
ERROR = object_of(
    {"detail": TEXT, "code": TEXT, "retryable": FLAG}, {"errors": array_of(MAPPING)}
)


def query(name: str, schema: Json, description: str) -> OpenApiParameter:
    """Return a parameter of the query."""
    return OpenApiParameter(name, schema, "query", description=description)


def header(name: str, description: str) -> OpenApiParameter:
    """Return a header that a request may have."""
    return OpenApiParameter(name, TEXT, "header", description=description)


def errors(*codes: int, schema: Json = ERROR) -> dict[Any, Json]:
    """Return the error answers of an operation, with those that every one has.

    A bad Host, no credential, one of too few scopes, a limit, a database that is away.
    """
    return dict.fromkeys((400, 401, 403, 429, *codes, 503), schema)


class Schema(AutoSchema):
    """Describes views that say nothing of themselves, and names operations by path.

    Such a view takes and answers JSON of any shape: its ``api/schema.py`` says more.
    """

    def get_operation_id(self) -> str:
        """Return method and path as one word: no two operations share it."""
        return "_".join(re.findall(r"[a-zA-Z0-9]+", f"{self.method} {self.path}"))

    def get_request_serializer(self) -> Any:
        """Return what a body looks like."""
        is_writing = self.method in WRITING
        return {"application/json": MAPPING} if is_writing else None

    def get_response_serializers(self) -> Any:
        """Return what the answers look like."""
        return {200: {"description": "Any JSON value."}, **errors(404)}


class _Described(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    """A view whose methods are described apart from it."""

    methods: Json

    def view_replacement(self) -> Any:
        """Return the view with its descriptions; the served one stays as it is."""
        view: Any = self.target
        return extend_schema_view(**self.methods)(type(view.__name__, (view,), {}))


def describe_views(package: str, views: Mapping[str, Json]) -> None:
    """Describe the views of a package: ``module.Class`` to its methods' descriptions.

    The values are those of ``extend_schema``.
    """
    for name, methods in views.items():
        members = {"target_class": f"{package}.{name}", "methods": methods}
        type(name, (_Described,), members)
