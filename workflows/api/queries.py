"""Query strings of the workflow lists."""

from collections.abc import Mapping
from typing import NamedTuple

from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.pagination import TimePosition, decode_position, page_limit
from workflows.documents import DOCUMENT_FIELDS


class ListQuery(NamedTuple):
    """What part of a list is asked for."""

    limit: int
    after: TimePosition | None
    columns: frozenset[str]


def read_list_query(query: Mapping[str, str]) -> ListQuery:
    """Return the page and the columns that the client wants.

    Raises:
        ValidationFailed: the limit is no number.
        BadRequest: an unreadable cursor, or a column that does not exist.
    """
    after = decode_position(query.get("cursor"))
    return ListQuery(page_limit(query), after, _columns(query))


def _columns(query: Mapping[str, str]) -> frozenset[str]:
    names = query.get("columns", "").split(",")
    columns = frozenset(name.strip() for name in names if name.strip())
    unknown = sorted(columns.difference(DOCUMENT_FIELDS))
    if unknown:
        raise BadRequest(f"Unknown column: {', '.join(unknown)}")
    return columns
