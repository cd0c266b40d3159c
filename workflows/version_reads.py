"""Reads of versions. The graphs are large: a page is bounded by their bytes too."""

from typing import NamedTuple

from django.db.models.functions import Length

from nodetool_site.lib.pagination import fitting
from workflows.errors import VersionNotFound, WorkflowNotFound
from workflows.models import Workflow, WorkflowVersion
from workflows.querysets import WorkflowVersionQuerySet


class VersionPage(NamedTuple):
    """Some versions, the highest first; ``next_before`` None: nothing is left."""

    versions: list[WorkflowVersion]
    next_before: int | None


def list_versions(
    workflow_id: str, *, owner_id: str, limit: int, before: int | None = None
) -> VersionPage:
    """Return the versions whose number is below ``before``, the highest first.

    Raises:
        WorkflowNotFound: no such workflow of this owner.
    """
    versions = _versions(workflow_id, owner_id)
    if before is not None:
        versions = versions.filter(version__lt=before)
    lengths = versions.values_list("version", Length("graph"))[: limit + 1]
    numbers = fitting(list(lengths), limit)
    if not numbers:
        return VersionPage([], None)
    page = versions.filter(version__lte=numbers[0], version__gte=numbers[-1])
    is_last = len(numbers) == len(lengths)
    return VersionPage(list(page), None if is_last else numbers[-1])


def read_version(workflow_id: str, number: int, *, owner_id: str) -> WorkflowVersion:
    """Return one version.

    Raises:
        WorkflowNotFound: no such workflow of this owner.
        VersionNotFound: no such version.
    """
    found = _versions(workflow_id, owner_id).filter(version=number).first()
    if found is None:
        raise VersionNotFound
    return found


def read_graph(workflow_id: str, number: int | None, *, owner_id: str) -> str:
    """Return the graph of a version as text; None is the workflow's present one.

    Raises:
        WorkflowNotFound: no such workflow of this owner.
        VersionNotFound: no such version.
    """
    if number is not None:
        return read_version(workflow_id, number, owner_id=owner_id).graph
    owned = Workflow.objects.filter(pk=workflow_id, owner_id=owner_id)
    graph = owned.values_list("graph", flat=True).first()
    if graph is None:
        raise WorkflowNotFound(workflow_id)
    return graph


def _versions(workflow_id: str, owner_id: str) -> WorkflowVersionQuerySet:
    if not Workflow.objects.filter(pk=workflow_id, owner_id=owner_id).exists():
        raise WorkflowNotFound(workflow_id)
    return WorkflowVersion.objects.filter(workflow_id=workflow_id)
