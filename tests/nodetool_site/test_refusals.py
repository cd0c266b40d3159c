"""What reaches no view is refused in the form of the surface that was asked."""

import json

import pytest
from rest_framework.exceptions import AuthenticationFailed

from nodetool_site.lib.errors import (
    ApplicationError,
    BadRequest,
    Forbidden,
    NotFound,
    PayloadTooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedEncoding,
)
from nodetool_site.refusals import refusal_response

INVALID = "invalid_request_error"


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (BadRequest(), 400, INVALID, None),
        (Unauthorized(), 401, INVALID, "invalid_api_key"),
        (AuthenticationFailed("no"), 401, INVALID, "invalid_api_key"),
        (Forbidden(), 403, INVALID, "permission_denied"),
        (NotFound(), 404, INVALID, "not_found"),
        (PayloadTooLarge(), 413, INVALID, "request_too_large"),
        (UnsupportedEncoding(), 415, INVALID, None),
        (TooManyRequests(), 429, "rate_limit_error", "rate_limit_exceeded"),
        (ApplicationError(), 500, "server_error", "internal_error"),
        (Unavailable(), 503, "server_error", "service_unavailable"),
    ],
)
@pytest.mark.parametrize("path", ["/v1", "/v1/chat/completions"])
def test_below_v1_errors_are_openais(path, error, status, kind, code):
    answer = refusal_response(error, path)

    body = json.loads(answer.content)["error"]
    assert answer.status_code == status
    assert set(body) == {"message", "type", "param", "code"}
    assert body["message"]
    assert (body["type"], body["code"]) == (kind, code)


def test_headers_that_a_refusal_needs_are_kept():
    limited = refusal_response(TooManyRequests(retry_after_s=9), "/v1/models")
    unknown = refusal_response(Unauthorized(), "/v1/models")

    assert limited["Retry-After"] == "9"
    assert unknown["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/", "/v10", "/api/v1/x", "/v1x/y"])
def test_elsewhere_they_are_the_servers_own(path):
    body = json.loads(refusal_response(NotFound(), path).content)

    assert set(body) == {"detail", "code", "retryable"}
