"""Assets in the admin, by the owner rule."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from storage.models import Asset, User
from storage.services import create_folder, store_asset
from tests.admin_browser import signed_in
from tests.storage.test_quotas import files_in, stored

pytestmark = pytest.mark.urls("tests.storage.admin_urls")

PASSWORD = "a-long-enough-passphrase"
LIST = "/admin/storage/asset/"


@pytest.fixture
def boss(transactional_db) -> Client:
    return signed_in(User.objects.create_superuser("boss", password=PASSWORD))


@pytest.fixture
def staff(alice) -> Client:
    """Alice, staff with every permission on assets."""
    alice.is_staff = True
    alice.save()
    alice.user_permissions.set(Permission.objects.filter(content_type__model="asset"))
    return signed_in(alice)


def put(user, name="a.txt", **fields) -> Asset:
    return store_asset(user.pk, b"xyz", name=name, content_type="text/plain", **fields)


def pages(asset: Asset) -> list[str]:
    return [f"{LIST}{asset.pk}/{page}/" for page in ("change", "delete", "history")]


def test_a_superuser_sees_every_page(boss, alice):
    asset = put(alice, "alices.txt", parent_id=create_folder(alice.pk, "f").pk)

    for path in (LIST, f"{LIST}?q=ali", f"{LIST}?is_value__exact=1", *pages(asset)):
        assert boss.get(path).status_code == 200, path
    assert b"alices.txt" in boss.get(LIST).content
    assert boss.get(f"{LIST}add/").status_code == 403


def test_z01_staff_see_their_own_alone(staff, alice, bob):
    mine, foreign = put(alice, "mine.txt"), put(bob, "foreign.txt")
    bobs = create_folder(bob.pk, "bobs folder")

    listed = staff.get(LIST).content
    assert b"mine.txt" in listed
    assert b"foreign.txt" not in listed
    for path in pages(mine):
        assert staff.get(path).status_code == 200
    for path in pages(foreign):
        assert staff.get(path).status_code == 404
        staff.post(path, {"post": "yes", "name": "taken"})
    staff.post(
        LIST,
        {"action": "delete_selected", "_selected_action": [foreign.pk], "post": "yes"},
    )
    staff.post(f"{LIST}{mine.pk}/change/", {"name": "mine.txt", "parent": bobs.pk})

    foreign.refresh_from_db()
    mine.refresh_from_db()
    assert foreign.name == "foreign.txt"
    assert mine.parent_id is None
    found = staff.get(
        "/admin/autocomplete/?app_label=storage&model_name=asset&field_name=parent"
    )
    assert found.json()["results"] == []


def test_an_asset_is_renamed_and_moved_and_nothing_else(staff, alice):
    asset, folder = put(alice), create_folder(alice.pk, "f")

    staff.post(
        f"{LIST}{asset.pk}/change/",
        {"name": "b.txt", "parent": folder.pk, "owner": "bob", "size": 1, "key": "x"},
    )

    before = (asset.owner_id, asset.size, asset.key)
    asset.refresh_from_db()
    assert (asset.name, asset.parent_id) == ("b.txt", folder.pk)
    assert (asset.owner_id, asset.size, asset.key) == before


def test_a_folder_within_itself_is_refused_in_words(staff, alice):
    outer = create_folder(alice.pk, "a")
    inner = create_folder(alice.pk, "b", parent_id=outer.pk)

    page = staff.post(f"{LIST}{outer.pk}/change/", {"name": "a", "parent": inner.pk})

    assert page.status_code == 200
    assert b"cannot lie within itself" in page.content
    outer.refresh_from_db()
    assert outer.parent_id is None


@pytest.mark.parametrize("how", ["one", "several"])
def test_a_deleted_asset_takes_its_file_along(boss, alice, bob, settings, how):
    folder = create_folder(alice.pk, "f")
    put(alice, parent_id=folder.pk)
    bobs = put(bob)

    if how == "one":
        boss.post(f"{LIST}{folder.pk}/delete/", {"post": "yes"})
        boss.post(f"{LIST}{bobs.pk}/delete/", {"post": "yes"})
    else:
        ids = [folder.pk, bobs.pk]
        boss.post(
            LIST,
            {"action": "delete_selected", "_selected_action": ids, "post": "yes"},
        )

    assert not Asset.objects.exists()
    assert files_in(settings) == []
    assert (stored(alice), stored(bob)) == (0, 0)


def test_h11_a_name_is_no_markup(boss, alice):
    asset = put(alice, "<script>alert(1)</script>.txt")

    for path in (LIST, *pages(asset)):
        assert b"<script>alert" not in boss.get(path).content
