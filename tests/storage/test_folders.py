"""Folders: what may lie where, and what goes with them."""

import threading

import pytest
from django.db import connection

from storage import folders
from storage.errors import InvalidFolder, UnknownAsset, UnknownParent
from storage.models import Asset
from storage.services import (
    change_asset,
    create_folder,
    delete_asset,
    delete_assets,
    store_asset,
)
from tests.storage.test_services import file_of


def put(user, parent=None, name="a.txt") -> Asset:
    return store_asset(
        user.pk,
        b"x",
        name=name,
        content_type="text/plain",
        parent_id=parent and parent.pk,
    )


def test_the_root_folder_is_the_owners_own_id(alice):
    asset = store_asset(alice.pk, b"", name="a", content_type="a/b", parent_id=alice.pk)

    assert asset.parent_id is None


@pytest.mark.parametrize("parent", ["bobs", "nobodys", "bob"])
def test_z04_a_foreign_folder_is_an_unknown_one(alice, bob, parent):
    bobs = create_folder(bob.pk, "f")
    parent_id = {"bobs": bobs.pk, "nobodys": "x" * 32, "bob": "bob"}[parent]

    with pytest.raises(UnknownParent):
        store_asset(alice.pk, b"", name="a", content_type="a/b", parent_id=parent_id)
    with pytest.raises(UnknownParent):
        create_folder(alice.pk, "f", parent_id=parent_id)
    with pytest.raises(UnknownParent):
        change_asset(alice.pk, put(alice).pk, parent_id=parent_id)


def test_a_file_is_no_folder(alice):
    file = put(alice)

    with pytest.raises(InvalidFolder, match="not a folder"):
        create_folder(alice.pk, "f", parent_id=file.pk)


def test_a_foreign_asset_is_not_changed_or_deleted(alice, bob):
    bobs = put(bob)

    with pytest.raises(UnknownAsset):
        change_asset(alice.pk, bobs.pk, name="mine")
    assert delete_assets(alice.pk, [bobs.pk]) == []

    bobs.refresh_from_db()
    assert bobs.name == "a.txt"


def test_a_folder_cannot_lie_within_itself(alice):
    outer = create_folder(alice.pk, "a")
    middle = create_folder(alice.pk, "b", parent_id=outer.pk)
    inner = create_folder(alice.pk, "c", parent_id=middle.pk)

    for target in (outer, middle, inner):
        with pytest.raises(InvalidFolder, match="within itself"):
            change_asset(alice.pk, outer.pk, parent_id=target.pk)

    change_asset(alice.pk, inner.pk, parent_id=None)
    change_asset(alice.pk, outer.pk, parent_id=inner.pk)


def test_two_moves_at_once_make_no_ring(alice):
    for _ in range(10):
        one, two = create_folder(alice.pk, "a"), create_folder(alice.pk, "b")
        start = threading.Barrier(2)

        def move(folder, into, start=start):
            start.wait()
            try:
                change_asset(alice.pk, folder.pk, parent_id=into.pk)
            except InvalidFolder:
                pass
            finally:
                connection.close()

        threads = [
            threading.Thread(target=move, args=pair)
            for pair in ((one, two), (two, one))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        parents = {a.pk: a.parent_id for a in Asset.objects.all()}
        assert (parents[one.pk] is None) != (parents[two.pk] is None)
        Asset.objects.all().delete()


def test_folders_have_a_deepest_place(alice, monkeypatch):
    monkeypatch.setattr(folders, "MAX_DEPTH", 4)
    parent = None
    chain = []
    for _ in range(4):
        parent = create_folder(alice.pk, "f", parent_id=parent and parent.pk)
        chain.append(parent)

    with pytest.raises(InvalidFolder, match="4 deep"):
        create_folder(alice.pk, "f", parent_id=parent.pk)
    other = create_folder(alice.pk, "g")
    create_folder(alice.pk, "h", parent_id=other.pk)
    with pytest.raises(InvalidFolder, match="4 deep"):
        change_asset(alice.pk, other.pk, parent_id=chain[2].pk)
    change_asset(alice.pk, other.pk, parent_id=chain[1].pk)


def test_a_deleted_folder_takes_all_in_it_along(alice, bob):
    outer = create_folder(alice.pk, "a")
    inner = create_folder(alice.pk, "b", parent_id=outer.pk)
    files = [put(alice, outer), put(alice, inner)]
    rest = [put(alice), put(bob)]

    deleted = delete_asset(outer)

    assert sorted(deleted) == sorted(one.pk for one in (outer, inner, *files))
    assert deleted.index(files[1].pk) < deleted.index(inner.pk)
    assert deleted[-1] == outer.pk
    assert not any(file_of(one).exists() for one in files)
    assert all(file_of(one).exists() for one in rest)
    assert Asset.objects.count() == 2


def test_kinds_do_not_change(alice):
    folder, file = create_folder(alice.pk, "f"), put(alice)

    with pytest.raises(InvalidFolder):
        change_asset(alice.pk, folder.pk, content_type="text/plain")
    with pytest.raises(InvalidFolder):
        change_asset(alice.pk, file.pk, content_type="folder")
    change_asset(alice.pk, file.pk, content_type="text/csv")
