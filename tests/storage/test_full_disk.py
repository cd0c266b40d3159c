"""F-10: a full disk is told in words, and no file that was cut is ever listed."""

from pathlib import Path

import pytest

from storage.errors import StorageFull
from storage.files import Draft
from storage.job_assets import JobAssetStore
from storage.models import Asset
from storage.services import replace_content, store_asset
from tests.storage.test_services import drafts


@pytest.fixture
def full(monkeypatch):
    """Every draft from now on lies on a device that has no room."""
    open_file = Path.open

    def on_full_device(path, mode="r", *args, **kwargs):
        if mode == "xb":
            open_file(path, "xb").close()
            return open_file(Path("/dev/full"), "wb")
        return open_file(path, mode, *args, **kwargs)

    def fill():
        monkeypatch.setattr(Path, "open", on_full_device)

    return fill


@pytest.mark.parametrize("size", [1, 300_000], ids=["at the end", "on the way"])
def test_f10_a_full_disk_stores_nothing(alice, full, size):
    full()

    with pytest.raises(StorageFull, match="disk is full") as error:
        store_asset(alice.pk, b"x" * size, name="a.txt", content_type="text/plain")

    assert error.value.status == 507
    assert not Asset.objects.exists()
    assert drafts() == []
    alice.refresh_from_db()
    assert alice.stored_bytes == 0


def test_f10_other_content_that_finds_no_room_leaves_the_old(alice, full):
    asset = store_asset(alice.pk, b"old", name="a.txt", content_type="text/plain")
    full()
    draft = Draft()
    draft.append(b"new")

    with pytest.raises(StorageFull):
        replace_content(draft, alice.pk, asset.pk)
    draft.discard()

    asset.refresh_from_db()
    assert (asset.size, asset.file_name) == (3, "")


async def test_f10_a_node_that_writes_is_told_in_words(alice, full):
    full()

    with pytest.raises(StorageFull, match="disk is full"):
        await JobAssetStore("alice", "j").write(
            b"x", content_type="text/plain", name="a.txt"
        )


def test_f10_a_file_that_is_shorter_than_written_is_not_kept(alice):
    draft = Draft()
    draft.append(b"x" * 10)
    draft._file.truncate(5)

    with pytest.raises(StorageFull):
        draft.keep("a.txt")
    draft.discard()
