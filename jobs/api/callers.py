"""Who asks, and for what: small readings of a request that several views share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from rest_framework.request import Request

from jobs.errors import InvalidJobRequest, JobNotFound
from jobs.requests import check_job_id

if TYPE_CHECKING:
    from storage.identity import Identity

UNKNOWN = "Job not found"


def caller_of(request: Request) -> str:
    """The id of the authenticated user."""
    return cast("Identity", request.user).user_id


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
