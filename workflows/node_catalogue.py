"""Which node types exist, as editors and the command line read it."""

from functools import cache
from typing import Any

from django.conf import settings

from nodetool_site.lib.rendering import encode_json
from workflows.engine.errors import UnknownNodeType
from workflows.engine.schema import all_metadata, node_metadata, slim_metadata
from workflows.node_policy import refusal
from workflows.nodes import registry

Json = dict[str, Any]


def find_metadata(node_type: str, *, is_slim: bool = False) -> Json | None:
    """Return one node type; older spellings are understood."""
    describe = slim_metadata if is_slim else node_metadata
    try:
        return _marked(describe(registry.get(node_type)))
    except UnknownNodeType:
        return None


def select_metadata(
    *, namespace: str = "", query: str = "", is_slim: bool = False
) -> list[Json]:
    """Return the types whose namespace begins so and that speak of ``query``."""
    wanted = query.casefold()
    return [
        metadata
        for metadata in _all_metadata(is_slim=is_slim)
        if metadata["namespace"].startswith(namespace)
        and wanted in _searchable(metadata)
    ]


def whole_answer(*, is_slim: bool) -> bytes:
    """Return all node types as JSON, encoded once: classes load at start-up only."""
    return _encoded(settings.SERVER_MODE, is_slim=is_slim)


@cache
def _encoded(mode: str, *, is_slim: bool) -> bytes:
    return encode_json(_all_metadata(is_slim=is_slim))


def _all_metadata(*, is_slim: bool) -> list[Json]:
    return [_marked(each) for each in all_metadata(registry, slim=is_slim)]


def _marked(metadata: Json) -> Json:
    """Return a type's metadata; of one that the mode leaves out also the reason."""
    reason = refusal(metadata["node_type"])
    if reason is None:
        return metadata
    return {**metadata, "is_available": False, "unavailable_reason": reason}


def _searchable(metadata: Json) -> str:
    words = (metadata["node_type"], metadata["title"], metadata["description"])
    return "\n".join(words).casefold()
