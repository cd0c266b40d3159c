"""The first start with an empty data folder, and every later one."""

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection

from nodetool_site import first_run
from storage.models import User
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folders(settings, tmp_path):
    settings.DATA_FOLDER = tmp_path / "data"
    settings.ASSET_FOLDER = tmp_path / "data" / "assets"
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    ]


def password_in(lines: list[str]) -> str:
    return re.search(r"password (\S+)", " ".join(lines))[1]


def test_the_first_run_makes_user_1_as_staff_with_a_printed_password():
    lines = first_run.prepare(is_desktop=True)

    user = User.objects.get()
    assert (user.pk, user.is_staff, user.is_superuser) == ("1", True, True)
    assert len(password_in(lines)) == 16
    assert user.check_password(password_in(lines))


def test_the_first_login_gives_the_password_its_full_strength():
    lines = first_run.prepare(is_desktop=True)
    user = User.objects.get()
    assert f"${first_run.ITERATIONS}$" in user.password

    user.check_password(password_in(lines))

    user.refresh_from_db()
    assert f"${PBKDF2PasswordHasher.iterations}$" in user.password


def test_outside_desktop_mode_there_is_no_password():
    lines = first_run.prepare(is_desktop=False)

    user = User.objects.get()
    assert user.is_staff
    assert not user.has_usable_password()
    assert f"{first_run.HOW_TO_SET_ONE} admin" in lines[-1]


def test_the_first_run_loads_the_examples():
    lines = first_run.prepare(is_desktop=True)

    count = Workflow.objects.filter(owner_id="1").count()
    assert count >= 8
    assert f"Loaded {count} example" in lines[0]


def test_a_second_start_changes_nothing():
    first_run.prepare(is_desktop=True)
    Workflow.objects.all()[0].delete()
    before = (list(User.objects.values()), set(Workflow.objects.values_list("pk")))

    assert first_run.prepare(is_desktop=True) == []

    after = (list(User.objects.values()), set(Workflow.objects.values_list("pk")))
    assert before == after


def test_a_first_run_that_was_cut_off_begins_again(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(first_run, "load_examples", lambda owner_id: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            first_run.prepare(is_desktop=True)
    assert not User.objects.exists()

    assert first_run.prepare(is_desktop=True)


@pytest.mark.django_db(transaction=True)
def test_of_two_that_start_at_once_one_prepares():
    together = Barrier(2)

    def start() -> list[str]:
        together.wait()
        try:
            return first_run.prepare(is_desktop=True)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        printed = [done.result() for done in [threads.submit(start) for _ in "ab"]]

    assert sorted(map(bool, printed)) == [False, True]
    assert User.objects.count() == 1


def test_a_taken_name_does_not_stop_the_start():
    User.objects.create_user("admin")

    lines = first_run.prepare(is_desktop=True)

    assert "user admin-1" in lines[-1]
    assert User.objects.get(pk="1").username == "admin-1"


def test_new_folders_are_their_owners_alone(settings):
    first_run.make_folders()

    for folder in (settings.DATA_FOLDER, settings.ASSET_FOLDER):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_proxy_that_sends_files_may_enter_their_folder(settings):
    settings.SENDFILE_HEADER = "x-accel-redirect"

    first_run.make_folders()

    assert stat.S_IMODE(settings.DATA_FOLDER.stat().st_mode) == 0o700
    assert stat.S_IMODE(settings.ASSET_FOLDER.stat().st_mode) == 0o750


def test_folders_that_exist_keep_their_permissions(settings):
    settings.DATA_FOLDER.mkdir(mode=0o755)

    first_run.make_folders()

    assert stat.S_IMODE(settings.DATA_FOLDER.stat().st_mode) == 0o755
