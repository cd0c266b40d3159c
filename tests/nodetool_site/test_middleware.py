"""What a request passes before its view: Host, CORS, Origin, credential, log."""

import logging

import pytest

from tests.nodetool_site.asgi_client import request, send_json

pytestmark = pytest.mark.urls("tests.nodetool_site.urls")

TOKEN = "a-token-of-the-tests-0123456789"
BEARER = f"Bearer {TOKEN}"
NEAR = [
    "http://localhost:3000",
    "http://127.0.0.1:7777",
    "http://[::1]:1",
    "https://localhost",
]
FAR = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "null",
    "file://",
    "chrome-extension://abc",
    "http://192.168.1.5:7777",
    "nonsense",
    "http://[",
]


@pytest.fixture
def enforced(settings):
    settings.AUTH_PROVIDER = "static"
    settings.SERVER_AUTH_TOKEN = TOKEN


# --- Host


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:7777", "127.0.0.1:1", "[::1]"]
)
async def test_own_names_are_served(host):
    assert (await request("GET", "/api/async", host=host)).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "a b", "localhost:x"]
)
@pytest.mark.parametrize("path", ["/api/async", "/", "/admin/"])
async def test_other_names_are_refused_so_that_rebinding_fails(host, path):
    answer = await request("GET", path, host=host)

    assert answer.status == 400
    assert answer.json["code"] == "BAD_REQUEST"


# --- Origin


@pytest.mark.parametrize("origin", NEAR)
async def test_page_of_this_machine_may_change_state(origin):
    assert (await send_json("POST", "/api/async", {}, origin=origin)).status == 200


@pytest.mark.parametrize("origin", FAR)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_other_page_may_not_change_state_without_authentication(origin, method):
    answer = await send_json(method, "/api/async", {}, origin=origin)

    assert answer.status == 403
    assert answer.json["code"] == "FORBIDDEN"


@pytest.mark.parametrize("origin", FAR)
async def test_other_page_may_read(origin):
    assert (await request("GET", "/api/async", origin=origin)).status == 200


async def test_listed_page_may_change_state(settings):
    settings.CORS_ORIGINS = ["https://app.example"]

    answer = await send_json("POST", "/api/async", {}, origin="https://app.example")

    assert answer.status == 200


async def test_page_of_the_servers_own_configured_name_may_change_state(settings):
    settings.ALLOWED_HOSTS = ["nodetool.lan"]

    own = await send_json(
        "POST", "/api/async", {}, origin="http://nodetool.lan", host="nodetool.lan"
    )
    settings.ALLOWED_HOSTS = ["*"]
    rebound = await send_json(
        "POST", "/api/async", {}, origin="http://evil.example", host="evil.example"
    )

    assert own.status == 200
    assert rebound.status == 403


@pytest.mark.usefixtures("enforced")
async def test_token_decides_where_one_is_needed():
    answer = await send_json(
        "POST", "/api/async", {}, origin=FAR[0], authorization=BEARER
    )

    assert answer.status == 200


# --- CORS


async def test_preflight_allows_what_it_asks_for_without_a_credential(enforced):
    answer = await request(
        "OPTIONS",
        "/api/async",
        origin="https://app.example",
        access_control_request_method="POST",
        access_control_request_headers="authorization,x-stainless-lang",
    )

    allowed = answer.headers["access-control-allow-headers"].lower()
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    for name in ("authorization", "x-stainless-lang", "last-event-id", "range"):
        assert name in allowed


async def test_answers_are_readable_by_any_page_and_never_with_credentials():
    answer = await request("GET", "/api/async", origin="https://app.example")

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    exposed = answer.headers["access-control-expose-headers"].lower()
    for name in ("content-range", "x-job-id", "x-request-id", "retry-after"):
        assert name in exposed
    for name in ("x-completion-id", "x-should-retry"):  # OpenAI's client, in a page
        assert name in exposed


async def test_error_answers_are_readable_too():
    answer = await request("GET", "/api/nothing", origin="https://app.example")

    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_list_names_the_pages_that_may_read(settings, method):
    settings.CORS_ORIGINS = ["https://app.example"]

    listed = await request(method, "/api/async", origin="https://app.example")
    other = await request(method, "/api/async", origin="https://evil.example")

    assert listed.headers["access-control-allow-origin"] == "https://app.example"
    assert listed.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in other.headers


# --- Who is calling


@pytest.mark.usefixtures("enforced")
@pytest.mark.parametrize("path", ["/api/async", "/api/sync", "/api/nothing", "/x"])
async def test_stranger_gets_401_also_for_what_does_not_exist(path):
    answer = await request("GET", path)

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json == {
        "detail": "Authorization header required. Use 'Authorization: Bearer <token>'.",
        "code": "UNAUTHORIZED",
        "retryable": False,
    }


@pytest.mark.usefixtures("enforced")
@pytest.mark.parametrize("path", ["/health", "/ping", "/api/health", "/health/"])
@pytest.mark.parametrize("given", ["", BEARER, "Bearer wrong"])
async def test_probes_need_no_credential(path, given):
    answer = await request("GET", path, authorization=given)

    assert answer.status == 404  # this table has no probes; what counts is: no 401


@pytest.mark.usefixtures("enforced")
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_token_opens_both_kinds_of_view(kind):
    answer = await request("GET", f"/api/{kind}", authorization=BEARER)

    assert answer.status == 200


@pytest.mark.usefixtures("enforced")
async def test_query_token_opens_no_ordinary_path():
    assert (await request("GET", f"/api/async?api_key={TOKEN}")).status == 401


# --- What every answer says, and the log


async def test_answers_carry_the_request_id_and_forbid_sniffing():
    own = await request("GET", "/api/async", x_request_id="abc-1")
    made = await request("GET", "/api/async", x_request_id="not ok\x7f")

    assert own.headers["x-request-id"] == "abc-1"
    assert len(made.headers["x-request-id"]) == 32
    assert own.headers["x-content-type-options"] == "nosniff"
    assert own.headers["referrer-policy"] == "no-referrer"


async def test_access_log_has_one_line_without_tokens(caplog):
    caplog.set_level(logging.INFO, logger="nodetool.access")

    await request("GET", "/api/async?api_key=SECRET1&token=SECRET2&a=b&sig=SECRET3")

    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("GET /api/async?api_key=***&token=***&a=b&sig=*** 200 ")
    assert "user=1" in line
    assert "SECRET" not in line


async def test_path_cannot_forge_a_log_line(caplog):
    caplog.set_level(logging.INFO, logger="nodetool.access")

    await request("GET", "/api/x\nGET /forged 200")

    (line,) = [record.getMessage() for record in caplog.records]
    assert "\n" not in line


async def test_switched_off_surface_is_not_there(settings):
    settings.DISABLED_SURFACES = frozenset({"default-api"})

    assert (await request("GET", "/api/async")).status == 404
