"""Query strings of the workflow lists."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.pagination import decode_cursor, page_limit
from nodetool_site.lib.pagination import read_text as read_text
from workflows.documents import DOCUMENT_FIELDS
from workflows.reads import Position


class ListQuery(NamedTuple):
    """What part of a list is asked for."""

    limit: int
    after: Position | None
    columns: frozenset[str]


def read_list_query(query: Mapping[str, str]) -> ListQuery:
    """Return the page and the columns that the client wants.

    Raises:
        ValidationFailed: the limit is no number.
        BadRequest: an unreadable cursor, or a column that does not exist.
    """
    return ListQuery(page_limit(query), _position(query), _columns(query))


def _position(query: Mapping[str, str]) -> Position | None:
    position = decode_cursor(query.get("cursor"), tuple[str, str])
    if position is None:
        return None
    try:
        moment = datetime.fromisoformat(position[0])
    except ValueError as error:
        raise BadRequest("Unreadable cursor") from error
    if moment.tzinfo is None:
        raise BadRequest("Unreadable cursor")
    return Position(*position)


def _columns(query: Mapping[str, str]) -> frozenset[str]:
    names = query.get("columns", "").split(",")
    columns = frozenset(name.strip() for name in names if name.strip())
    unknown = sorted(columns.difference(DOCUMENT_FIELDS))
    if unknown:
        raise BadRequest(f"Unknown column: {', '.join(unknown)}")
    return columns
