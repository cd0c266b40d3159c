"""Workflows that ``chat-server --workflow`` serves: from files to the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
from django.conf import settings
from django.core.management.base import CommandError
from rest_framework.exceptions import APIException

from nodetool_site.lib.errors import ApplicationError
from storage.management.nouns import sentence
from storage.models.user import DEFAULT_USER_ID
from workflows.api.serializers import read_request
from workflows.errors import WorkflowIdTaken
from workflows.graph_json import normalise_graph
from workflows.ids import is_usable_id
from workflows.management.documents import imports_of, parse_json
from workflows.management.stores import Import
from workflows.models import Workflow
from workflows.node_policy import check_brought_graph
from workflows.services import NewWorkflow, import_workflows

FILE_PREFIX = "file-"


def read_files(files: Iterable[Path]) -> list[NewWorkflow]:
    """Return what the files hold, public, each under an id that every start gives it.

    A workflow without an id of its own is named after its file.

    Raises:
        CommandError: a file holds nothing that this server's mode can run, or two
            workflows have one id.
    """
    found: dict[str | None, NewWorkflow] = {}
    for file in files:
        for new in _read_file(file):
            if new.workflow_id in found:
                raise CommandError(
                    f"{file}: there are two workflows {new.workflow_id}; "
                    'give one of them another "id"'
                )
            found[new.workflow_id] = new
    return list(found.values())


def store(new: Sequence[NewWorkflow]) -> list[Workflow]:
    """Store the workflows for the server's own user, and let the settings name them.

    Those that exist are replaced.

    Raises:
        CommandError: an id belongs to another user; nothing is stored.
    """
    try:
        stored = import_workflows(new, owner_id=DEFAULT_USER_ID, replace=True)
    except WorkflowIdTaken as error:
        raise CommandError(
            f'{error.message}, and is another user\'s; give yours another "id"'
        ) from error
    settings.CHAT_SERVER_WORKFLOWS = tuple(workflow.pk for workflow in stored)
    return stored


def _read_file(file: Path) -> Iterator[NewWorkflow]:
    try:
        for each in imports_of(parse_json(str(file)), str(file)):
            fields = read_request({**each.request, "access": "public"})
            graph = normalise_graph(fields.graph)
            check_brought_graph(graph)
            fields = msgspec.structs.replace(fields, graph=graph)
            yield NewWorkflow(fields, _id_of(each, file))
    except (ApplicationError, APIException) as error:
        raise CommandError(f"{file}: {sentence(error)}") from error


def _id_of(found: Import, file: Path) -> str:
    if found.workflow_id is not None:
        return found.workflow_id
    name = f"{FILE_PREFIX}{file.stem}"
    if is_usable_id(name):
        return name
    raise CommandError(
        f"{file}: the workflow has no usable id, and its file's name makes none; "
        'give it an "id" of 1 to 64 letters, digits, _ or -'
    )
