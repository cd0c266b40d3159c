"""What is told of a call of a model that has failed."""

from __future__ import annotations

from typing import Literal

from workflows.agents.answers import AgentError
from workflows.agents.tool_names import UnknownTool
from workflows.engine.errors import NodeTypeOff, UnusableMedia, describe
from workflows.engine.events import ErrorMessage
from workflows.providers.base import (
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
)

ErrorType = Literal[
    "invalid_request",
    "authentication",
    "rate_limit",
    "provider_error",
    "model_not_found",
    "connection",
    "timeout",
    "internal",
]


def error_message(error: Exception, thread_id: str | None) -> ErrorMessage:
    """Return a failure as the client of a conversation is told of it."""
    text = describe(error)
    status = error.vendor_status if isinstance(error, ProviderError) else None
    return ErrorMessage(
        message=text,
        error=text,
        error_type=error_type(error),
        status_code=status,
        thread_id=thread_id,
    )


def error_type(error: Exception) -> ErrorType:
    """Return the kind of a failure, in the words of the chat protocol."""
    if isinstance(error, ProviderTimeout):
        return "timeout"
    if isinstance(error, ProviderUnavailable):
        return "connection"
    if isinstance(error, AgentError):
        return "provider_error"
    if isinstance(error, UnknownTool | NodeTypeOff | UnusableMedia):
        return "invalid_request"
    if not isinstance(error, ProviderError):
        return "internal"
    if error.code in ("provider_auth_error", "provider_not_configured"):
        return "authentication"
    if error.code == "model_not_found":
        return "model_not_found"
    by_status: dict[int, ErrorType] = {400: "invalid_request", 429: "rate_limit"}
    return by_status.get(error.status, "provider_error")
