"""The OpenAPI document of the server, made at the first request for it.

What it is made of takes most of a second and tens of megabytes to import, so nothing
imports this module before somebody asks.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from django.apps import apps
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema

from nodetool_site import auth_schema
from nodetool_site.api_docs import YAML_TYPE
from nodetool_site.lib.api_schema import (
    MAPPING,
    NUMBER,
    TEXT,
    Json,
    describe_views,
    errors,
    object_of,
    query,
)
from nodetool_site.lib.rendering import encode_json

FORM: Json = {"type": "string", "enum": ["json", "yaml"]}
describe_views(
    "nodetool_site.api_docs",
    {
        "ApiSchema": {
            "get": extend_schema(
                parameters=[query("format", FORM, "Wins over `Accept`.")],
                responses={
                    200: MAPPING,
                    (200, YAML_TYPE): TEXT,
                    **errors(404, 422),
                },
            )
        },
        "ApiDocs": {
            "get": extend_schema(responses={(200, "text/html"): TEXT, **errors(404)})
        },
    },
)
PROBES: dict[str, tuple[str, Json]] = {
    "/health": (
        "Liveness: the process serves.",
        object_of({"status": TEXT, "version": TEXT, "timestamp": TEXT}),
    ),
    "/ping": (
        "Liveness, the short form.",
        object_of({"status": TEXT, "timestamp": TEXT}),
    ),
    "/api/health": (
        "Version, and uptime in whole seconds.",
        object_of({"version": TEXT, "uptime": NUMBER}),
    ),
    "/ready": (
        "Readiness: every part that requests need answers too.",
        object_of({"status": TEXT}, {"checks": MAPPING}),
    ),
}


@cache
def document() -> Json:
    """Return the description of every route. Shared: do not change it."""
    _load_descriptions()
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    found: Json = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    found["paths"].update({path: _probe(path) for path in PROBES})
    return found


@cache
def as_json() -> bytes:
    """Return the document as JSON."""
    return encode_json(document())


@cache
def as_yaml() -> bytes:
    """Return the document as YAML."""
    renderer = OpenApiYamlRenderer()
    return bytes(renderer.render(document(), renderer_context={}))  # type: ignore[no-untyped-call]


def _probe(path: str) -> Json:
    """Describe a probe, which is no view of REST framework."""
    summary, schema = PROBES[path]
    answers = {"200": _answer(schema)}
    if path == "/ready":
        answers["503"] = _answer(schema)
    operation = {
        "operationId": "GET" + path.replace("/", "_"),
        "description": summary,
        "tags": ["health"],
        "responses": answers,
    }
    return {"get": operation}


def _answer(schema: Json) -> Json:
    return {"description": "", "content": {"application/json": {"schema": schema}}}


def _load_descriptions() -> None:
    """Import what every app has to say of its views."""
    assert auth_schema.BearerScheme.name
    for app in apps.get_app_configs():
        name = f"{app.name}.api.schema"
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            # An app without views of its own, or a package outside of this project.
            if error.name not in (name, f"{app.name}.api"):
                raise
