"""What the views of files and assets share."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rest_framework.request import Request

if TYPE_CHECKING:
    from storage.identity import Identity


def caller_of(request: Request) -> str:
    """Return the id of the authenticated user."""
    return cast("Identity", request.user).user_id


def base_url_of(request: Request) -> str:
    """Return the address that the caller reached this server by."""
    django_request = request._request
    return f"{django_request.scheme}://{django_request.get_host()}"


def essence_of(request: Request) -> str:
    """Return the content type of the body, without its parameters."""
    return (request.content_type or "").partition(";")[0].strip().lower()
