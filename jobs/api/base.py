"""What the views of runs and jobs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from rest_framework.request import Request

from jobs import process
from jobs.errors import InvalidJobRequest, JobNotFound
from jobs.requests import check_job_id
from nodetool_site.lib.api import AsyncAPIView

if TYPE_CHECKING:
    from storage.identity import Identity

UNKNOWN = "Job not found"


class FollowingView(AsyncAPIView):
    """A view that waits for what a job emits.

    A server without a life cycle of its own begins to listen at the first of these.
    """

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the request; listen from now on."""
        super().initial(request, *args, **kwargs)
        process.listen()


def identity_of(request: Request) -> Identity:
    """The authenticated caller."""
    return cast("Identity", request.user)


def caller_of(request: Request) -> str:
    """The id of the authenticated user."""
    return identity_of(request).user_id


def body_of(request: Request) -> dict[str, Any]:
    """The JSON object of the body; an absent one is empty."""
    return cast("dict[str, Any]", request.data)  # the parser lets nothing else pass


def base_url_of(request: Request) -> str:
    """The address that the caller reached this server by."""
    django_request = request._request
    return f"{django_request.scheme}://{django_request.get_host()}"


def known_job_id(text: str) -> str:
    """The job id of a path.

    Raises:
        JobNotFound: no job can have this id.
    """
    try:
        return check_job_id(text)
    except InvalidJobRequest:
        raise JobNotFound(UNKNOWN) from None
