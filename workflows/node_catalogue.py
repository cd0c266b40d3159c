"""Which node types exist, as editors and the command line read it."""

from functools import cache
from typing import Any

from nodetool_site.lib.rendering import encode_json
from workflows.engine.errors import UnknownNodeType
from workflows.engine.schema import all_metadata, node_metadata, slim_metadata
from workflows.nodes import registry

Json = dict[str, Any]


def find_metadata(node_type: str, *, is_slim: bool = False) -> Json | None:
    """Return one node type; older spellings are understood."""
    describe = slim_metadata if is_slim else node_metadata
    try:
        return describe(registry.get(node_type))
    except UnknownNodeType:
        return None


def select_metadata(
    *, namespace: str = "", query: str = "", is_slim: bool = False
) -> list[Json]:
    """Return the types whose namespace begins so and that speak of ``query``."""
    wanted = query.casefold()
    return [
        metadata
        for metadata in all_metadata(registry, slim=is_slim)
        if metadata["namespace"].startswith(namespace)
        and wanted in _searchable(metadata)
    ]


@cache
def whole_answer(*, is_slim: bool) -> bytes:
    """Return all node types as JSON, encoded once: classes load at start-up only."""
    return encode_json(all_metadata(registry, slim=is_slim))


def _searchable(metadata: Json) -> str:
    words = (metadata["node_type"], metadata["title"], metadata["description"])
    return "\n".join(words).casefold()
