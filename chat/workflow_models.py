"""Workflows that answer as models: ``workflow:<id>``.

Any workflow that a caller may run is one if it takes a text or a message and has an
output. Those with ``run_mode`` ``chat``, and those that the server was started for,
are listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.conf import settings

from chat.errors import AmbiguousTextInput, ModelNotFound, NotForChat
from chat.narration import outputs_of
from chat.providers import WORKFLOW_PREFIX
from chat.workflow_inputs import chat_params
from nodetool_site.lib.db import db
from workflows.engine.errors import GraphError
from workflows.engine.graph import Graph, load_graph
from workflows.ids import is_usable_id
from workflows.reads import list_owned, read_document

MAX_LISTED = 100


class WorkflowModel(msgspec.Struct):
    """A workflow that somebody names as a model; ``graph`` as it is stored."""

    id: str
    created_at: datetime
    graph: msgspec.Raw

    @property
    def model_id(self) -> str:
        """What it is called as a model."""
        return WORKFLOW_PREFIX + self.id

    @property
    def created(self) -> int:
        """Since when it is there, in Unix seconds."""
        return int(self.created_at.timestamp())

    def load(self) -> Graph:
        """Return the graph; an empty one where it cannot be read."""
        try:
            return load_graph(bytes(self.graph))
        except GraphError:
            return Graph()

    def params(self, text: str, history: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the parameters of a run that answers ``text``; see ``chat_params``.

        Raises:
            NotForChat: nothing takes the text, or nothing comes out.
            AmbiguousTextInput: several inputs could take it.
        """
        params = chat_params(bytes(self.graph), text, history)
        if not params:
            raise NotForChat(self.id, "input for a text or a message")
        if not outputs_of(self.load()):
            raise NotForChat(self.id, "output")
        return params

    @property
    def is_for_chat(self) -> bool:
        """Whether it can be called at all."""
        try:
            self.params("", ())
        except (NotForChat, AmbiguousTextInput):
            return False
        return True


_decode = msgspec.json.Decoder(WorkflowModel).decode


async def find_workflow(owner_id: str, model_id: str) -> WorkflowModel:
    """Return the workflow of a model's id.

    Raises:
        ModelNotFound: there is none that the caller may run.
    """
    workflow_id = model_id.removeprefix(WORKFLOW_PREFIX)
    found = None
    if is_usable_id(workflow_id):
        found = await db(_read, owner_id, workflow_id)
    if found is None:
        raise ModelNotFound(model_id)
    return found


async def find_callable(owner_id: str, model_id: str) -> WorkflowModel:
    """Return the workflow of a model's id, if it can answer.

    Raises:
        ModelNotFound: there is none that the caller may run, or it cannot.
    """
    found = await find_workflow(owner_id, model_id)
    if not found.is_for_chat:
        raise ModelNotFound(model_id)
    return found


async def list_workflows(owner_id: str) -> list[WorkflowModel]:
    """Return the workflows that are listed as models, at most 100 of the caller's."""
    return await db(_read_listed, owner_id)


def _read(owner_id: str, workflow_id: str) -> WorkflowModel | None:
    document = read_document(workflow_id, user_id=owner_id)
    return None if document is None else _decode(document)


def _read_listed(owner_id: str) -> list[WorkflowModel]:
    page = list_owned(owner_id, limit=MAX_LISTED, run_mode="chat")
    own = {found.id: found for found in map(_decode, page.documents)}
    served = [
        _read(owner_id, workflow_id)
        for workflow_id in settings.CHAT_SERVER_WORKFLOWS
        if workflow_id not in own
    ]
    found = [*own.values(), *(each for each in served if each is not None)]
    return [each for each in found if each.is_for_chat]
