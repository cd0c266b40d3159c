"""Hot reads: one fixed statement through a cursor, the stored texts as they are.

A list of 100 workflows costs a query and a join of texts here; model instances and a
serializer would cost ten times that.
"""

from typing import Any, NamedTuple

import msgspec
from django.db import connection

from nodetool_site.lib.pagination import TimePosition
from nodetool_site.lib.sql_times import adapt, aware
from workflows.engine.context import SavedWorkflow
from workflows.shipped_examples import example_tools

_OWNED = "owner_id = %s"
_PUBLIC = "access = 'public'"
_VISIBLE = "id = %s AND (owner_id = %s OR access = 'public')"
_NEWEST_FIRST = " ORDER BY updated_at DESC, id DESC LIMIT %s"


MAX_TOOLS = 100


class _Stored(msgspec.Struct):
    id: str
    name: str
    description: str
    graph: msgspec.Raw
    input_schema: dict[str, Any]
    tool_name: str | None = None
    run_mode: str | None = None

    def shown(self) -> SavedWorkflow:
        return SavedWorkflow(
            id=self.id,
            name=self.name,
            description=self.description,
            tool_name=self.tool_name or "",
            run_mode=self.run_mode or "",
            graph=bytes(self.graph),
            input_schema=self.input_schema,
        )


_decode_saved = msgspec.json.Decoder(_Stored).decode


class Page(NamedTuple):
    """Some rows of a list, and where the next page starts; None: nothing is left."""

    documents: list[str]
    next_position: TimePosition | None


def read_document(workflow_id: str, *, user_id: str) -> str | None:
    """Return a workflow that the user may see as JSON text."""
    return _one(_VISIBLE, [workflow_id, user_id])


def read_public_document(workflow_id: str) -> str | None:
    """Return a public workflow as JSON text."""
    return _one("id = %s AND " + _PUBLIC, [workflow_id])


def list_owned(
    user_id: str,
    *,
    limit: int,
    after: TimePosition | None = None,
    run_mode: str | None = None,
) -> Page:
    """Return the user's workflows, the last changed first."""
    if run_mode is None:
        return _page(_OWNED, [user_id], limit=limit, after=after)
    where = _OWNED + " AND run_mode = %s"
    return _page(where, [user_id, run_mode], limit=limit, after=after)


def list_tools(user_id: str, *, limit: int, after: TimePosition | None = None) -> Page:
    """Return the user's workflows that a model may call as a tool."""
    where = _OWNED + " AND run_mode = 'tool' AND tool_name <> ''"
    return _page(where, [user_id], limit=limit, after=after)


def list_public(*, limit: int, after: TimePosition | None = None) -> Page:
    """Return everybody's public workflows."""
    return _page(_PUBLIC, [], limit=limit, after=after)


def may_run(workflow_id: str, *, user_id: str) -> bool:
    """Tell whether there is a workflow of that id that the user may run."""
    with connection.cursor() as cursor:
        cursor.execute(_select("1", _VISIBLE), [workflow_id, user_id])
        return cursor.fetchone() is not None


def read_runnable(workflow_id: str, *, user_id: str) -> SavedWorkflow | None:
    """Return a workflow that the user may run."""
    document = read_document(workflow_id, user_id=user_id)
    return None if document is None else _saved(document)


def read_tools(user_id: str) -> list[SavedWorkflow]:
    """Return the workflows that a model may call as a tool for a user.

    The first 100 of the user's own, then the examples that are tools.
    """
    own = list_tools(user_id, limit=MAX_TOOLS).documents
    shipped = (example.document for example in example_tools())
    return [_saved(document) for document in (*own, *shipped)]


def names_of(user_id: str) -> dict[str, str]:
    """Return the names of the user's workflows by id."""
    with connection.cursor() as cursor:
        cursor.execute(_select("id, name", _OWNED), [user_id])
        return dict(cursor.fetchall())


def _saved(document: str) -> SavedWorkflow:
    return _decode_saved(document).shown()


def _select(columns: str, rest: str) -> str:
    """Return a statement; its parts are constants of this module, values are bound."""
    return f"SELECT {columns} FROM workflows_workflow WHERE {rest}"  # noqa: S608


def _one(where: str, params: list[Any]) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(_select("document", where), params)
        row = cursor.fetchone()
    return row[0] if row else None


def _page(
    where: str, params: list[Any], *, limit: int, after: TimePosition | None
) -> Page:
    """Read one row more than asked for: it tells whether a next page exists."""
    if after is not None:
        where += " AND (updated_at, id) < (%s, %s)"
        params = [*params, adapt(after.moment), after.row_id]
    statement = _select("document, updated_at, id", where + _NEWEST_FIRST)
    with connection.cursor() as cursor:
        cursor.execute(statement, [*params, limit + 1])
        rows = cursor.fetchall()
    documents = [row[0] for row in rows[:limit]]
    if len(rows) <= limit:
        return Page(documents, None)
    _, updated_at, workflow_id = rows[limit - 1]
    return Page(documents, TimePosition(aware(updated_at), workflow_id))
