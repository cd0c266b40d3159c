"""Who may read a stored file: the owner, the holder of a link, anybody while open."""

import time
from functools import partial
from urllib.parse import urlencode

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from nodetool_site.lib.db import db
from storage import links
from storage.api_tokens import issue_token
from tests.equal_times import least_ratio
from tests.storage.conftest import body_of

pytestmark = pytest.mark.django_db(transaction=True)

STATIC = "a-static-token-of-enough-characters"
UNKNOWN = "0" * 32 + ".txt"


@pytest.fixture
async def asset(alice, asset_of):
    return await asset_of(alice)


@pytest.fixture
def enforced(settings):
    """Users are told apart, and reads are not open."""
    settings.AUTH_PROVIDER = "multi_user"
    settings.SERVER_AUTH_TOKEN = STATIC
    return settings


@pytest.fixture
def token_of():
    async def issue(user) -> str:
        return (await db(issue_token, user.pk, name="test"))[1]

    return issue


def session_of(user) -> dict:
    """What Django keeps in the session of a user who has logged in."""
    return {
        SESSION_KEY: user.pk,
        BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }


def query(link: str) -> str:
    return link.partition("?")[2]


@pytest.mark.parametrize("provider", ["none", "local"])
async def test_reads_are_open_without_authentication(asset, fetch, settings, provider):
    settings.AUTH_PROVIDER = provider

    assert (await fetch(asset.key)).status_code == 200
    assert (await fetch(asset.key, token="anything")).status_code == 200


async def test_reads_are_open_by_setting(asset, fetch, enforced):
    enforced.STORAGE_PUBLIC_READ = True

    assert (await fetch(asset.key)).status_code == 200
    assert (await fetch(asset.key, token="wrong")).status_code == 200


async def test_a_stranger_is_told_to_authenticate(asset, fetch, enforced):
    for key in (asset.key, UNKNOWN):
        response = await fetch(key)
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"
        assert b"Authorization header required" in response.content


async def test_a_wrong_token_is_told_so(asset, fetch, enforced):
    response = await fetch(asset.key, token="wrong")

    assert response.status_code == 401
    assert b"Invalid token" in response.content


async def test_a_query_token_does_not_count(asset, fetch, enforced):
    assert (await fetch(f"{asset.key}?api_key={STATIC}")).status_code == 401


async def test_z_03_a_foreign_file_is_an_unknown_file(
    asset, fetch, enforced, alice, bob, charlie, token_of
):
    assert (await fetch(asset.key, token=await token_of(alice))).status_code == 200
    for user in (bob, charlie):
        token = await token_of(user)
        foreign = await fetch(asset.key, token=token)
        unknown = await fetch(UNKNOWN, token=token)
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content
        for response in (foreign, unknown):
            del response["x-request-id"]
        assert foreign.headers == unknown.headers


async def test_z_03_foreign_takes_as_long_as_unknown(
    asset, fetch, enforced, charlie, token_of
):
    token = await token_of(charlie)

    async def ask(key: str) -> None:
        await fetch(key, token=token)

    foreign, unknown = partial(ask, asset.key), partial(ask, UNKNOWN)
    assert await least_ratio(foreign, unknown, enough=1.2, tries=50) < 1.2


async def test_the_static_token_is_the_default_user(asset, fetch, enforced):
    assert (await fetch(asset.key, token=STATIC)).status_code == 404


async def test_a_page_session_reads_its_users_files(
    asset, fetch, enforced, alice, charlie
):
    mine = await fetch(asset.key, session=session_of(alice))
    foreign = await fetch(asset.key, session=session_of(charlie))
    nobody = await fetch(asset.key, session={})

    assert [r.status_code for r in (mine, foreign, nobody)] == [200, 404, 401]


async def test_a_signed_link_opens_its_file_alone(
    asset, fetch, enforced, asset_of, bob
):
    other = await asset_of(bob)
    link = links.public_path(asset.key, asset.owner_id)

    response = await fetch(link.removeprefix("/storage/"))
    elsewhere = await fetch(f"{other.key}?{query(link)}")

    assert response.status_code == 200
    assert await body_of(response) == b"0123456789"
    assert elsewhere.status_code == 401


async def test_a_link_made_for_another_owner_opens_nothing(asset, fetch, enforced):
    forged = links.public_path(asset.key, "charlie")

    assert (await fetch(forged.removeprefix("/storage/"))).status_code == 401


async def test_a_link_ends(asset, fetch, enforced, monkeypatch):
    link = links.public_path(asset.key, asset.owner_id).removeprefix("/storage/")
    now = time.time()
    at_least = enforced.STORAGE_LINK_TTL

    monkeypatch.setattr(links.time, "time", lambda: now + at_least - 1)
    before = await fetch(link)
    monkeypatch.setattr(links.time, "time", lambda: now + at_least + links.STEP_S + 1)
    after = await fetch(link)

    assert (before.status_code, after.status_code) == (200, 401)


async def test_a_link_lives_an_hour_at_least(asset, enforced):
    enforced.STORAGE_LINK_TTL = 1

    expires_at = int(links.public_path(asset.key, "alice").rpartition("=")[2])

    assert expires_at >= time.time() + 3600


@pytest.mark.parametrize(
    "tampered",
    [
        {"exp": "99999999999"},
        {"exp": "9" * 5000},
        {"exp": "-1"},
        {"exp": "1e9"},
        {"exp": "\u0663"},
        {"exp": ""},
        {"sig": ""},
        {"sig": "x" * 43},
        {"sig": "ü"},
    ],
)
async def test_a_tampered_link_opens_nothing(asset, fetch, enforced, tampered):
    text = query(links.public_path(asset.key, asset.owner_id))
    parts = dict(part.split("=", 1) for part in text.split("&")) | tampered

    response = await fetch(f"{asset.key}?{urlencode(parts)}")

    assert response.status_code == 401


async def test_a_link_is_plain_while_reads_are_open(asset, settings):
    settings.AUTH_PROVIDER = "local"

    path = links.public_path(asset.key, asset.owner_id)

    assert path == f"/storage/assets/{asset.key}"
