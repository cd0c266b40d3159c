"""What the file store needs now and then."""

from datetime import timedelta

from django.utils import timezone

from storage import upkeep
from storage.models import Asset
from storage.services import store_asset
from tests.storage.test_quotas import files_in, put, stored


def temp(user, seconds: int) -> Asset:
    return store_asset(
        user.pk,
        b"abc",
        name="t.txt",
        content_type="text/plain",
        expires_at=timezone.now() + timedelta(seconds=seconds),
    )


def test_temporary_data_ends(alice, bob, settings):
    over = [temp(alice, -1), temp(bob, -1)]
    stays = temp(alice, 60)
    kept = put(alice, 2)

    upkeep.sweep()

    assert set(Asset.objects.all()) == {stays, kept}
    assert (stored(alice), stored(bob)) == (5, 0)
    assert sorted(files_in(settings)) == sorted([stays.key, kept.key])
    assert not set(Asset.objects.live()) & set(over)


def test_a_sweep_takes_more_than_one_batch(alice, monkeypatch):
    monkeypatch.setattr("storage.services.DELETE_BATCH", 2)
    for _ in range(5):
        temp(alice, -1)

    upkeep.sweep()

    assert not Asset.objects.exists()


def test_a_repair_sets_wrong_counts_right(alice):
    put(alice, 4)
    type(alice).objects.update(stored_bytes=1)

    upkeep.repair()

    assert stored(alice) == 4
