"""REST: the two kinds of view, error bodies, slashes, bodies."""

import asyncio
import json

import pytest
from asgiref.testing import ApplicationCommunicator
from django.db import OperationalError

from nodetool_site.handler import Handler
from nodetool_site.lib.errors import (
    Conflict,
    Unavailable,
    ValidationFailed,
    describe_error,
    problem,
)
from nodetool_site.lib.rendering import encode_json
from tests.nodetool_site import urls
from tests.nodetool_site.asgi_client import request, scope_of, send_json

pytestmark = pytest.mark.urls("tests.nodetool_site.urls")
KINDS = ["async", "sync"]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("kind", KINDS)
async def test_both_slash_forms_answer_directly(kind, slash):
    answer = await request("GET", f"/api/{kind}{slash}")

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))


async def test_async_view_knows_its_caller():
    answer = await request("GET", "/api/async")

    assert answer.json == {"user": "1", "at": "async"}


async def test_sync_view_runs_in_a_database_thread():
    answer = await request("GET", "/api/sync")

    assert answer.json["thread"].startswith("db")


@pytest.mark.parametrize("accept", ["text/event-stream", "text/html", "nonsense", ""])
async def test_accept_changes_nothing(accept):
    answer = await request("GET", "/api/async", accept=accept)

    assert answer.status == 200


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [b"", b"null", b"  ", b"{}"])
async def test_no_body_and_null_are_an_empty_object(kind, body):
    answer = await request(
        "POST", f"/api/{kind}", body=body, content_type="application/json"
    )

    assert answer.json == {"got": {}}


async def test_no_body_needs_no_content_type():
    assert (await request("POST", "/api/async")).json == {"got": {}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b'"text"',
        b"1",
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
async def test_body_that_is_no_json_object_gets_400(kind, body):
    answer = await request(
        "POST", f"/api/{kind}", body=body, content_type="application/json"
    )

    assert answer.status == 400
    assert answer.json["code"] == "BAD_REQUEST"
    assert answer.json["retryable"] is False


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""],
)
async def test_json_needs_its_content_type(content_type):
    """A-07: a page can send the other types without asking first."""
    answer = await request("POST", "/api/async", body=b"{}", content_type=content_type)

    assert answer.status == 415


async def test_chunked_body_is_parsed_although_it_has_no_length():
    body = json.dumps({"text": "x" * 5_000}).encode()

    answer = await request(
        "POST", "/api/async", body=body, chunks=7, content_type="application/json"
    )

    assert answer.json["got"]["text"] == "x" * 5_000


async def test_body_over_the_limit_gets_413(settings):
    settings.MAX_BODY_BYTES = 100

    answer = await send_json("POST", "/api/async", {"text": "x" * 100})

    assert answer.status == 413
    assert answer.json["code"] == "PAYLOAD_TOO_LARGE"
    assert len(answer.headers["x-request-id"]) == 32


async def test_wrong_method_gets_405_with_the_right_ones():
    answer = await request("DELETE", "/api/async")

    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST, PUT, HEAD, OPTIONS"
    assert answer.json["detail"]


async def test_head_is_where_get_is():
    assert (await request("HEAD", "/api/async")).status == 200


async def test_unknown_path_gets_a_json_404():
    answer = await request("GET", "/api/nothing/here")

    assert answer.status == 404
    assert answer.json == {
        "detail": "Not found",
        "code": "NOT_FOUND",
        "retryable": False,
    }


async def test_fields_that_are_wrong_are_all_named():
    answer = await send_json("PUT", "/api/async", {"nested": [1, "x"]})

    assert answer.status == 422
    assert answer.json["detail"] == "Request validation failed"
    assert answer.json["code"] == "VALIDATION_ERROR"
    missing, nested = answer.json["errors"]
    assert missing == {
        "type": "missing",
        "loc": ["body", "name"],
        "msg": "Field required",
        "input": {},
    }
    assert nested["loc"][:2] == ["body", "nested"]


async def test_production_does_not_say_where_a_field_is(settings):
    settings.IS_PRODUCTION = True

    answer = await send_json("PUT", "/api/async", {})

    assert answer.json["errors"] == [{"type": "missing", "msg": "Field required"}]


def test_public_mode_says_nothing_of_the_inside_and_names_the_problem(settings):
    settings.SERVER_MODE = "public"

    away = describe_error(Unavailable("The broker at 10.0.0.1 does not answer"))
    database = describe_error(OperationalError("no connection to 10.0.0.1"))
    bug = describe_error(RuntimeError("/home/user/secret.py is wrong"))
    wrong = describe_error(
        ValidationFailed([problem("missing", ("body", "name"), "Field required")])
    )
    mistake = describe_error(Conflict("The job has ended"))

    assert away.body["detail"] == database.body["detail"] == "Service unavailable"
    assert away.headers["Retry-After"] == "1"
    assert bug.body["detail"] == "Internal server error"
    assert wrong.body["errors"] == [{"type": "missing", "msg": "Field required"}]
    assert mistake.body["detail"] == "The job has ended"


@pytest.mark.parametrize("mode", ["desktop", "private"])
def test_other_modes_say_more_and_never_a_stack_trace(settings, mode):
    settings.SERVER_MODE = mode

    away = describe_error(Unavailable("The broker does not answer"))
    bug = describe_error(RuntimeError("/home/user/secret.py is wrong"))

    assert away.body["detail"] == "The broker does not answer"
    assert bug.body["detail"] == "Internal server error"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("what", "status", "code", "retryable"),
    [
        ("conflict", 409, "CONFLICT", False),
        ("rate", 429, "RATE_LIMITED", True),
        ("away", 503, "SERVICE_UNAVAILABLE", True),
        ("wrong", 422, "VALIDATION_ERROR", False),
        ("database", 503, "SERVICE_UNAVAILABLE", True),
        ("bug", 500, "INTERNAL", False),
    ],
)
async def test_errors_have_one_body(kind, what, status, code, retryable):
    answer = await request("GET", f"/api/failing/{kind}/{what}")

    assert answer.status == status
    assert answer.json["code"] == code
    assert answer.json["retryable"] is retryable
    assert answer.json["detail"]


async def test_details_and_retry_time_reach_the_client():
    conflict = await request("GET", "/api/failing/async/conflict")
    rate = await request("GET", "/api/failing/async/rate")
    away = await request("GET", "/api/failing/async/away")

    assert conflict.json["job_id"] == "j1"
    assert rate.headers["retry-after"] == "7"
    assert int(away.headers["retry-after"]) > 0


@pytest.mark.parametrize("kind", KINDS)
async def test_bug_is_logged_and_not_told(kind, caplog):
    answer = await request("GET", f"/api/failing/{kind}/bug")

    assert b"secret.py" not in answer.body
    assert "secret.py" in caplog.text


async def test_debug_shows_the_traceback(settings):
    settings.DEBUG = True

    answer = await request("GET", "/api/failing/async/bug")

    assert "Traceback" in answer.json["detail"]


async def test_database_error_does_not_show_an_address():
    answer = await request("GET", "/api/failing/async/database")

    assert b"10.0.0.1" not in answer.body


async def test_answer_that_cannot_be_rendered_is_a_500():
    answer = await request("GET", "/api/unrenderable")

    assert answer.status == 500
    assert answer.json["code"] == "INTERNAL"


async def test_stream_is_not_measured_nor_encoded():
    answer = await request("GET", "/api/stream", accept="text/event-stream")

    assert answer.body == b"ab"
    assert answer.headers["content-type"] == "text/event-stream"
    assert "content-length" not in answer.headers


async def test_client_that_hangs_up_cancels_its_view():
    urls.CANCELLED.clear()
    communicator = ApplicationCommunicator(
        Handler(), scope_of("GET", "/api/endless", {})
    )
    await communicator.send_input({"type": "http.request"})
    assert await communicator.receive_nothing()

    await communicator.send_input({"type": "http.disconnect"})
    await asyncio.wait_for(asyncio.shield(communicator.future), 5)

    assert urls.CANCELLED == ["endless"]


@pytest.mark.parametrize(
    ("asked", "given"),
    [("", 100), ("7", 7), ("0", 1), ("-5", 1), ("501", 500), (" 9 ", 9)],
)
async def test_limit_is_brought_into_its_bounds(asked, given):
    answer = await request("GET", f"/api/limit?limit={asked.replace(' ', '%20')}")

    assert answer.json == {"limit": given}


@pytest.mark.parametrize("asked", ["x", "1.5", "1e3", "0x1", "9" * 5_000])
async def test_limit_that_is_no_number_gets_422(asked):
    answer = await request("GET", f"/api/limit?limit={asked}")

    assert answer.status == 422
    assert answer.json["errors"][0]["loc"] == ["query", "limit"]


def test_text_kinds_of_django_are_text():
    from django.utils.translation import gettext_lazy
    from rest_framework.exceptions import ErrorDetail

    value = {"lazy": gettext_lazy("Yes"), "detail": ErrorDetail("no", code="x")}

    assert json.loads(encode_json(value)) == {"lazy": "Yes", "detail": "no"}
