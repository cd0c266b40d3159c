"""What can go wrong with a stored workflow."""

import re
from collections.abc import Iterable
from typing import Self

import msgspec

from nodetool_site.lib.errors import (
    BadRequest,
    Conflict,
    NotFound,
    ValidationFailed,
    problem,
)

_PLACE = re.compile(r" - at `\$(?P<path>.*)`$")
_STEP = re.compile(r"\.(?P<field>\w+)|\[(?P<index>\d+)\]")
_MISSING = re.compile(r"missing required field `(?P<field>\w+)`")


class WorkflowNotFound(NotFound):
    """No such workflow, or it is private to somebody else."""

    def __init__(self, workflow_id: str) -> None:
        super().__init__("Workflow not found")
        self.workflow_id = workflow_id


class VersionNotFound(NotFound):
    """The workflow has no such version."""

    def __init__(self) -> None:
        super().__init__("Version not found")


class TooManyVersions(Conflict):
    """A workflow holds as many versions as one may."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"A workflow keeps at most {limit} versions; delete some of them first"
        )


class ExampleNotFound(NotFound):
    """No such example."""

    def __init__(self, package: str, name: str) -> None:
        super().__init__(f"Example not found: {package}/{name}")


class WorkflowIdTaken(Conflict):
    """The id of a workflow to import is in use."""

    def __init__(self, workflow_id: str) -> None:
        super().__init__(f"Workflow {workflow_id} exists already")


class UnknownOwner(NotFound):
    """Somebody who has no account is to own a workflow."""

    def __init__(self, user_id: str) -> None:
        cure = "`nodetool serve` makes user 1 when it first starts"
        super().__init__(f"User {user_id} not found; {cure}")


class InvalidWorkflowId(BadRequest):
    """A client asks for an id that no workflow may have."""

    def __init__(self, workflow_id: str) -> None:
        super().__init__(
            f"Invalid workflow id {workflow_id!r}: 1 to 64 letters, digits, '_' or '-'"
        )


class MissingGraph(BadRequest):
    """A workflow was sent without its graph."""

    def __init__(self) -> None:
        super().__init__("Invalid workflow")


class InvalidGraph(ValidationFailed):
    """A graph has not the shape of one, or is too large."""

    def __init__(
        self, message: str, path: Iterable[str | int] = (), kind: str = "value_error"
    ) -> None:
        super().__init__([problem(kind, ("body", "graph", *path), message)])

    @classmethod
    def from_msgspec(cls, error: msgspec.ValidationError) -> Self:
        """Say where in the graph the error is: msgspec tells it in its text alone."""
        text = str(error)
        place = _PLACE.search(text)
        path: list[str | int] = [
            int(step["index"]) if step["index"] else step["field"]
            for step in _STEP.finditer(place["path"] if place else "")
        ]
        if missing := _MISSING.search(text):
            return cls("Field required", [*path, missing["field"]], "missing")
        return cls(_PLACE.sub("", text), path, "type_error")
