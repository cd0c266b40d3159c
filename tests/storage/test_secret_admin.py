"""Secrets in the admin: written, never read."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from storage.models import Secret, User
from storage.vault import reveal_secret, set_secret

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.storage.admin_urls"),
]

SECRETS = "/admin/storage/secret"
VALUE = "sk-a-value-that-nobody-may-see"


@pytest.fixture(autouse=True)
def _own_key(settings, tmp_path):
    settings.SECRETS_MASTER_KEY = ""
    settings.DATA_FOLDER = tmp_path


@pytest.fixture
def clerk() -> User:
    """Staff with every permission that there is."""
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.all())
    return clerk


@pytest.fixture
def desk(client, clerk):
    client.force_login(clerk)
    return client


@pytest.fixture
def boss(client):
    client.force_login(User.objects.create_superuser("boss", password="x"))
    return client


def test_a_value_goes_in_and_never_comes_out(desk, clerk):
    form = {"owner": clerk.pk, "key": "KEY", "description": "mine", "value": VALUE}

    answer = desk.post(f"{SECRETS}/add/", form)

    assert answer.status_code == 302
    assert reveal_secret(clerk.pk, "KEY") == VALUE
    pk = Secret.objects.get().pk
    for page in ("", "?q=KEY", f"{pk}/change/", f"{pk}/history/", f"{pk}/delete/"):
        shown = desk.get(f"{SECRETS}/{page}")
        assert shown.status_code == 200
        assert VALUE not in shown.content.decode(), page
    assert VALUE not in str(list(LogEntry.objects.values()))


def test_who_stores_a_value_too_short_to_be_masked_is_told(desk, clerk):
    form = {"owner": clerk.pk, "key": "PIN", "description": "", "value": "1234567"}

    answer = desk.post(f"{SECRETS}/add/", form, follow=True)

    assert "not masked" in answer.content.decode()


def test_a_value_that_is_refused_is_not_shown_again(desk, clerk):
    form = {"owner": clerk.pk, "key": "1 KEY", "description": "", "value": VALUE}

    answer = desk.post(f"{SECRETS}/add/", form)

    assert answer.status_code == 200
    assert "letters, digits and _" in answer.content.decode()
    assert VALUE not in answer.content.decode()
    assert not Secret.objects.exists()


def test_an_empty_value_keeps_the_one_that_is_there(desk, clerk):
    pk = set_secret(clerk.pk, "KEY", VALUE).pk

    desk.post(f"{SECRETS}/{pk}/change/", {"description": "new", "value": ""})

    assert reveal_secret(clerk.pk, "KEY") == VALUE
    assert Secret.objects.get().description == "new"
    desk.post(f"{SECRETS}/{pk}/change/", {"description": "new", "value": "a\r\nb"})
    assert reveal_secret(clerk.pk, "KEY") == "a\nb"


def test_a_new_one_needs_a_value(desk, clerk):
    form = {"owner": clerk.pk, "key": "KEY", "description": "", "value": ""}

    assert "A value is needed" in desk.post(f"{SECRETS}/add/", form).content.decode()


def test_owner_and_name_stay(boss, clerk, alice):
    pk = set_secret(clerk.pk, "KEY", VALUE).pk
    form = {"owner": alice.pk, "key": "OTHER", "description": "", "value": "new"}

    boss.post(f"{SECRETS}/{pk}/change/", form)

    assert reveal_secret(clerk.pk, "KEY") == "new"
    assert not Secret.objects.filter(owner=alice).exists()


def test_staff_sees_and_makes_its_own_alone(desk, clerk, alice):
    pk = set_secret(alice.pk, "ALICES_KEY", VALUE).pk

    assert "ALICES_KEY" not in desk.get(f"{SECRETS}/").content.decode()
    for page in ("change/", "delete/", "history/"):
        assert desk.get(f"{SECRETS}/{pk}/{page}").status_code == 404, page
    form = {"owner": alice.pk, "key": "KEY", "description": "", "value": VALUE}
    assert desk.post(f"{SECRETS}/add/", form).status_code == 200
    assert list(Secret.objects.values_list("key", flat=True)) == ["ALICES_KEY"]


def test_a_superuser_sees_the_names_of_all(boss, alice):
    set_secret(alice.pk, "ALICES_KEY", VALUE)

    page = boss.get(f"{SECRETS}/").content.decode()

    assert "ALICES_KEY" in page
    assert VALUE not in page
