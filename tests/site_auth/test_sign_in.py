"""Page sessions: opened by a token or a password, ended, and good for little."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from storage.api_tokens import issue_token, verified_tokens
from storage.failed_attempts import failed_attempts
from storage.models import ApiToken, User
from storage.services import store_asset

pytestmark = pytest.mark.django_db(transaction=True)

STATIC = "a-static-token-of-enough-characters"
PASSWORD = "correct horse battery"
PAGE = "/sign-in/"


@pytest.fixture(autouse=True)
def _multi_user(settings):
    settings.AUTH_PROVIDER = "multi_user"
    settings.SERVER_AUTH_TOKEN = STATIC
    failed_attempts.clear()
    verified_tokens.clear()
    yield
    failed_attempts.clear()


@pytest.fixture
def alice(transactional_db) -> User:
    return User.objects.create_user("alice", id="alice", password=PASSWORD)


@pytest.fixture
def token(alice) -> str:
    return issue_token(alice.pk, name="t")[1]


def sign_in(client, **form):
    return client.post(PAGE, form)


def name_in(client) -> str | None:
    found = re.search(r"signed in as (\S+)\.", client.get(PAGE).content.decode())
    return found and found[1]


def test_a_token_signs_in_and_a_form_signs_out(client, token):
    assert name_in(client) is None
    answer = sign_in(client, token=f" {token} ")
    assert (answer.status_code, answer.url) == (302, "/")
    assert name_in(client) == "alice"

    assert client.get("/sign-out/").status_code == 405
    assert name_in(client) == "alice"
    assert client.post("/sign-out/").url == PAGE

    assert name_in(client) is None


def test_a_password_signs_in(client, alice):
    assert sign_in(client, username="alice", password=PASSWORD).status_code == 302

    assert name_in(client) == "alice"


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"token": "wrong"}, 401, "Invalid token"),
        ({"token": ""}, 401, "Authorization header required"),
        ({"token": "\U0001f600 \x00"}, 401, "Invalid token"),
        ({"username": "alice", "password": "wrong"}, 401, "correct username"),
        ({"username": "alice"}, 401, "required"),
        ({}, 401, "required"),
    ],
)
def test_what_is_wrong_is_said(client, alice, form, status, said):
    answer = sign_in(client, **form)

    assert answer.status_code == status
    assert said in answer.content.decode()
    assert name_in(client) is None


def test_the_page_is_kept_nowhere_and_loads_nothing_of_others(client):
    page = client.get(PAGE)

    assert "no-store" in page["Cache-Control"]
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script", page.content.decode())


def test_a_form_of_others_signs_nobody_in_or_out(alice, token):
    strict = Client(enforce_csrf_checks=True)

    assert sign_in(strict, token=token).status_code == 403
    assert strict.post("/sign-out/").status_code == 403


def test_the_session_gets_a_new_key(client, token):
    client.get(PAGE)
    session = client.session
    session["planted"] = "by somebody"
    session.save()
    client.cookies["sessionid"] = planted = session.session_key

    sign_in(client, token=token)

    assert client.cookies["sessionid"].value != planted
    again = Client()
    again.cookies["sessionid"] = planted
    assert name_in(again) is None


@pytest.mark.parametrize(
    ("wanted", "leads"),
    [
        ("/storage/x.png", "/storage/x.png"),
        ("/", "/"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("http:///evil.example", "/"),
        ("storage/x", "/"),
    ],
)
def test_next_leads_nowhere_else(client, token, wanted, leads):
    assert sign_in(client, token=token, next=wanted).url == leads


@pytest.mark.parametrize(
    "form", [{"token": "wrong"}, {"username": "x", "password": "y"}]
)
def test_a_08_guessing_here_counts_with_all_other_guesses(client, token, form):
    for _ in range(20):
        assert sign_in(client, **form).status_code == 401

    refused = sign_in(client, token=token)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 60
    assert sign_in(client, username="alice", password=PASSWORD).status_code == 429
    client.defaults["REMOTE_ADDR"] = "10.1.1.1"
    assert sign_in(client, token=token).status_code == 302


def test_a_token_with_scopes_opens_no_session(client, alice):
    _, text = issue_token(alice.pk, name="t", scopes=["read"])

    answer = sign_in(client, token=text)

    assert answer.status_code == 403
    assert "scopes" in answer.content.decode()


def test_a_session_ends_with_its_token(client, alice):
    end = timezone.now() + timedelta(minutes=5)
    _, text = issue_token(alice.pk, name="t", expires_at=end)
    sign_in(client, token=text)

    assert 0 < client.session.get_expiry_age() <= 300
    assert Client().session.get_expiry_age() > 300


def test_a_session_of_the_static_token_is_user_1(client):
    assert sign_in(client, token=STATIC).status_code == 403  # there is none yet
    User.objects.create_superuser("admin", id="1")

    sign_in(client, token=STATIC)

    assert name_in(client) == "admin"


def test_a_token_opens_no_admin_but_a_password_does(client):
    boss = User.objects.create_superuser("boss", password=PASSWORD)
    _, text = issue_token(boss.pk, name="t")

    sign_in(client, token=text)
    assert "/admin/login/" in client.get("/admin/").url
    client.post("/admin/login/", {"username": "boss", "password": PASSWORD})

    assert client.get("/admin/").status_code == 200


def test_a_session_reads_ones_own_files_until_its_token_is_revoked(
    client, alice, token
):
    mine = store_asset(alice.pk, b"1", name="a.txt", content_type="text/plain")
    bob = User.objects.create_user("bob", id="bob")
    theirs = store_asset(bob.pk, b"2", name="b.txt", content_type="text/plain")
    sign_in(client, token=token)
    assert client.get(f"/storage/{mine.key}").status_code == 200
    assert client.get(f"/storage/{theirs.key}").status_code == 404

    ApiToken.objects.all().delete()

    assert client.get(f"/storage/{mine.key}").status_code == 401


def test_a_session_of_the_static_token_ends_when_that_is_replaced(client, settings):
    User.objects.create_superuser("admin", id="1")
    mine = store_asset("1", b"1", name="a.txt", content_type="text/plain")
    sign_in(client, token=STATIC)

    settings.SERVER_AUTH_TOKEN = f"a-new-token-of-many-letters,{STATIC}"
    assert client.get(f"/storage/{mine.key}").status_code == 200
    settings.SERVER_AUTH_TOKEN = "a-new-token-of-many-letters"

    assert client.get(f"/storage/{mine.key}").status_code == 401


@pytest.mark.parametrize("provider", ["none", "local"])
def test_where_nobody_is_asked_no_token_signs_in(client, settings, provider):
    User.objects.create_superuser("admin", id="1")
    settings.AUTH_PROVIDER = provider

    assert 'name="token"' not in client.get(PAGE).content.decode()
    assert sign_in(client, token="anything").status_code == 400
    assert name_in(client) is None
