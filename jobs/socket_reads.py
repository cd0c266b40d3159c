"""Reads over ``/ws``, for clients that have no HTTP: asked with a ``request_id``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from jobs.sessions import CommandError, Handler, Message, Session
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import BadRequest, Forbidden, NotFound, describe_error
from nodetool_site.lib.pagination import DEFAULT_LIMIT, MAX_LIMIT, encode_position
from storage.keys import is_asset_id
from storage.reads import find_document
from storage.reads import list_assets as read_assets
from workflows import reads
from workflows.api.queries import read_list_query
from workflows.errors import WorkflowNotFound
from workflows.ids import is_usable_id
from workflows.node_catalogue import find_metadata, select_metadata

Json: TypeAlias = dict[str, Any]
Read: TypeAlias = Callable[[Session, Message], Awaitable[Json]]

FIELDS = ("full", "slim")


async def list_workflows(session: Session, data: Message) -> Json:
    """A page of the caller's workflows, the last changed first."""
    query = read_list_query(_query(data, "limit", "cursor"))

    def read() -> Json:
        found = reads.list_owned(session.user_id, limit=query.limit, after=query.after)
        return {
            "workflows": [msgspec.json.decode(text) for text in found.documents],
            "next": encode_position(found.next_position),
        }

    return await db(read)


async def get_workflow(session: Session, data: Message) -> Json:
    """A workflow that is the caller's, or public."""
    workflow_id = _text(data, "id")
    if not is_usable_id(workflow_id):
        raise WorkflowNotFound(workflow_id)
    document = await db(reads.read_document, workflow_id, user_id=session.user_id)
    if document is None:
        raise WorkflowNotFound(workflow_id)
    workflow: Json = msgspec.json.decode(document)
    return workflow


async def list_nodes(session: Session, data: Message) -> Json:
    """All node types."""
    del session
    fields = data.get("fields") or "full"
    if fields not in FIELDS:
        raise BadRequest(f"fields must be one of {', '.join(FIELDS)}")
    return {"nodes": select_metadata(is_slim=fields == "slim")}


async def get_node(session: Session, data: Message) -> Json:
    """One node type."""
    del session
    node_type = _text(data, "node_type")
    found = find_metadata(node_type)
    if found is None:
        raise NotFound(f"Node type not found: {node_type}")
    return found


async def list_assets(session: Session, data: Message) -> Json:
    """A page of the caller's assets, narrowed as over HTTP."""
    names = ("parent_id", "content_type", "workflow_id", "node_id", "job_id")
    query = _query(data, "page_size", "cursor", *names)
    return await db(
        read_assets,
        session.user_id,
        query,
        base_url=session.base_url,
        default=DEFAULT_LIMIT,
        most=MAX_LIMIT,
    )


async def get_asset(session: Session, data: Message) -> Json:
    """One asset of the caller's."""
    asset_id = _text(data, "id")
    if not is_asset_id(asset_id):
        raise NotFound("Asset not found")
    return await db(find_document, session.user_id, asset_id, base_url=session.base_url)


class _Reading:
    """The handler of a read: its result, or its error, under the ``request_id``."""

    def __init__(self, read: Read) -> None:
        self._command = read.__name__
        self._read = read

    async def __call__(self, session: Session, data: Message) -> Message:
        reply = self._reply(data)
        try:
            return {**reply, "result": await self._read(session, data)}
        except Exception as error:  # noqa: BLE001 - the edge: every error has an answer
            return {**reply, "error": _describe(error)}

    def refuse(self, command: str, data: Message, error: str) -> Message:
        """Answer who lacks the scope for it, in the shape of its other errors."""
        return {**self._reply(data), "error": _describe(Forbidden(error))}

    def _reply(self, data: Message) -> Message:
        request_id = data.get("_request_id")
        if not request_id:
            raise CommandError("request_id is required for RPC commands")
        return {
            "type": "rpc_response",
            "request_id": request_id,
            "command": self._command,
        }


def _describe(error: Exception) -> Json:
    body = describe_error(error).body
    return {
        "code": body["code"],
        "message": body["detail"],
        "retryable": body["retryable"],
        "apiCode": body["code"],
    }


def _query(data: Message, *names: str) -> dict[str, str]:
    """Some members of ``data`` as a query string has them."""
    return {name: str(data[name]) for name in names if data.get(name) is not None}


def _text(data: Message, name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{name} is required")
    return value


READS: dict[str, Handler] = {
    read.__name__: _Reading(read)
    for read in (
        list_workflows,
        get_workflow,
        list_nodes,
        get_node,
        list_assets,
        get_asset,
    )
}
