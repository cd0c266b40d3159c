"""Errors from outside of any view, in the form of the surface they concern."""

from __future__ import annotations

from django.http import HttpResponse

from nodetool_site.lib import errors
from nodetool_site.lib.surfaces import is_openai


def refusal_response(error: Exception, path: str) -> HttpResponse:
    """Return the answer for a request to ``path`` that reached no view."""
    if is_openai(path):
        # Here, because the server imports this before Django has its applications.
        from chat.openai_api.errors import error_response

        return error_response(error)
    return errors.error_response(error)
