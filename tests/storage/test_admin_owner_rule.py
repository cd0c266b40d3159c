"""Staff who are no superusers: theirs alone, whatever permissions they were given."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from storage import admin as storage_admin
from storage.api_tokens import look_up
from storage.models import ApiToken, User

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.storage.admin_urls"),
]

USERS = "/admin/storage/user"
TOKENS = "/admin/storage/apitoken"
PASSWORD = "correct horse battery"


@pytest.fixture
def clerk() -> User:
    """Staff with every permission that there is."""
    clerk = User.objects.create_user("clerk", password=PASSWORD, is_staff=True)
    clerk.user_permissions.set(Permission.objects.all())
    return clerk


@pytest.fixture
def desk(client, clerk):
    client.force_login(clerk)
    return client


def test_staff_sees_its_own_account_alone(desk, clerk, alice):
    listed = desk.get(f"{USERS}/").content.decode()

    assert "clerk" in listed
    assert "alice" not in listed
    assert desk.get(f"{USERS}/{clerk.pk}/change/").status_code == 200
    for page in ("change/", "delete/", "history/", "password/"):
        assert desk.get(f"{USERS}/{alice.pk}/{page}").status_code in (403, 404), page


def test_staff_cannot_make_itself_more(desk, clerk):
    group = Group.objects.create(name="all")

    answer = desk.post(
        f"{USERS}/{clerk.pk}/change/",
        {
            "first_name": "Clara",
            "last_name": "",
            "email": "",
            "username": "root",
            "is_active": "on",
            "is_staff": "on",
            "is_superuser": "on",
            "groups": [group.pk],
            "password": "x",
            "stored_bytes": "0",
        },
    )

    before, password = clerk.username, clerk.password
    clerk.refresh_from_db()
    assert answer.status_code == 302
    assert clerk.first_name == "Clara"
    assert not clerk.is_superuser
    assert not clerk.groups.exists()
    assert (clerk.username, clerk.password) == (before, password)


def test_staff_cannot_set_a_password_without_the_old_one(desk, clerk, alice):
    new = {"usable_password": "true", "password1": "x!9pqrst", "password2": "x!9pqrst"}

    for user in (clerk, alice):
        answer = desk.post(f"{USERS}/{user.pk}/password/", new)
        assert answer.status_code == 403
        before = user.password
        user.refresh_from_db()
        assert user.password == before


def test_staff_changes_its_own_password_with_the_old_one(desk, clerk):
    new = "a-new-battery-staple"
    answer = desk.post(
        "/admin/password_change/",
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
    )

    clerk.refresh_from_db()
    assert answer.status_code == 302
    assert clerk.check_password(new)


def test_staff_adds_and_deletes_no_accounts(desk, clerk, alice):
    assert desk.get(f"{USERS}/add/").status_code == 403
    assert desk.post(f"{USERS}/{clerk.pk}/delete/", {"post": "yes"}).status_code == 403
    desk.post(
        f"{USERS}/",
        {"action": "delete_selected", "_selected_action": [alice.pk], "post": "yes"},
    )

    assert User.objects.filter(pk__in=[clerk.pk, alice.pk]).count() == 2


def test_staff_changes_no_groups(desk):
    group = Group.objects.create(name="all")

    for page in ("", "add/", f"{group.pk}/change/", f"{group.pk}/delete/"):
        assert desk.get(f"/admin/auth/group/{page}").status_code == 403, page
    assert "/admin/auth/group/" not in desk.get("/admin/").content.decode()


def test_a_superuser_still_may(client, alice):
    boss = User.objects.create_superuser("boss", password=PASSWORD)
    client.force_login(boss)
    group = Group.objects.create(name="all")

    page = client.get(f"{USERS}/{alice.pk}/change/").content.decode()

    assert 'name="is_superuser"' in page
    assert client.get(f"{USERS}/{alice.pk}/password/").status_code == 200
    assert client.get(f"/admin/auth/group/{group.pk}/change/").status_code == 200


def test_staff_mints_tokens_for_itself_alone(desk, clerk, alice):
    refused = desk.post(f"{TOKENS}/add/", {"owner": alice.pk, "name": "hers"})
    made = desk.post(
        f"{TOKENS}/add/", {"owner": clerk.pk, "name": "mine", "scopes": ["read", "run"]}
    )

    assert "Select a valid choice" in refused.content.decode()
    text = re.search(r'id="issued-token">(nt_[\w-]{43})<', made.content.decode())[1]
    assert look_up(text.encode()).scopes == {"read", "run"}
    assert [token.owner_id for token in ApiToken.objects.all()] == [clerk.pk]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"scopes": ["everything"]}, "Select a valid choice"),
        ({"expires_at_0": "2001-01-01", "expires_at_1": "00:00"}, "has passed"),
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(desk, clerk, fields, error):
    page = desk.post(
        f"{TOKENS}/add/", {"owner": clerk.pk, "name": "mine", **fields}
    ).content.decode()

    assert error in page
    assert not ApiToken.objects.exists()


def test_a_token_with_an_end_is_made(desk, clerk):
    end = timezone.now() + timedelta(days=1)

    desk.post(
        f"{TOKENS}/add/",
        {
            "owner": clerk.pk,
            "name": "mine",
            "expires_at_0": end.date().isoformat(),
            "expires_at_1": "23:59:59",
        },
    )

    assert ApiToken.objects.get().expires_at > timezone.now()


def test_too_many_tokens_are_refused(desk, clerk, monkeypatch):
    monkeypatch.setattr(storage_admin, "MAX_TOKENS", 0)

    page = desk.post(f"{TOKENS}/add/", {"owner": clerk.pk, "name": "mine"})

    assert "0 tokens at most" in page.content.decode()
