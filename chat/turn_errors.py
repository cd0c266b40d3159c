"""Errors as a chat tells them."""

from __future__ import annotations

from typing import Any

from chat.errors import ModelNotFound
from nodetool_site.lib.errors import ApplicationError

_TYPES = {
    401: "authentication",
    403: "authentication",
    429: "rate_limit",
    502: "provider_error",
    503: "connection",
    504: "timeout",
}


def error_type(error: ApplicationError) -> str:
    """Return the word for an error that kept a turn from beginning."""
    if isinstance(error, ModelNotFound):
        return "model_not_found"
    if error.status in _TYPES:
        return _TYPES[error.status]
    return "internal" if error.status >= 500 else "invalid_request"


def error_frame(message: str, kind: str, thread_id: str | None) -> dict[str, Any]:
    """Return an ``error`` that no provider has answered."""
    return {
        "type": "error",
        "message": message,
        "error": message,
        "error_type": kind,
        "status_code": None,
        "thread_id": thread_id,
        "workflow_id": None,
    }
