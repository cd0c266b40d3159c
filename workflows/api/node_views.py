"""Node types over HTTP."""

from django.http import HttpResponse
from rest_framework.request import Request

from nodetool_site.lib.api import AsyncAPIView, json_response
from nodetool_site.lib.errors import NotFound, ValidationFailed, problem
from nodetool_site.lib.pagination import MAX_LIMIT, page_limit
from nodetool_site.lib.rendering import JSON_TYPE
from workflows import node_catalogue

FILTERS = ("namespace", "query", "limit")


class NodeMetadata(AsyncAPIView):
    """What an editor knows of the node types. Reads no database."""

    async def get(self, request: Request) -> HttpResponse:
        """Return them all, or those that the query asks for."""
        query = request.query_params
        is_slim = _is_slim(query.get("fields", "full"))
        node_type = query.get("node_type", "")
        if node_type:
            found = node_catalogue.find_metadata(node_type, is_slim=is_slim)
            if found is None:
                raise NotFound(f"Node type not found: {node_type}")
            return json_response([found])
        if not any(query.get(name) for name in FILTERS):
            whole = node_catalogue.whole_answer(is_slim=is_slim)
            return HttpResponse(whole, content_type=JSON_TYPE)
        selected = node_catalogue.select_metadata(
            namespace=query.get("namespace", ""),
            query=query.get("query", ""),
            is_slim=is_slim,
        )
        return json_response(selected[: page_limit(query, default=MAX_LIMIT)])


def _is_slim(fields: str) -> bool:
    if fields not in ("slim", "full"):
        where = ("query", "fields")
        raise ValidationFailed([problem("enum", where, "slim or full", fields)])
    return fields == "slim"
