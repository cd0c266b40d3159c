"""Who asks, and for what: shared by the views of stored workflows."""

from typing import TYPE_CHECKING, cast

from rest_framework.request import Request

from workflows.errors import WorkflowNotFound
from workflows.ids import is_usable_id

if TYPE_CHECKING:
    from storage.identity import Identity


def caller_of(request: Request) -> str:
    """Return the id of the user who asks."""
    return cast("Identity", request.user).user_id


def check_known(workflow_id: str) -> None:
    """Refuse at once what no stored workflow can be called.

    Raises:
        WorkflowNotFound: it is such an id.
    """
    if not is_usable_id(workflow_id):
        raise WorkflowNotFound(workflow_id)
