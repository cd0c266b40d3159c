"""The sweep of files that no row names: it finds them, and takes nothing else."""

import os
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from storage import orphans, store_marks, upkeep
from storage.files import path_of
from storage.models import Asset
from storage.services import (
    create_folder,
    delete_assets,
    keep_file,
    replace_content,
    store_asset,
)
from storage.stores import store
from tests.storage.test_quotas import draft_of, files_in, put


@pytest.fixture(autouse=True)
def _from_the_start() -> None:
    """Begin each test with the first part of its own store."""
    orphans._round.cache_clear()
    store_marks.mark.cache_clear()


@pytest.fixture
def crash(monkeypatch):
    """The process dies after each commit: nothing is deleted any more."""
    monkeypatch.setattr("storage.services.delete_files", lambda files: None)


def orphan(name: str = "never.txt", *, is_temp: bool = False) -> str:
    """Keep a file whose row is never written."""
    return keep_file(draft_of(b"x"), name, asset_id="-", is_temp=is_temp).ref.name


def place(settings, path: str) -> None:
    """Put a file of somebody else into the folder."""
    where = settings.ASSET_FOLDER / path
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(b"x")


def age(settings) -> None:
    """Let all that is in the store lie there for two days."""
    for path in settings.ASSET_FOLDER.rglob("*"):
        moment = path.stat().st_mtime - 2 * 24 * 3600
        os.utime(path, (moment, moment))


def test_f10_a_file_whose_row_was_never_written_is_removed(alice, settings):
    kept = put(alice, 1)
    for name, is_temp in (("a.txt", False), ("b.txt", True), (kept.key, True)):
        orphan(name, is_temp=is_temp)
    age(settings)

    upkeep.repair()

    assert files_in(settings) == [kept.key]
    assert (settings.ASSET_FOLDER / path_of(kept.key)).exists()


def test_f10_a_file_whose_row_is_gone_is_removed(alice, settings, crash):
    folder = create_folder(alice.pk, "f")
    inside, changed = put(alice, 1, parent_id=folder.pk), put(alice, 1)
    replace_content(draft_of(b"new"), alice.pk, changed.pk)
    delete_assets(alice.pk, [folder.pk])
    assert {inside.key, changed.key} < set(files_in(settings))
    age(settings)

    upkeep.repair()

    changed.refresh_from_db()
    assert files_in(settings) == [changed.file_name]


def test_what_a_row_names_stays(alice, settings):
    end = timezone.now() + timedelta(days=9)
    changed, temp = put(alice, 1), put(alice, 1, expires_at=end)
    other = put(alice, 1, expires_at=end)
    for asset in (changed, other):
        replace_content(draft_of(b"new"), alice.pk, asset.pk)
    picture = store_asset(alice.pk, b"x", name="p.png", content_type="image/png")
    draft_of(b"jpeg").keep(picture.thumbnail_file)
    before = sorted(files_in(settings))
    assert len(before) == 5
    age(settings)

    upkeep.repair()

    assert sorted(files_in(settings)) == before
    assert {temp.key, picture.thumbnail_file} < set(before)


def test_a_thumbnail_of_other_content_is_removed(alice, settings):
    picture = store_asset(alice.pk, b"x", name="p.png", content_type="image/png")
    for name in (f"{picture.pk}_0123456789ab_thumb.jpg", "gone_0123456789ab_thumb.jpg"):
        orphan(name)
    age(settings)

    upkeep.repair()

    assert files_in(settings) == [picture.key]


def test_what_is_young_or_none_of_ours_stays(alice, settings):
    put(alice, 1)
    others = [
        "README",
        "assets/zz/other-folder.txt",
        "assets/lo/longer/path.txt",
        "elsewhere/ab/abc.txt",
        ".drafts/half",
    ]
    for path in others:
        place(settings, path)
    age(settings)
    orphan("young.txt")
    (settings.ASSET_FOLDER / ".drafts/half").touch()
    before = sorted(files_in(settings))

    upkeep.repair()

    assert sorted(files_in(settings)) == before


def test_a_file_is_young_when_it_was_kept_and_not_when_it_was_written(alice, settings):
    draft = draft_of(b"x")
    draft._file.flush()
    os.utime(draft.path, (0, 0))
    keep_file(draft, "young.txt", asset_id="-")

    upkeep.repair()

    assert files_in(settings) == ["young.txt"]


def test_nothing_is_removed_where_another_database_keeps_files(alice, settings, caplog):
    put(alice, 1)
    store().mark("another")
    name = orphan()
    age(settings)

    for _ in range(2):
        upkeep.repair()

    assert name in files_in(settings)
    assert caplog.text.count("another database") == 1

    (settings.ASSET_FOLDER / ".databases/another").rmdir()
    upkeep.repair()
    assert name not in files_in(settings)


def test_the_first_file_of_a_database_leaves_its_mark(alice, settings):
    put(alice, 1)

    marks = store().marks()

    assert len(marks) == 1
    assert store_marks.foreign_marks(store()) == []


def test_a_copy_of_a_database_is_another_one(alice, settings, monkeypatch):
    put(alice, 1)
    name = orphan()
    age(settings)
    store_marks._own.cache_clear()
    moved = {**connections["default"].settings_dict, "HOST": "elsewhere.example.org"}
    monkeypatch.setattr(connections["default"], "settings_dict", moved)

    upkeep.repair()

    store_marks._own.cache_clear()
    assert name in files_in(settings)


def test_a_store_is_gone_through_in_parts_again_and_again(alice, settings, monkeypatch):
    monkeypatch.setattr(orphans, "LOOKED_AT_ONCE", 4)
    monkeypatch.setattr(orphans, "BATCH", 3)
    kept = {put(alice, 1).key for _ in range(6)}
    for number in range(6):
        orphan(f"{number}x.txt", is_temp=number > 2)
    age(settings)
    left = []

    for _ in range(4):
        upkeep.repair()
        left.append(len(files_in(settings)))

    assert set(files_in(settings)) == kept
    assert left == sorted(left, reverse=True)
    assert left[0] > 6
    orphan("0again.txt")
    age(settings)
    for _ in range(3):
        upkeep.repair()
    assert set(files_in(settings)) == kept
    assert Asset.objects.count() == 6
