"""The admin pages in production: a second key, in a header."""

import pytest

from storage.failed_attempts import failed_attempts
from tests.nodetool_site.asgi_client import request

TOKEN = "a-token-of-the-administrator"
REQUIRED = "Admin token required. Use X-Admin-Token header."
PATHS = ["/admin", "/admin/", "/admin/login/", "/admin/jobs/job/", "/admin/no-such/"]


@pytest.fixture(autouse=True)
def production(settings):
    settings.IS_PRODUCTION = True
    settings.SERVER_MODE = "private"
    settings.AUTH_PROVIDER = "static"
    settings.ADMIN_TOKEN = TOKEN
    failed_attempts.clear()
    yield
    failed_attempts.clear()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("given", "detail"),
    [
        ({}, REQUIRED),
        ({"x_admin_token": ""}, REQUIRED),
        ({"x_admin_token": "wrong"}, "Invalid admin token."),
        ({"x_admin_token": TOKEN[:-1]}, "Invalid admin token."),
        ({"x_admin_token": TOKEN + "x"}, "Invalid admin token."),
        ({"x_admin_token": "\xe9" * 20}, "Invalid admin token."),
        ({"authorization": f"Bearer {TOKEN}"}, REQUIRED),
    ],
)
async def test_admin_page_without_the_token_is_403(path, given, detail):
    answer = await request("GET", path, **given)

    assert answer.status == 403
    assert answer.json == {"detail": detail, "code": "FORBIDDEN", "retryable": False}


@pytest.mark.django_db(transaction=True)
async def test_token_opens_the_door_to_the_sign_in(client):
    start = await request("GET", "/admin/", x_admin_token=TOKEN)
    sign_in = await request("GET", "/admin/login/", x_admin_token=TOKEN)

    assert (start.status, start.headers["location"]) == (
        302,
        "/admin/login/?next=/admin/",
    )
    assert sign_in.status == 200
    assert b"<form" in sign_in.body


async def test_without_a_configured_token_nothing_fits(settings):
    settings.ADMIN_TOKEN = ""

    assert (await request("GET", "/admin/", x_admin_token="x")).status == 403
    assert (await request("GET", "/admin/")).json["detail"] == REQUIRED


async def test_wrong_tokens_are_counted_and_then_wait(settings):
    settings.AUTH_FAILURES_PER_MINUTE = 3

    wrong = [
        (await request("GET", "/admin/", x_admin_token=f"wrong{n}")).status
        for n in range(3)
    ]
    late = await request("GET", "/admin/", x_admin_token=TOKEN)

    assert wrong == [403, 403, 403]
    assert late.status == 429
    assert int(late.headers["retry-after"]) > 0


async def test_missing_token_is_no_guess(settings):
    settings.AUTH_FAILURES_PER_MINUTE = 2

    answers = [(await request("GET", "/admin/")).status for _ in range(4)]

    assert answers == [403] * 4


async def test_other_paths_and_other_environments_ask_for_none(settings):
    assert (await request("GET", "/health")).status == 200
    settings.IS_PRODUCTION = False

    assert (await request("GET", "/admin")).status == 302


async def test_public_mode_has_no_admin_whatever_the_token(settings):
    settings.SERVER_MODE = "public"

    assert (await request("GET", "/admin/", x_admin_token=TOKEN)).status == 404
