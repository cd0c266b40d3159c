"""Errors as OpenAI's clients read them: ``{"error": {message, type, param, code}}``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from django.http import HttpResponse

from chat.errors import (
    AmbiguousTextInput,
    ModelNotFound,
    NotForChat,
    ProviderNotConfigured,
    RunCancelled,
    UnknownProvider,
    WorkflowFailed,
)
from nodetool_site.lib.errors import ApplicationError, BadRequest, describe_error
from nodetool_site.lib.redaction import redact
from nodetool_site.lib.rendering import JSON_TYPE, encode_json

INVALID = "invalid_request_error"
UNSUPPORTED = "unsupported_value"
_CODES = {
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    429: "rate_limit_exceeded",
    500: "internal_error",
    503: "service_unavailable",
    504: "timeout",
}
# Clients retry these by themselves; for some failures that is vain.
_NO_RETRY = {"x-should-retry": "false"}


class InvalidField(BadRequest):
    """A field of the request is not as it should be. ``param`` leads to it."""

    def __init__(self, param: str, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.word = code


@dataclass(frozen=True)
class ErrorAnswer:
    """An error, ready to be sent as an answer or inside of a stream."""

    status: int
    message: str
    type: str
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The JSON object."""
        members = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return encode_json({"error": members})


def describe(error: Exception, *, data: Any = None) -> ErrorAnswer:
    """Return what a client gets to see of any exception."""
    # Here, because the module of errors is imported before any provider is used.
    from workflows.providers.base import ProviderError

    if isinstance(error, ProviderError):
        return _of_provider(error)
    answer = describe_error(error, data=data)
    status, headers = answer.status, dict(answer.headers)
    param, code = _own_words(error)
    if isinstance(error, (WorkflowFailed, RunCancelled)):
        headers.update(_NO_RETRY)
    if status in (400, 415, 422):
        return ErrorAnswer(status, _text(answer.body), INVALID, param, code, headers)
    return ErrorAnswer(
        status,
        _text(answer.body),
        _type_of(status),
        param,
        code or _CODES.get(status),
        headers,
    )


def error_response(error: Exception, *, data: Any = None) -> HttpResponse:
    """Return the whole answer for an exception."""
    answer = describe(error, data=data)
    return HttpResponse(
        answer.body,
        status=answer.status,
        headers=dict(answer.headers),
        content_type=JSON_TYPE,
    )


def _own_words(error: Exception) -> tuple[str | None, str | None]:
    """Return ``param`` and ``code`` of the errors that have some."""
    if isinstance(error, InvalidField):
        return error.param, error.word
    if isinstance(error, ModelNotFound):
        return "model", "model_not_found"
    if isinstance(error, ProviderNotConfigured):
        return "model", "provider_not_configured"
    if isinstance(error, UnknownProvider):
        return "provider", UNSUPPORTED
    if isinstance(error, (NotForChat, AmbiguousTextInput)):
        return "model", None
    if isinstance(error, WorkflowFailed):
        return None, "workflow_failed"
    if isinstance(error, RunCancelled):
        return None, "cancelled"
    return None, None


def _of_provider(error: Any) -> ErrorAnswer:
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, ceil(error.retry_after_s)))
    if error.status >= 500 and not error.is_transient:
        headers.update(_NO_RETRY)
    kind = _type_of(error.status)
    if error.code == "insufficient_quota":
        kind = error.code
        headers.update(_NO_RETRY)
    message = redact(error.message) or ApplicationError.default_message
    return ErrorAnswer(error.status, message, kind, error.param, error.code, headers)


def _type_of(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else INVALID


def _text(body: Mapping[str, Any]) -> str:
    text = str(body["detail"])
    problems = body.get("errors")
    if problems:
        text = f"{text}: {problems[0]['msg']}"
    return text
