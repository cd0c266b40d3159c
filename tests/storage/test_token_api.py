"""``/api/tokens/``: list, make once, revoke; never more than one's own."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from nodetool_site.lib.db import db
from storage import api_tokens
from storage.api_tokens import issue_token, look_up, verified_tokens
from storage.failed_attempts import failed_attempts
from storage.models import ApiToken
from tests.nodetool_site.asgi_client import request, send_json

pytestmark = pytest.mark.django_db(transaction=True)
TOKENS = "/api/tokens/"


@pytest.fixture(autouse=True)
def _multi_user(settings):
    settings.AUTH_PROVIDER = "multi_user"
    failed_attempts.clear()
    verified_tokens.clear()


class Caller:
    """One who has a token."""

    def __init__(self, text: str) -> None:
        self.headers = {"authorization": f"Bearer {text}"}

    async def get(self, path: str = TOKENS):
        return await request("GET", path, **self.headers)

    async def delete(self, token_id: str):
        return await request("DELETE", f"{TOKENS}{token_id}", **self.headers)

    async def make(self, **fields):
        fields = {"name": "made", **fields}
        return await send_json("POST", TOKENS, fields, **self.headers)


async def caller(user, *scopes: str, **fields) -> Caller:
    row_and_text = await db(issue_token, user.pk, name="own", scopes=scopes, **fields)
    return Caller(row_and_text[1])


async def test_a_token_is_shown_once(alice):
    me = await caller(alice)

    made = await me.make(scopes=["read"])

    assert made.status == 200
    assert made.headers["cache-control"] == "no-store"
    text = made.json["token"]
    assert (await db(look_up, text.encode())).scopes == {"read"}
    listed = await me.get()
    one = await me.get(f"{TOKENS}{made.json['id']}")
    for answer in (listed, one):
        assert text.encode() not in answer.body
        assert b"sha256" not in answer.body
    assert one.json.keys() == {
        *("id", "user_id", "name", "prefix", "scopes"),
        *("created_at", "last_used_at", "expires_at"),
    }
    assert {**one.json, "last_used_at": None, "token": text} == made.json


async def test_tokens_are_listed_newest_first_in_pages(alice):
    me = await caller(alice)
    for number in range(3):
        await me.make(name=str(number))

    first = (await me.get(f"{TOKENS}?limit=2")).json
    second = (await me.get(f"{TOKENS}?limit=2&cursor={first['next']}")).json

    names = [t["name"] for t in [*first["tokens"], *second["tokens"]]]
    assert names == ["2", "1", "0", "own"]
    assert second["next"] is None
    assert (await me.get(f"{TOKENS}?cursor=x")).status == 400
    assert (await me.get(f"{TOKENS}?limit=x")).status == 422


async def test_a_revoked_token_opens_nothing_more(alice):
    me = await caller(alice)
    made = (await me.make()).json
    other = Caller(made["token"])
    assert (await other.get()).status == 200

    gone = await me.delete(made["id"])

    assert (gone.status, gone.json) == (200, None)
    assert (await other.get()).status == 401
    assert (await me.delete(made["id"])).status == 404


async def test_somebody_elses_token_does_not_exist(alice, charlie):
    foreign = (await (await caller(alice)).make()).json
    me = await caller(charlie)

    assert foreign["id"] not in [t["id"] for t in (await me.get()).json["tokens"]]
    assert (await me.get(f"{TOKENS}{foreign['id']}")).status == 404
    assert (await me.delete(foreign["id"])).status == 404
    assert await db(ApiToken.objects.filter(pk=foreign["id"]).exists)


@pytest.mark.parametrize(
    "token_id", ["0", "x", "-1", "1e3", "\u0661", "9" * 18, "9" * 40, "1%00"]
)
async def test_an_id_that_no_token_has_is_not_found(alice, token_id):
    me = await caller(alice)

    assert (await me.get(f"{TOKENS}{token_id}")).status == 404
    assert (await me.delete(token_id)).status == 404


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"name": ""}, 422),
        ({"name": "x" * 101}, 422),
        ({"name": None}, 422),
        ({"name": "a\0b"}, 422),
        ({"scopes": "read"}, 422),
        ({"scopes": ["all"]}, 422),
        ({"scopes": [["read"]]}, 422),
        ({"scopes": ["read"] * 21}, 422),
        ({"expires_in_days": 0}, 422),
        ({"expires_in_days": 4_000}, 422),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 422),
        ({"expires_at": "soon"}, 422),
        ({"expires_at": "2101-01-01T00:00:00Z", "expires_in_days": 1}, 422),
        ({"user_id": "bob"}, 200),
        ({"scopes": []}, 200),
        ({"expires_in_days": 1}, 200),
        ({"expires_at": "2101-01-01T00:00:00+02:00"}, 200),
    ],
)
async def test_what_is_asked_for_is_checked(alice, fields, status):
    me = await caller(alice)

    answer = await me.make(**fields)

    assert answer.status == status
    if status == 200:
        assert answer.json["user_id"] == "alice"


async def test_the_end_may_be_given_in_days(alice):
    me = await caller(alice)

    made = (await me.make(expires_in_days=2)).json

    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=2) - timedelta(minutes=1) < left <= timedelta(days=2)


@pytest.mark.parametrize(
    ("own", "asked", "detail"),
    [
        (["admin", "read"], ["read", "write"], "lacks the scope 'write'"),
        (["admin"], ["run"], "lacks the scope 'run'"),
        (["admin", "read"], [], "name them"),
        (["read", "run", "write"], ["read"], "lacks the scope 'admin'"),
    ],
)
async def test_a_token_cannot_make_one_with_more_than_its_own(
    alice, own, asked, detail
):
    me = await caller(alice, *own)

    refused = await me.make(scopes=asked)

    assert refused.status == 403
    assert detail in refused.json["detail"]
    assert await db(ApiToken.objects.count) == 1


async def test_a_token_can_make_one_with_as_much_as_its_own(alice):
    me = await caller(alice, "admin", "read")

    made = await me.make(scopes=["read", "admin"])

    assert made.json["scopes"] == ["read", "admin"]


async def test_a_token_cannot_make_one_that_outlives_it(alice):
    end = timezone.now() + timedelta(days=3)
    me = await caller(alice, expires_at=end)

    assert (await me.make(expires_in_days=4)).status == 403
    assert (await me.make(expires_in_days=2)).status == 200
    inherited = (await me.make()).json["expires_at"]
    assert abs(datetime.fromisoformat(inherited) - end) < timedelta(seconds=1)


async def test_a_user_has_a_bounded_number_of_tokens(alice, monkeypatch):
    monkeypatch.setattr(api_tokens, "MAX_TOKENS", 2)
    me = await caller(alice)

    assert (await me.make()).status == 200
    refused = await me.make()

    assert (refused.status, refused.json["code"]) == (409, "CONFLICT")


@pytest.mark.parametrize("provider", ["none", "local"])
async def test_where_tokens_open_nothing_none_is_made(settings, provider):
    settings.AUTH_PROVIDER = provider

    refused = await send_json("POST", TOKENS, {"name": "x"})

    assert refused.status == 409
    assert f"AUTH_PROVIDER={provider}" in refused.json["detail"]
    assert "multi_user" in refused.json["detail"]
