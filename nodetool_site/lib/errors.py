"""What may go wrong for a user, and how REST says it.

Raise an ``ApplicationError`` at the cause; the edge translates it once. Every REST
error has the same body: ``detail`` for people, ``code`` for programs, ``retryable``.
"""

import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from nodetool_site.lib.redaction import redact
from nodetool_site.lib.rendering import JSON_TYPE, encode_json
from nodetool_site.lib.surfaces import is_on

logger = logging.getLogger(__name__)

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMITED",
    503: "SERVICE_UNAVAILABLE",
    504: "TIMEOUT",
    507: "INSUFFICIENT_STORAGE",
}
RETRYABLE = frozenset({429, 503, 504})


def error_code(status: int) -> str:
    """Return the word for an HTTP status."""
    return CODES.get(status, "BAD_REQUEST" if status < 500 else "INTERNAL")


class ApplicationError(Exception):
    """Something the caller can be told.

    ``message`` names the object and carries no secret. ``details`` are further
    members of the REST body; ``retry_after_s`` becomes the ``Retry-After`` header.
    """

    status: ClassVar[int] = 500
    default_message: ClassVar[str] = "Internal server error"
    default_retry_after_s: ClassVar[int | None] = None

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        # The one gate of all surfaces: libraries put addresses and keys into texts.
        self.message = redact(message) if message else self.default_message
        super().__init__(self.message)
        self.details: Mapping[str, Any] = details or {}
        self.retry_after_s = retry_after_s or self.default_retry_after_s

    @property
    def code(self) -> str:
        """The word for programs."""
        return error_code(self.status)


class BadRequest(ApplicationError):
    """The request has the wrong shape."""

    status = 400
    default_message = "Bad request"


class Unauthorized(ApplicationError):
    """The caller has not shown who they are."""

    status = 401
    default_message = (
        "Authorization header required. Use 'Authorization: Bearer <token>'."
    )


class Forbidden(ApplicationError):
    """The caller is known and must not do this."""

    status = 403
    default_message = "Forbidden"


class NotFound(ApplicationError):
    """It does not exist, or it is somebody else's: both look the same."""

    status = 404
    default_message = "Not found"


class Conflict(ApplicationError):
    """The object's state does not allow it."""

    status = 409
    default_message = "Conflict"


class PayloadTooLarge(ApplicationError):
    """The body is over its limit."""

    status = 413
    default_message = "Request body too large"


class UnsupportedEncoding(ApplicationError):
    """The body is compressed; taken as it is, it would be larger than its limit."""

    status = 415
    default_message = "Content-Encoding is not supported: send the body as it is"


class ValidationFailed(ApplicationError):
    """Fields have the wrong type. One entry of ``problems`` each: see ``problem``."""

    status = 422
    default_message = "Request validation failed"

    def __init__(
        self, problems: Sequence[Mapping[str, Any]], message: str | None = None
    ) -> None:
        super().__init__(message)
        self.problems = problems


class TooManyRequests(ApplicationError):
    """The caller has to wait; ``retry_after_s`` tells how long."""

    status = 429
    default_message = "Too many requests"


class Unavailable(ApplicationError):
    """A part that is needed does not answer at the moment."""

    status = 503
    default_message = "Service unavailable"
    default_retry_after_s = 1


def problem(
    kind: str, loc: Sequence[str | int], msg: str, given: Any = None
) -> dict[str, Any]:
    """Return one entry of a 422 body; ``loc`` leads to the field, from its source."""
    return {"type": kind, "loc": list(loc), "msg": msg, "input": given}


@dataclass(frozen=True)
class ErrorAnswer:
    """An error as REST sends it."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def describe_error(error: Exception, *, data: Any = None) -> ErrorAnswer:
    """Return the REST answer for any exception; the unexpected are logged here.

    ``data`` is the parsed body that a validation error speaks of.
    """
    if isinstance(error, ApplicationError):
        return _describe_application_error(error)
    if isinstance(error, exceptions.ValidationError):
        problems = validation_problems(error, data=data)
        return _describe_application_error(ValidationFailed(problems))
    if isinstance(error, exceptions.APIException):
        return _describe_framework_error(error)
    return _describe_application_error(_translate(error))


def validation_problems(error: Exception, *, data: Any = None) -> list[Any]:
    """Return what ``problem`` made for each wrong field; none for other errors."""
    if isinstance(error, ValidationFailed):
        return list(error.problems)
    if isinstance(error, exceptions.ValidationError):
        return list(_problems(error.detail, ("body",), data))
    return []


def error_response(error: Exception, *, data: Any = None) -> HttpResponse:
    """Return ``describe_error`` as a plain response."""
    answer = describe_error(error, data=data)
    return HttpResponse(
        encode_json(answer.body),
        status=answer.status,
        headers=dict(answer.headers),
        content_type=JSON_TYPE,
    )


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """REST framework's hook, for views that are not of ``lib/api.py``."""
    request = context.get("request")
    answer = describe_error(error, data=getattr(request, "_full_data", None))
    return Response(answer.body, status=answer.status, headers=dict(answer.headers))


def _answer(
    status: int, detail: str, headers: dict[str, str], **members: Any
) -> ErrorAnswer:
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = {
        "detail": detail,
        "code": error_code(status),
        "retryable": status in RETRYABLE,
        **members,
    }
    return ErrorAnswer(status, body, headers)


def _describe_application_error(error: ApplicationError) -> ErrorAnswer:
    headers = {}
    if error.retry_after_s:
        headers["Retry-After"] = str(error.retry_after_s)
    members = dict(error.details)
    if isinstance(error, ValidationFailed):
        members["errors"] = [_shown(entry) for entry in error.problems]
    message = error.message
    if error.status >= 500 and not is_on("error_detail"):
        message = error.default_message  # says nothing of what is inside
    return _answer(error.status, message, headers, **members)


def _describe_framework_error(error: exceptions.APIException) -> ErrorAnswer:
    headers = {}
    wait = getattr(error, "wait", None)
    if wait:
        headers["Retry-After"] = str(int(wait))
    detail: Any = error.detail
    if isinstance(error, exceptions.NotAuthenticated):
        detail = Unauthorized.default_message
    if not isinstance(detail, str):
        detail = str(
            next(iter(detail.values() if isinstance(detail, dict) else detail))
        )
    return _answer(error.status_code, redact(str(detail)), headers)


def _translate(error: Exception) -> ApplicationError:
    """Return the application's word for an exception of Django, or of a bug."""
    if isinstance(error, Http404):
        return NotFound(str(error) or None)
    if isinstance(error, PermissionDenied):
        return Forbidden(str(error) or None)
    if isinstance(error, RequestDataTooBig):
        return PayloadTooLarge()
    if isinstance(error, SuspiciousOperation):
        return BadRequest()
    if isinstance(error, (OperationalError, InterfaceError)):
        logger.error("the database does not answer: %s", error)
        return Unavailable("Database unavailable")
    logger.error("unexpected error", exc_info=error)
    if settings.DEBUG:
        return ApplicationError("".join(traceback.format_exception(error)))
    return ApplicationError()


def _shown(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    if settings.IS_PRODUCTION or not is_on("error_detail"):
        return {"type": entry["type"], "msg": entry["msg"]}
    return entry


def _problems(detail: Any, loc: tuple[str | int, ...], given: Any) -> Any:
    """Yield the entries of a REST framework validation error, however nested."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            where = loc if name == "non_field_errors" else (*loc, name)
            yield from _problems(inner, where, _member(given, name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            is_text = isinstance(inner, str)
            yield from _problems(
                inner, loc if is_text else (*loc, index), given if is_text else None
            )
    elif getattr(detail, "code", "") == "required":
        yield problem("missing", loc, "Field required", {})
    else:
        yield problem(getattr(detail, "code", "invalid"), loc, str(detail), given)


def _member(given: Any, name: str) -> Any:
    if isinstance(given, Mapping) and name != "non_field_errors":
        value = given.get(name)
        return value if isinstance(value, (str, int, float, bool, type(None))) else None
    return None
