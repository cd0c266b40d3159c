"""Users and tokens in the admin."""

import re

import pytest
from django.contrib.auth.models import Permission

from storage.api_tokens import issue_token, look_up
from storage.failed_attempts import failed_attempts
from storage.models import ApiToken, User
from storage.services import store_asset

# The page middlewares close their connections, which would end a test's transaction.
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.storage.admin_urls"),
]

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _fresh():
    failed_attempts.clear()
    yield
    failed_attempts.clear()


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss", password=PASSWORD)


@pytest.fixture
def admin(client, boss):
    client.force_login(boss)
    return client


def text_of(response) -> str:
    return response.content.decode()


@pytest.mark.parametrize("model", ["user", "apitoken"])
def test_strangers_and_other_users_are_sent_to_the_login(client, alice, model):
    address = f"/admin/storage/{model}/"

    assert client.get(address).status_code == 302
    client.force_login(alice)
    assert "/admin/login/" in client.get(address).headers["Location"]


@pytest.mark.parametrize("model", ["user", "apitoken"])
def test_the_pages_open(admin, alice, model):
    token, _ = issue_token(alice.pk, name="laptop")
    pk = {"user": alice.pk, "apitoken": token.pk}[model]

    for page in (
        "",
        "?q=a",
        "add/",
        f"{pk}/change/",
        f"{pk}/delete/",
        f"{pk}/history/",
    ):
        response = admin.get(f"/admin/storage/{model}/{page}")
        assert response.status_code == 200, page


def test_a_user_is_added_by_name_and_password(admin):
    response = admin.post(
        "/admin/storage/user/add/",
        {
            "username": "zoe",
            "usable_password": "true",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
    )

    assert response.status_code == 302
    user = User.objects.get(username="zoe")
    assert len(user.pk) == 32
    assert user.check_password(PASSWORD)


def test_a_user_is_deleted_with_all_files(admin, alice):
    asset = store_asset(alice.pk, b"x", name="a.txt", content_type="text/plain")

    page = admin.post(f"/admin/storage/user/{alice.pk}/delete/", {"post": "yes"})

    assert page.status_code == 302
    assert not User.objects.filter(pk=alice.pk).exists()
    assert not type(asset).objects.exists()


def test_several_users_are_deleted_at_once(admin, alice, bob):
    admin.post(
        "/admin/storage/user/",
        {
            "action": "delete_selected",
            "_selected_action": [alice.pk, bob.pk],
            "post": "yes",
        },
    )

    assert [user.username for user in User.objects.all()] == ["boss"]


def test_user_1_cannot_be_deleted(admin):
    User.objects.create_user("admin", id="1")

    one = admin.post("/admin/storage/user/1/delete/", {"post": "yes"})
    admin.post(
        "/admin/storage/user/",
        {"action": "delete_selected", "_selected_action": ["1"], "post": "yes"},
    )

    assert one.status_code == 403
    assert User.objects.filter(pk="1").exists()


def test_a_token_is_shown_once_when_it_is_issued(admin, alice):
    page = admin.post(
        "/admin/storage/apitoken/add/", {"owner": alice.pk, "name": "laptop"}
    )

    token = re.search(r'id="issued-token">(nt_[\w-]{43})<', text_of(page))[1]
    assert look_up(token.encode()).user_id == alice.pk
    assert "no-store" in page["Cache-Control"]
    assert set(page.cookies) <= {"csrftoken"}
    row = ApiToken.objects.get()
    for address in ("", f"{row.pk}/change/", f"{row.pk}/history/"):
        shown = text_of(admin.get(f"/admin/storage/apitoken/{address}"))
        assert token not in shown
        assert row.sha256 not in shown


def test_a_token_cannot_be_changed_only_revoked(admin, alice):
    row, text = issue_token(alice.pk, name="laptop")
    address = f"/admin/storage/apitoken/{row.pk}"

    assert admin.post(f"{address}/change/", {"name": "x"}).status_code == 403
    assert admin.post(f"{address}/delete/", {"post": "yes"}).status_code == 302
    assert look_up(text.encode()) is None


def test_staff_issues_and_sees_its_own_tokens_only(client, alice):
    staff = User.objects.create_user("staff", is_staff=True)
    staff.user_permissions.set(
        Permission.objects.filter(content_type__model="apitoken")
    )
    foreign, _ = issue_token(alice.pk, name="alices-laptop")
    client.force_login(staff)
    address = "/admin/storage/apitoken"

    assert "alices-laptop" not in text_of(client.get(f"{address}/"))
    assert client.get(f"{address}/{foreign.pk}/change/").status_code == 404
    page = client.post(f"{address}/add/", {"owner": alice.pk, "name": "mine"})
    assert "Select a valid choice" in text_of(page)
    page = client.post(f"{address}/add/", {"owner": staff.pk, "name": "mine"})
    assert "issued-token" in text_of(page)


def log_in(client, password: str):
    return client.post("/admin/login/", {"username": "boss", "password": password})


def test_a_staff_account_logs_in(client, boss):
    assert log_in(client, PASSWORD).status_code == 302


def test_a_08_guessing_a_password_is_slowed_down(client, boss):
    for _ in range(20):
        assert "correct username and password" in text_of(log_in(client, "wrong"))

    refused = text_of(log_in(client, PASSWORD))

    assert "Too many failed attempts" in refused
    client.defaults["REMOTE_ADDR"] = "10.1.1.1"
    assert log_in(client, PASSWORD).status_code == 302


@pytest.mark.filterwarnings("ignore:No directory at")
def test_the_pages_are_styled_without_debug(admin, settings):
    assert settings.DEBUG is False
    page = text_of(admin.get("/admin/"))

    sheets = re.findall(r'href="(/static/[^"]+\.css)"', page)
    assert len(sheets) >= 3
    for sheet in sheets:
        response = admin.get(sheet)
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/css")
