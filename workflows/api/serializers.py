"""Input of the workflow endpoints."""

from typing import Any

from rest_framework import serializers

from workflows.documents import WorkflowFields
from workflows.errors import MissingGraph
from workflows.models import Access


class TextField(serializers.CharField):
    """Text as it is: no number becomes text, no blank is cut off."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_blank=True, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class ScalarField(serializers.Field[Any, Any, Any, Any]):
    """A JSON value that is neither object nor list."""

    default_error_messages = {"invalid": "Not text, a number, a flag or null."}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, (dict, list)):
            self.fail("invalid")
        return data


def _optional() -> TextField:
    return TextField(allow_null=True, required=False)


class WorkflowRequestSerializer(serializers.Serializer[Any]):
    """A workflow as a client sends it to create or replace one.

    Fields that are derived or belong to the server (id, owner, times, schemas) are not
    read. The graph is checked where it is saved.
    """

    name = TextField()
    access = serializers.ChoiceField(choices=Access.values)
    tool_name = _optional()
    package_name = _optional()
    path = _optional()
    tags = serializers.ListField(child=TextField(), allow_null=True, required=False)
    description = _optional()
    thumbnail = _optional()
    thumbnail_url = _optional()
    settings = serializers.DictField(
        child=ScalarField(allow_null=True), allow_null=True, required=False
    )
    run_mode = _optional()
    workspace_id = _optional()
    html_app = _optional()

    def to_fields(self) -> WorkflowFields:
        """Return the validated request.

        Raises:
            MissingGraph: it has none.
        """
        graph = self.initial_data.get("graph")
        if graph is None:
            raise MissingGraph
        known = {**self.validated_data}
        known["description"] = known.get("description") or ""
        return WorkflowFields(**known, graph=graph)


def read_request(data: Any, **given: Any) -> WorkflowFields:
    """Return what a client sent; ``given`` stands in for what it left out.

    Raises:
        ValidationError: a field has the wrong type.
        MissingGraph: there is no graph.
    """
    serializer = WorkflowRequestSerializer(data={**given, **data})
    serializer.is_valid(raise_exception=True)
    return serializer.to_fields()
