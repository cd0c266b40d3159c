"""Versions of a workflow over HTTP: its owner's alone, also where it is public."""

from typing import Any, cast

import msgspec
from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from nodetool_site.lib.api import SyncAPIView, json_response
from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.pagination import page_limit
from nodetool_site.lib.rendering import format_time
from workflows import version_reads, versions
from workflows.api import answers
from workflows.api.callers import caller_of, check_known
from workflows.api.serializers import TextField
from workflows.errors import InvalidGraph, VersionNotFound
from workflows.graph_diff import diff_graphs
from workflows.models import SaveType, WorkflowVersion

Json = dict[str, Any]
MAX_NAME = 255
MAX_DESCRIPTION = 10_000
MAX_DIGITS = 9  # a column of 32 bit holds every such number


class VersionRequestSerializer(serializers.Serializer[Any]):
    """What a version is called."""

    name = TextField(allow_null=True, required=False, max_length=MAX_NAME)
    description = TextField(allow_null=True, required=False, max_length=MAX_DESCRIPTION)


class FlagField(serializers.BooleanField):
    """True or false: no text and no number is one."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class CountField(serializers.IntegerField):
    """A whole number: no text is one."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class AutosaveRequestSerializer(serializers.Serializer[Any]):
    """What an editor sends to have its graph kept. The graph is checked later."""

    save_type = serializers.ChoiceField(choices=SaveType.values, required=False)
    description = TextField(allow_null=True, required=False, max_length=MAX_DESCRIPTION)
    force = FlagField(required=False)
    client_id = TextField(allow_null=True, required=False, max_length=MAX_NAME)
    max_versions = CountField(
        allow_null=True, required=False, min_value=1, max_value=versions.MAX_KEPT
    )


class VersionCollection(SyncAPIView):
    """The versions of one workflow."""

    def get(self, request: Request, workflow_id: str) -> HttpResponse:
        """List them, the highest number first."""
        check_known(workflow_id)
        query = request.query_params
        page = version_reads.list_versions(
            workflow_id,
            owner_id=caller_of(request),
            limit=page_limit(query),
            before=_cursor(query.get("cursor", "")),
        )
        following = page.next_before
        return json_response(
            {
                "next": None if following is None else str(following),
                "versions": [_document(version) for version in page.versions],
            }
        )

    def post(self, request: Request, workflow_id: str) -> HttpResponse:
        """Keep the present graph as the next version."""
        check_known(workflow_id)
        serializer = VersionRequestSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        texts = {key: text or "" for key, text in serializer.validated_data.items()}
        version = versions.create_version(
            workflow_id, owner_id=caller_of(request), **texts
        )
        return json_response(_document(version))


class VersionDetail(SyncAPIView):
    """One version: read by its number, deleted by its id."""

    def get(self, request: Request, workflow_id: str, version: str) -> HttpResponse:
        """Return it."""
        check_known(workflow_id)
        found = version_reads.read_version(
            workflow_id, _number(version), owner_id=caller_of(request)
        )
        return json_response(_document(found))

    def delete(self, request: Request, workflow_id: str, version: str) -> HttpResponse:
        """Delete it."""
        check_known(workflow_id)
        versions.delete_version(workflow_id, version, owner_id=caller_of(request))
        return json_response({"success": True})


class VersionRestore(SyncAPIView):
    """The way back to a version."""

    def post(self, request: Request, workflow_id: str, version: str) -> HttpResponse:
        """Give the workflow that graph; its present one is kept as a version."""
        check_known(workflow_id)
        workflow = versions.restore_version(
            workflow_id, _number(version), owner_id=caller_of(request)
        )
        return answers.one(workflow.document, workflow.pk)


class VersionDiff(SyncAPIView):
    """What changed since a version."""

    def get(self, request: Request, workflow_id: str, version: str) -> HttpResponse:
        """Compare it with the version ``to``, or with the present graph."""
        check_known(workflow_id)
        to = request.query_params.get("to", "")
        numbers = (_number(version), _number(to) if to else None)
        old, new = (
            version_reads.read_graph(workflow_id, number, owner_id=caller_of(request))
            for number in numbers
        )
        decode = msgspec.json.decode
        return json_response(diff_graphs(decode(old), decode(new)))


class WorkflowAutosave(SyncAPIView):
    """What an editor does by itself while somebody works."""

    def post(self, request: Request, workflow_id: str) -> HttpResponse:
        """Keep the editor's graph as a version, if it is time to."""
        check_known(workflow_id)
        serializer = AutosaveRequestSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = versions.Autosave(
            **_autosave_fields(serializer), graph=_graph(request)
        )
        outcome = versions.autosave(workflow_id, wanted, owner_id=caller_of(request))
        version = outcome.version
        return json_response(
            {
                "version": None if version is None else _document(version),
                "message": outcome.message,
                "skipped": version is None,
            }
        )


def _autosave_fields(serializer: AutosaveRequestSerializer) -> Json:
    """Return what was sent; null is as good as nothing."""
    sent = serializer.validated_data.items()
    return {name: value for name, value in sent if value is not None}


def _graph(request: Request) -> Json | None:
    graph = cast("Json", request.data).get("graph")
    if graph is not None and not isinstance(graph, dict):
        raise InvalidGraph("A graph is an object with nodes and edges")
    return graph


def _document(version: WorkflowVersion) -> Json:
    return {
        "id": version.pk,
        "workflow_id": version.workflow_id,
        "version": version.version,
        "created_at": format_time(version.created_at),
        "name": version.name,
        "description": version.description,
        "graph": msgspec.Raw(version.graph.encode()),
        "save_type": version.save_type,
        "autosave_metadata": version.autosave_metadata,
    }


def _number(text: str) -> int:
    """Return the number of a version.

    Raises:
        VersionNotFound: no version can have it.
    """
    if not _is_number(text):
        raise VersionNotFound
    return int(text)


def _cursor(text: str) -> int | None:
    if text and not _is_number(text):
        raise BadRequest("Unreadable cursor")
    return int(text) if text else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
