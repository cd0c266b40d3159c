"""Storing and deleting files and their rows."""

import hashlib
import io
import os
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.db import IntegrityError, OperationalError, connections

from storage import files
from storage.errors import StorageUnavailable
from storage.files import Draft, open_file, path_of, remove_stale_drafts
from storage.models import Asset, User
from storage.services import (
    create_folder,
    delete_asset,
    delete_user,
    open_asset,
    replace_content,
    store_asset,
)
from storage.workspaces import Workspace

HEX = set("0123456789abcdef")


def file_of(asset: Asset) -> Path:
    return Path(settings.ASSET_FOLDER) / path_of(asset.key)


def drafts() -> list[Path]:
    return list(files._draft_folder().glob("*"))


def test_a_user_has_a_text_id_of_32_hex_digits(db):
    user = User.objects.create_user("somebody")

    assert len(user.pk) == 32
    assert set(user.pk) <= HEX
    assert User._meta.pk.max_length == 64


@pytest.mark.parametrize("content", [b"", b"hello", io.BytesIO(b"x" * 300_000)])
def test_a_stored_file_is_whole_and_described(alice, content):
    asset = store_asset(
        alice.pk, content, name="Report.txt", content_type="text/plain", job_id="j1"
    )

    with open_asset(asset) as file:
        stored = file.read()
    assert asset.size == len(stored)
    assert asset.sha256 == hashlib.sha256(stored).hexdigest()
    assert asset.key == f"{asset.pk}.txt"
    assert (asset.name, asset.job_id, asset.owner_id) == ("Report.txt", "j1", "alice")
    assert len(asset.pk) == 32
    assert set(asset.pk) <= HEX
    assert drafts() == []


def test_an_asset_knows_where_it_lies_and_comes_from(alice):
    end = datetime(2030, 1, 1, tzinfo=UTC)
    folder = create_folder(alice.pk, "f")
    fields = {
        "parent_id": folder.pk,
        "workflow_id": "w1",
        "node_id": "n1",
        "job_id": "j1",
        "metadata": {"width": 3},
        "duration": 1.5,
        "expires_at": end,
    }

    asset = store_asset(
        alice.pk, b"x", name="a.txt", content_type="text/plain", **fields
    )

    asset.refresh_from_db()
    assert {name: getattr(asset, name) for name in fields} == fields


def test_a_draft_that_is_open_is_not_stale(alice):
    draft = Draft()
    draft.append(b"x")
    draft._file.flush()
    os.utime(draft.path, (0, 0))

    assert remove_stale_drafts() == 0
    draft.keep("abc.txt")

    with open_file("abc.txt") as file:
        assert file.read() == b"x"


def test_ids_are_not_guessable(alice):
    ids = {
        store_asset(alice.pk, b"", name="a", content_type="x/y").pk for _ in range(50)
    }

    assert len(ids) == 50
    assert len({one[:4] for one in ids}) > 40


def test_files_are_readable_by_their_owner_only(alice):
    asset = store_asset(alice.pk, b"x", name="a.txt", content_type="text/plain")

    assert stat.S_IMODE(file_of(asset).stat().st_mode) == 0o600


def test_a_file_appears_whole_or_not_at_all(alice):
    draft = Draft()
    draft.append(b"half")

    with pytest.raises(FileNotFoundError):
        open_file("abc.txt")
    draft.append(b" and half")
    draft.keep("abc.txt")

    with open_file("abc.txt") as file:
        assert file.read() == b"half and half"
    assert drafts() == []


def test_a_discarded_draft_leaves_nothing(alice):
    draft = Draft()
    draft.append(b"x")

    draft.discard()
    draft.discard()

    assert drafts() == []


def test_a_source_that_fails_leaves_nothing(alice):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        store_asset(alice.pk, Broken(), name="a.txt", content_type="text/plain")

    assert drafts() == []
    assert not Asset.objects.exists()


def test_a_row_that_fails_takes_its_file_along(alice):
    store_asset(alice.pk, b"", name="a", content_type="a/b", asset_id="twice")
    with pytest.raises(IntegrityError):
        store_asset(alice.pk, b"", name="a.q", content_type="a/c", asset_id="twice")

    with pytest.raises(FileNotFoundError):
        open_file("twice.q")


@pytest.fixture
def lost_commit(monkeypatch):
    """The next commit happens, and its answer does not come."""
    connection = connections["default"]
    commit = connection.commit

    def lose() -> None:
        def commit_unheard() -> None:
            monkeypatch.setattr(connection, "commit", commit)
            commit()
            raise OperationalError("the connection is lost")

        monkeypatch.setattr(connection, "commit", commit_unheard)

    return lose


def test_f04_a_file_whose_row_may_be_there_stays(alice, lost_commit):
    lost_commit()

    with pytest.raises(OperationalError):
        store_asset(alice.pk, b"kept", name="a.txt", content_type="text/plain")

    with open_asset(Asset.objects.get()) as file:
        assert file.read() == b"kept"


def test_f04_other_content_that_may_be_recorded_stays(alice, lost_commit):
    asset = store_asset(alice.pk, b"old", name="a.txt", content_type="text/plain")
    draft = Draft()
    draft.append(b"new")
    lost_commit()

    with pytest.raises(OperationalError):
        replace_content(draft, alice.pk, asset.pk)

    with open_asset(Asset.objects.get()) as file:
        assert file.read() == b"new"


@pytest.mark.parametrize("error", [StorageUnavailable(), PermissionError(13, "no")])
def test_a_store_that_deletes_nothing_undoes_no_change(alice, monkeypatch, error):
    asset = store_asset(alice.pk, b"old", name="a.txt", content_type="text/plain")
    draft = Draft()
    draft.append(b"new")

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("storage.services.delete_file", refuse)
        changed = replace_content(draft, alice.pk, asset.pk)
    with open_asset(changed) as file:
        assert file.read() == b"new"

    monkeypatch.setattr("storage.services.delete_file", refuse)
    assert delete_asset(changed) == [asset.pk]


def test_a_deleted_asset_has_no_file(alice):
    asset = store_asset(alice.pk, b"x", name="a.txt", content_type="text/plain")

    delete_asset(asset)

    assert not file_of(asset).exists()
    assert not Asset.objects.exists()


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("a\r\nb\0c.txt", "abc.txt"),
        ("caf\u00e9 \ud800.txt", "caf\u00e9 .txt"),
        ("x" * 400, "x" * 255),
        ("", "file"),
    ],
)
def test_a_name_is_what_a_column_and_a_screen_can_hold(alice, name, stored):
    asset = store_asset(alice.pk, b"", name=name, content_type="text/plain")

    asset.refresh_from_db()
    assert asset.name == stored


def test_assets_are_visible_to_their_owner_only(alice, bob, charlie):
    asset = store_asset(alice.pk, b"", name="a", content_type="text/plain")
    store_asset(bob.pk, b"", name="b", content_type="text/plain")

    assert list(Asset.objects.visible_to(alice)) == [asset]
    assert list(Asset.objects.visible_to(charlie)) == []


def test_a_deleted_user_leaves_no_file(alice, bob, settings, tmp_path):
    mine = store_asset(alice.pk, b"x", name="a", content_type="text/plain")
    other = store_asset(bob.pk, b"x", name="a", content_type="text/plain")

    settings.WORKSPACE_FOLDER = tmp_path / "workspaces"
    for owner in (alice, bob):
        Workspace(owner.pk).write("a/b.txt", b"x")

    delete_user(alice)

    assert not file_of(mine).exists()
    assert file_of(other).exists()
    assert [path.name for path in settings.WORKSPACE_FOLDER.iterdir()] == ["bob"]


def test_drafts_that_a_killed_process_left_are_removed_after_a_day(alice):
    old, fresh = Draft(), Draft()
    old._file.close()
    day_ago = time.time() - 25 * 3600
    os.utime(old.path, (day_ago, day_ago))

    assert remove_stale_drafts() == 1

    assert drafts() == [fresh.path]
    fresh.discard()
