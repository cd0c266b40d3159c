"""All writes of workflows."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from django.db import IntegrityError, transaction
from django.utils import timezone

from storage.ids import new_id
from workflows.documents import Json, WorkflowFields, build_document, fields_of, to_text
from workflows.errors import InvalidWorkflowId, WorkflowIdTaken, WorkflowNotFound
from workflows.graph_json import normalise_graph
from workflows.ids import is_usable_id
from workflows.models import Workflow
from workflows.shipped_examples import all_examples


class NewWorkflow(NamedTuple):
    """A workflow to import, under its own id or (None) a fresh one."""

    fields: WorkflowFields
    workflow_id: str | None


def create_workflow(fields: WorkflowFields, *, owner_id: str) -> Workflow:
    """Store a new workflow under a fresh id.

    Raises:
        InvalidGraph: the graph has not the shape of one, or is too large.
    """
    return _write(Workflow(id=new_id(), owner_id=owner_id), fields)


def save_workflow(
    workflow_id: str, fields: WorkflowFields, *, owner_id: str
) -> Workflow:
    """Replace the owner's workflow, or create it under this id.

    The whole workflow is replaced: what ``fields`` leaves out is gone, but for
    ``thumbnail`` and ``run_mode``, which clients do not send back.

    Raises:
        InvalidGraph: the graph has not the shape of one, or is too large.
        InvalidWorkflowId: no workflow may have this id.
        WorkflowNotFound: the id belongs to somebody else.
    """
    if not is_usable_id(workflow_id):
        raise InvalidWorkflowId(workflow_id)
    try:
        return _save(workflow_id, fields, owner_id)
    except IntegrityError:  # somebody took the unused id meanwhile: now it is a row
        return _save(workflow_id, fields, owner_id)


def lock_workflow(workflow_id: str, *, owner_id: str) -> Workflow:
    """Return the owner's workflow, kept from other writers until the transaction ends.

    Raises:
        WorkflowNotFound: no such workflow of this owner.
    """
    rows = Workflow.objects.select_for_update()
    found = rows.filter(pk=workflow_id, owner_id=owner_id).first()
    if found is None:
        raise WorkflowNotFound(workflow_id)
    return found


def replace_graph(locked: Workflow, graph: Json) -> Workflow:
    """Give a workflow that ``lock_workflow`` returned another graph, and only that.

    Raises:
        InvalidGraph: the graph has not the shape of one, or is too large.
    """
    fields = fields_of(msgspec.json.decode(locked.document))
    return _write(locked, msgspec.structs.replace(fields, graph=graph))


def delete_workflow(workflow_id: str, *, owner_id: str) -> None:
    """Delete the owner's workflow; its versions go too, jobs that ran it stay.

    Raises:
        WorkflowNotFound: no such workflow of this owner.
    """
    owned = Workflow.objects.filter(pk=workflow_id, owner_id=owner_id)
    if not owned.delete()[0]:
        raise WorkflowNotFound(workflow_id)


def import_workflows(
    workflows: Sequence[NewWorkflow], *, owner_id: str, replace: bool = False
) -> list[Workflow]:
    """Store all of the workflows or, if one is refused, none.

    Raises:
        InvalidGraph: a graph has not the shape of one, or is too large.
        InvalidWorkflowId: no workflow may have this id.
        WorkflowIdTaken: an id exists, and is not the owner's or not to be replaced.
    """
    with transaction.atomic():
        return [_import(new, owner_id, replace=replace) for new in workflows]


def load_examples(owner_id: str) -> list[Workflow]:
    """Give the user a copy of every example, under the example's own id.

    Meant for the first run, whose printed lines name these ids. An id that exists
    already is left alone, so a second call changes nothing.
    """
    examples = {example.id: example for example in all_examples()}
    with transaction.atomic():
        taken = Workflow.objects.filter(pk__in=examples).values_list("pk", flat=True)
        for workflow_id in taken:
            del examples[workflow_id]
        # The list shows the last one first: the simplest example shall be on top.
        return [
            _write(Workflow(id=example.id, owner_id=owner_id), example.private_fields)
            for example in reversed(examples.values())
        ]


def _save(workflow_id: str, fields: WorkflowFields, owner_id: str) -> Workflow:
    with transaction.atomic():
        stored = Workflow.objects.select_for_update().filter(pk=workflow_id).first()
        if stored is None:
            return _write(Workflow(id=workflow_id, owner_id=owner_id), fields)
        if stored.owner_id != owner_id:
            raise WorkflowNotFound(workflow_id)
        return _write(stored, _keep_unsent(stored, fields))


def _import(new: NewWorkflow, owner_id: str, *, replace: bool) -> Workflow:
    if new.workflow_id is None:
        return create_workflow(new.fields, owner_id=owner_id)
    if not replace and Workflow.objects.filter(pk=new.workflow_id).exists():
        raise WorkflowIdTaken(new.workflow_id)
    try:
        return save_workflow(new.workflow_id, new.fields, owner_id=owner_id)
    except WorkflowNotFound as error:
        raise WorkflowIdTaken(new.workflow_id) from error


def _keep_unsent(stored: Workflow, fields: WorkflowFields) -> WorkflowFields:
    """Fill in what an update keeps when the client does not say it."""
    document = msgspec.json.decode(stored.document)
    return msgspec.structs.replace(
        fields,
        thumbnail=fields.thumbnail or document["thumbnail"],
        run_mode=fields.run_mode or stored.run_mode,
    )


def _write(workflow: Workflow, fields: WorkflowFields) -> Workflow:
    """Set every column from ``fields`` and store the row."""
    fields = msgspec.structs.replace(fields, graph=normalise_graph(fields.graph))
    now = timezone.now()
    is_new = workflow._state.adding
    workflow.created_at = now if is_new else workflow.created_at
    workflow.updated_at = now
    workflow.name = fields.name
    workflow.access = fields.access
    workflow.run_mode = fields.run_mode
    workflow.tool_name = fields.tool_name
    workflow.graph = to_text(fields.graph)
    workflow.document = to_text(
        build_document(
            fields,
            workflow_id=workflow.pk,
            created_at=workflow.created_at,
            updated_at=now,
        )
    )
    workflow.save(force_insert=is_new)
    return workflow
