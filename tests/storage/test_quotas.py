"""The count of a user's bytes: it has a limit, and it never drifts."""

import threading

import pytest
from django.db import connection, transaction

from storage.errors import QuotaExceeded
from storage.files import Draft
from storage.models import Asset
from storage.quotas import recount_stored_bytes
from storage.services import (
    create_folder,
    delete_asset,
    delete_assets,
    delete_values_of_job,
    replace_content,
    store_asset,
)
from tests.storage.test_services import drafts


def stored(user) -> int:
    user.refresh_from_db()
    return user.stored_bytes


def put(user, size: int, **fields) -> Asset:
    return store_asset(
        user.pk, b"x" * size, name="a.txt", content_type="text/plain", **fields
    )


def draft_of(content: bytes) -> Draft:
    draft = Draft()
    draft.append(content)
    return draft


def files_in(settings) -> list[str]:
    return [path.name for path in settings.ASSET_FOLDER.rglob("*") if path.is_file()]


def test_what_is_stored_counts_and_what_is_deleted_no_more(alice, bob):
    one, _ = put(alice, 10), put(alice, 5)
    put(bob, 7)
    assert (stored(alice), stored(bob)) == (15, 7)

    delete_asset(one)

    assert (stored(alice), stored(bob)) == (5, 7)


def test_a_file_over_the_quota_is_refused_and_leaves_nothing(alice, settings):
    settings.STORAGE_QUOTA_BYTES = 10
    put(alice, 6)

    with pytest.raises(
        QuotaExceeded, match=r"5 more bytes.*6 that you.*10 are"
    ) as error:
        put(alice, 5)

    assert error.value.status == 413
    assert error.value.details == {"stored_bytes": 6, "quota_bytes": 10}
    assert stored(alice) == 6
    assert Asset.objects.count() == 1
    assert len(files_in(settings)) == 1
    put(alice, 4)  # to the last byte


def test_no_quota_is_no_limit(alice, settings):
    settings.STORAGE_QUOTA_BYTES = 0

    put(alice, 1000)

    assert stored(alice) == 1000


def test_folders_and_empty_files_fit_whatever_is_stored(alice, settings):
    settings.STORAGE_QUOTA_BYTES = 5
    put(alice, 5)

    create_folder(alice.pk, "f")
    put(alice, 0)


@pytest.mark.parametrize(("before", "after"), [(10, 25), (25, 10), (10, 10), (3, 0)])
def test_other_content_counts_by_the_difference(alice, before, after):
    asset = put(alice, before)

    replace_content(draft_of(b"y" * after), alice.pk, asset.pk)

    assert stored(alice) == after


def test_other_content_over_the_quota_leaves_the_old(alice, settings):
    settings.STORAGE_QUOTA_BYTES = 10
    asset = put(alice, 6)

    draft = draft_of(b"y" * 11)
    with pytest.raises(QuotaExceeded):
        replace_content(draft, alice.pk, asset.pk)
    draft.discard()

    asset.refresh_from_db()
    assert (asset.size, stored(alice)) == (6, 6)
    assert files_in(settings) == [asset.key]
    assert drafts() == []


def test_a_transaction_that_fails_counts_nothing(alice):
    with transaction.atomic():
        put(alice, 10)
        transaction.set_rollback(True)

    assert stored(alice) == 0


def test_a_folder_gives_back_all_that_lies_in_it(alice):
    folder = create_folder(alice.pk, "f")
    inner = create_folder(alice.pk, "g", parent_id=folder.pk)
    put(alice, 10, parent_id=folder.pk)
    put(alice, 20, parent_id=inner.pk)
    put(alice, 1)

    delete_assets(alice.pk, [folder.pk, inner.pk])

    assert stored(alice) == 1


def test_values_of_a_job_go_with_it_and_its_files_stay(alice, settings):
    file = put(alice, 3, job_id="j1")
    put(alice, 10, job_id="j1", is_value=True)
    other = put(alice, 5, job_id="j2", is_value=True)

    refs = delete_values_of_job(alice.pk, "j1")

    assert len(refs) == 1
    assert stored(alice) == 8
    assert set(Asset.objects.values_list("pk", flat=True)) == {file.pk, other.pk}


def test_many_at_once_do_not_pass_the_quota(alice, settings):
    settings.STORAGE_QUOTA_BYTES = 100
    outcomes = []
    start = threading.Barrier(8)

    def fill():
        start.wait()
        for _ in range(5):
            try:
                put(alice, 7)
                outcomes.append("stored")
            except QuotaExceeded:
                outcomes.append("refused")
        connection.close()

    threads = [threading.Thread(target=fill) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(outcomes) == 40
    assert outcomes.count("stored") == 14 == Asset.objects.count()
    assert stored(alice) == 98


def test_two_who_delete_the_same_give_its_bytes_back_once(alice):
    put(alice, 5)
    assets = [put(alice, 7) for _ in range(6)]
    start = threading.Barrier(4)

    def delete():
        start.wait()
        for asset in assets:
            delete_assets(alice.pk, [asset.pk])
        connection.close()

    threads = [threading.Thread(target=delete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert stored(alice) == 5


def test_a_wrong_count_is_set_right(alice, bob, charlie):
    put(alice, 10)
    put(bob, 5)
    type(alice).objects.filter(pk__in=["alice", "charlie"]).update(stored_bytes=99)

    assert recount_stored_bytes() == 2

    assert (stored(alice), stored(bob), stored(charlie)) == (10, 5, 0)
    assert recount_stored_bytes() == 0
