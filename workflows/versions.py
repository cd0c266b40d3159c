"""All writes of versions: kept by hand, by an editor's autosave, or before a restore.

Each one locks its workflow first, so that numbers are given once and in order.
"""

from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from workflows.documents import Json, to_text
from workflows.errors import TooManyVersions, VersionNotFound
from workflows.graph_json import normalise_graph
from workflows.models import SaveType, Workflow, WorkflowVersion
from workflows.services import lock_workflow, replace_graph

MAX_KEPT = 1_000
"""Versions of a workflow that nothing prunes: those a user asked for."""
MAX_RESTORES = 50
"""Copies from before a restore; the oldest ones go first, as nobody asked for them."""
TOO_SOON = "skipped (too soon)"
EMPTY = "skipped (empty workflow)"


class Autosave(NamedTuple):
    """What an editor sends.

    ``graph`` None is the stored one, ``max_versions`` None is the setting; ``force``
    saves however soon after the last autosave.
    """

    graph: Json | None = None
    save_type: str = SaveType.AUTOSAVE
    description: str = ""
    force: bool = False
    client_id: str | None = None
    max_versions: int | None = None


class AutosaveOutcome(NamedTuple):
    """The version that was kept, or None and why there is none."""

    version: WorkflowVersion | None
    message: str


def create_version(
    workflow_id: str, *, owner_id: str, name: str = "", description: str = ""
) -> WorkflowVersion:
    """Keep the present graph of the owner's workflow.

    Raises:
        WorkflowNotFound: no such workflow of this owner.
        TooManyVersions: delete some first.
    """
    with transaction.atomic():
        workflow = lock_workflow(workflow_id, owner_id=owner_id)
        return _keep(workflow, name=name, description=description)


def autosave(workflow_id: str, wanted: Autosave, *, owner_id: str) -> AutosaveOutcome:
    """Keep the editor's graph, unless that was done a moment ago or it has no nodes.

    The workflow itself stays as it is. Afterwards old autosaves are dropped.

    Raises:
        WorkflowNotFound: no such workflow of this owner.
        InvalidGraph: the graph has not the shape of one, or is too large.
        TooManyVersions: of those that are no autosaves.
    """
    sent = None if wanted.graph is None else normalise_graph(wanted.graph)
    with transaction.atomic():
        workflow = lock_workflow(workflow_id, owner_id=owner_id)
        if not wanted.force and _is_too_soon(workflow):
            return AutosaveOutcome(None, TOO_SOON)
        graph = msgspec.json.decode(workflow.graph) if sent is None else sent
        if not graph["nodes"]:
            return AutosaveOutcome(None, EMPTY)
        version = _keep(
            workflow,
            graph=to_text(graph),
            description=wanted.description,
            save_type=wanted.save_type,
            autosave_metadata=_metadata(wanted),
        )
        _prune_autosaves(workflow, version, wanted.max_versions)
    return AutosaveOutcome(version, f"saved as version {version.version}")


def restore_version(workflow_id: str, number: int, *, owner_id: str) -> Workflow:
    """Give the owner's workflow the graph of a version.

    The present graph is kept first, as a version of type ``restore``, unless one that
    stays has it already: a restore can be undone.

    Raises:
        WorkflowNotFound: no such workflow of this owner.
        VersionNotFound: no such version.
    """
    with transaction.atomic():
        workflow = lock_workflow(workflow_id, owner_id=owner_id)
        version = workflow.versions.filter(version=number).first()
        if version is None:
            raise VersionNotFound
        if not _is_kept(workflow):
            name = f"Before restoring version {number}"
            _keep(workflow, name=name, save_type=SaveType.RESTORE)
        return replace_graph(workflow, msgspec.json.decode(version.graph))


def delete_version(workflow_id: str, version_id: str, *, owner_id: str) -> None:
    """Delete one version by its id.

    Raises:
        WorkflowNotFound: no such workflow of this owner.
        VersionNotFound: no such version.
    """
    with transaction.atomic():
        workflow = lock_workflow(workflow_id, owner_id=owner_id)
        if not workflow.versions.filter(pk=version_id).delete()[0]:
            raise VersionNotFound


def _keep(
    workflow: Workflow,
    *,
    graph: str | None = None,
    save_type: str = SaveType.MANUAL,
    **columns: Any,
) -> WorkflowVersion:
    """Add the next version of a locked workflow."""
    if save_type in (SaveType.MANUAL, SaveType.CHECKPOINT):
        _check_room(workflow)
    last = workflow.versions.aggregate(last=Max("version"))["last"]
    version = workflow.versions.create(
        version=(last or 0) + 1,
        graph=workflow.graph if graph is None else graph,
        save_type=save_type,
        created_at=timezone.now(),
        **columns,
    )
    if save_type == SaveType.RESTORE:
        _drop_all_but_newest(workflow, SaveType.RESTORE, MAX_RESTORES)
    return version


def _check_room(workflow: Workflow) -> None:
    asked_for = (SaveType.MANUAL, SaveType.CHECKPOINT)
    if workflow.versions.filter(save_type__in=asked_for).count() >= MAX_KEPT:
        raise TooManyVersions(MAX_KEPT)


def _is_kept(workflow: Workflow) -> bool:
    """Whether a version that no autosave drops has the present graph."""
    return (
        workflow.versions.exclude(save_type=SaveType.AUTOSAVE)
        .filter(graph=workflow.graph)
        .exists()
    )


def _is_too_soon(workflow: Workflow) -> bool:
    """Whether the last autosave was a moment ago, as far as the clock can tell."""
    autosaves = workflow.versions.filter(save_type=SaveType.AUTOSAVE)
    last = autosaves.values_list("created_at", flat=True).first()
    if last is None:
        return False
    least = timedelta(seconds=settings.AUTOSAVE_MIN_INTERVAL_SECONDS)
    return timedelta(0) <= timezone.now() - last < least


def _metadata(wanted: Autosave) -> Json:
    return {} if wanted.client_id is None else {"client_id": wanted.client_id}


def _prune_autosaves(
    workflow: Workflow, saved: WorkflowVersion, max_versions: int | None
) -> None:
    most = max_versions or settings.AUTOSAVE_MAX_VERSIONS_PER_WORKFLOW
    _drop_all_but_newest(workflow, SaveType.AUTOSAVE, max(1, most))
    oldest = saved.created_at - timedelta(days=settings.AUTOSAVE_KEEP_DAYS)
    autosaves = workflow.versions.filter(save_type=SaveType.AUTOSAVE)
    autosaves.filter(created_at__lt=oldest).delete()


def _drop_all_but_newest(workflow: Workflow, save_type: SaveType, most: int) -> None:
    of_type = workflow.versions.filter(save_type=save_type)
    numbers = of_type.values_list("version", flat=True)[most - 1 : most]
    for last_kept in numbers:
        of_type.filter(version__lt=last_kept).delete()
