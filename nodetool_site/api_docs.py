"""The description of the API, for programs and for people; in desktop mode."""

import asyncio

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from rest_framework.request import Request

from nodetool_site.lib.api import AsyncAPIView
from nodetool_site.lib.errors import ValidationFailed, problem
from nodetool_site.lib.rendering import JSON_TYPE

YAML_TYPE = "application/vnd.oai.openapi"
YAML_WORDS = ("yaml", "vnd.oai.openapi")
# Swagger UI sets styles from its script, and has its pictures in its style sheet.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


class ApiSchema(AsyncAPIView):
    """The OpenAPI 3.1 document of this server."""

    async def get(self, request: Request) -> HttpResponse:
        """Return it as JSON, or as YAML where that is asked for."""
        accept = request.META.get("HTTP_ACCEPT", "")
        is_yaml = _is_yaml(request.query_params.get("format", ""), accept)
        body = await asyncio.to_thread(_document, is_yaml=is_yaml)
        return HttpResponse(body, content_type=YAML_TYPE if is_yaml else JSON_TYPE)


class ApiDocs(AsyncAPIView):
    """A page to read and try the API with; it loads nothing from elsewhere."""

    async def get(self, request: Request) -> HttpResponse:
        """Return the page; the document, it asks the API for."""
        page = await asyncio.to_thread(_page, request._request)
        response = HttpResponse(page)
        response["Content-Security-Policy"] = POLICY
        response["Cache-Control"] = "no-cache"
        return response


def _is_yaml(wanted: str, accept: str) -> bool:
    """Tell which form is asked for: the query wins, and JSON where nothing is said."""
    if wanted not in ("", "json", "yaml"):
        raise ValidationFailed(
            [problem("enum", ("query", "format"), "json or yaml", wanted)]
        )
    if wanted:
        return wanted == "yaml"
    return "json" not in accept and any(word in accept for word in YAML_WORDS)


def _document(*, is_yaml: bool) -> bytes:
    # Imported at the first request: nobody else pays for the generator.
    from nodetool_site import api_description

    return api_description.as_yaml() if is_yaml else api_description.as_json()


def _page(request: HttpRequest) -> str:
    return render_to_string("nodetool_site/api_docs.html", request=request)
