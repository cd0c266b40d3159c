"""Storing, revealing and rotating secrets."""

import stat
from datetime import timedelta

import pytest
from django.utils import timezone

from nodetool_site.lib.errors import Conflict, NotFound
from storage import vault
from storage.crypto import new_key
from storage.errors import MasterKeyError, SecretNotFound, UnusableSecret
from storage.master_key import FILE_NAME, check_master_key
from storage.models import MasterKeyCheck, Secret
from storage.vault import delete_secret, reveal_secret, rotate, set_secret

VALUE = "sk-a-value-that-nobody-may-see"


@pytest.fixture(autouse=True)
def data_folder(settings, tmp_path):
    """Each test has a data folder of its own, with no key in it."""
    settings.SECRETS_MASTER_KEY = ""
    settings.DATA_FOLDER = tmp_path / "data"
    return settings.DATA_FOLDER


@pytest.fixture
def use_keys(settings):
    """Configure a ring, the first key first."""

    def use(*keys: str) -> None:
        settings.SECRETS_MASTER_KEY = ",".join(keys)

    return use


def stored(owner, key="KEY") -> Secret:
    return Secret.objects.get(owner=owner, key=key)


def test_a_secret_comes_back_to_its_owner_alone(alice, bob):
    set_secret(alice.pk, "KEY", VALUE)

    assert reveal_secret(alice.pk, "KEY") == VALUE
    assert reveal_secret(bob.pk, "KEY") is None
    assert reveal_secret(alice.pk, "OTHER") is None


@pytest.mark.parametrize(
    "value", ["x", "ü€𝄞", "two\nlines\n", " blanks ", "\0", "*" * 9]
)
def test_any_text_comes_back_as_it_was(alice, value):
    set_secret(alice.pk, "KEY", value)

    assert reveal_secret(alice.pk, "KEY") == value


def test_it_is_overwritten_and_keeps_its_description_unless_told(alice):
    set_secret(alice.pk, "KEY", "one", description="mine")
    created = stored(alice).created_at

    set_secret(alice.pk, "KEY", "two")

    assert reveal_secret(alice.pk, "KEY") == "two"
    assert (stored(alice).description, stored(alice).created_at) == ("mine", created)
    set_secret(alice.pk, "KEY", "two", description="")
    assert stored(alice).description == ""


def test_s04_no_column_holds_the_value(alice):
    set_secret(alice.pk, "KEY", VALUE, description="about")

    for name, value in Secret.objects.values().get().items():
        data = (
            bytes(value)
            if isinstance(value, bytes | memoryview)
            else str(value).encode()
        )
        assert VALUE.encode() not in data, name


def test_s04_a_ciphertext_in_another_row_does_not_open(alice, bob):
    set_secret(alice.pk, "KEY", VALUE)
    set_secret(bob.pk, "KEY", "bob's own")
    set_secret(alice.pk, "OTHER", "another one")
    moved = {"ciphertext": stored(alice).ciphertext, "key_id": stored(alice).key_id}

    Secret.objects.filter(owner=bob).update(**moved)
    Secret.objects.filter(owner=alice, key="OTHER").update(**moved)

    for owner, key in ((bob, "KEY"), (alice, "OTHER")):
        with pytest.raises(MasterKeyError, match="damaged"):
            reveal_secret(owner.pk, key)


@pytest.mark.parametrize(
    ("key", "value", "description"),
    [
        ("", "v", None),
        ("1KEY", "v", None),
        ("A-B", "v", None),
        ("KEY\n", "v", None),
        ("KÉY", "v", None),
        ("K" * 256, "v", None),
        ("KEY", "", None),
        ("KEY", "\ud800", None),
        ("KEY", "v" * 65_537, None),
        ("KEY", "v", "two\nlines"),
        ("KEY", "v", "\0"),
        ("KEY", "v", "d" * 1_001),
    ],
)
def test_what_cannot_be_stored_is_refused(alice, key, value, description):
    with pytest.raises(UnusableSecret):
        set_secret(alice.pk, key, value, description=description)

    assert not Secret.objects.exists()


def test_nobody_without_an_account_has_secrets(transactional_db):
    with pytest.raises(NotFound, match="User 'nobody' not found"):
        set_secret("nobody", "KEY", VALUE)


def test_a_user_has_a_bounded_number(alice, bob, monkeypatch):
    monkeypatch.setattr(vault, "MAX_SECRETS", 2)
    set_secret(alice.pk, "A", VALUE)
    set_secret(alice.pk, "B", VALUE)

    with pytest.raises(Conflict):
        set_secret(alice.pk, "C", VALUE)

    set_secret(alice.pk, "B", "new")
    set_secret(bob.pk, "C", VALUE)


def test_a_use_is_noted_once_a_minute(alice, django_assert_num_queries):
    set_secret(alice.pk, "KEY", VALUE)
    assert reveal_secret(alice.pk, "KEY", is_use=False)
    assert stored(alice).last_used_at is None

    reveal_secret(alice.pk, "KEY")
    first = stored(alice).last_used_at
    with django_assert_num_queries(1):
        reveal_secret(alice.pk, "KEY")

    assert timezone.now() - first < timedelta(seconds=20)
    assert stored(alice).last_used_at == first
    Secret.objects.update(last_used_at=first - timedelta(seconds=61))
    reveal_secret(alice.pk, "KEY")
    assert stored(alice).last_used_at >= first


def test_delete(alice, bob):
    set_secret(alice.pk, "KEY", VALUE)

    with pytest.raises(SecretNotFound):
        delete_secret(bob.pk, "KEY")
    delete_secret(alice.pk, "KEY")

    assert reveal_secret(alice.pk, "KEY") is None
    with pytest.raises(SecretNotFound):
        delete_secret(alice.pk, "KEY")


# --- The master key


def test_a_key_is_generated_at_the_first_secret_for_its_owner_alone(alice, data_folder):
    check_master_key()
    assert not (data_folder / FILE_NAME).exists()

    set_secret(alice.pk, "KEY", VALUE)

    mode = (data_folder / FILE_NAME).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    check_master_key()


def test_no_key_is_generated_where_one_is_configured(alice, data_folder, use_keys):
    use_keys(new_key())

    set_secret(alice.pk, "KEY", VALUE)

    assert not (data_folder / FILE_NAME).exists()


def assert_refused(owner, message: str) -> None:
    """Nothing starts, opens or writes; what is stored stays as it is."""
    before = list(Secret.objects.values_list("key", "ciphertext"))
    for use in (
        check_master_key,
        rotate,
        lambda: reveal_secret(owner.pk, "KEY"),
        lambda: set_secret(owner.pk, "KEY", "over it"),
        lambda: set_secret(owner.pk, "NEW", "beside it"),
    ):
        with pytest.raises(MasterKeyError, match=message) as refusal:
            use()
        assert "\n" not in refusal.value.message
    assert list(Secret.objects.values_list("key", "ciphertext")) == before


def test_s06_a_missing_key_file_is_no_empty_store(alice, data_folder):
    set_secret(alice.pk, "KEY", VALUE)
    path = data_folder / FILE_NAME
    path.rename(path.with_suffix(".backup"))

    assert_refused(alice, "missing: set SECRETS_MASTER_KEY, or put")

    assert not path.exists()
    path.with_suffix(".backup").rename(path)
    assert reveal_secret(alice.pk, "KEY") == VALUE


def test_s06_an_emptied_key_file_is_no_empty_store(alice, data_folder):
    set_secret(alice.pk, "KEY", VALUE)
    (data_folder / FILE_NAME).write_text("")

    assert_refused(alice, "no usable master key")

    assert (data_folder / FILE_NAME).read_text() == ""


def test_s06_a_wrong_key_is_refused_and_told_which_one_is_needed(
    alice, use_keys, data_folder
):
    use_keys(new_key())
    set_secret(alice.pk, "KEY", VALUE)
    use_keys(new_key())

    assert_refused(alice, f"master key {stored(alice).key_id}")


def test_s06_the_generated_key_is_named_where_another_was_configured(
    alice, use_keys, data_folder
):
    set_secret(alice.pk, "KEY", VALUE)
    use_keys(new_key())

    assert_refused(alice, f"see {data_folder / FILE_NAME}")


def test_a09_a_key_that_does_not_open_the_check_value_is_refused(alice, use_keys):
    use_keys(new_key())
    set_secret(alice.pk, "KEY", VALUE)
    delete_secret(alice.pk, "KEY")
    check_master_key()
    MasterKeyCheck.objects.update(ciphertext=b"from another install")

    with pytest.raises(MasterKeyError, match="check value"):
        check_master_key()
    with pytest.raises(MasterKeyError, match="check value"):
        set_secret(alice.pk, "KEY", VALUE)


def test_a_lost_key_is_given_up_with_the_last_secret_that_needs_it(alice, use_keys):
    use_keys(new_key())
    set_secret(alice.pk, "KEY", VALUE)
    use_keys(new_key())
    with pytest.raises(MasterKeyError):
        check_master_key()

    delete_secret(alice.pk, "KEY")

    check_master_key()
    set_secret(alice.pk, "KEY", VALUE)
    assert rotate().retired
    assert MasterKeyCheck.objects.count() == 1


def test_a_broken_list_of_keys_says_how_to_make_one(alice, use_keys):
    use_keys("changeme")

    with pytest.raises(MasterKeyError, match=r"Fernet\.generate_key"):
        set_secret(alice.pk, "KEY", VALUE)


# --- Rotation


def test_s05_rotation_encrypts_everything_with_the_first_key(alice, bob, use_keys):
    old, new = new_key(), new_key()
    use_keys(old)
    for owner in (alice, bob):
        for key in ("A", "B"):
            set_secret(owner.pk, key, f"{VALUE} {owner.pk} {key}")
    use_keys(new, old)

    done = rotate()

    assert (done.changed, len(done.retired), done.damaged) == (4, 1, [])
    use_keys(new)
    check_master_key()
    for owner in (alice, bob):
        for key in ("A", "B"):
            assert reveal_secret(owner.pk, key) == f"{VALUE} {owner.pk} {key}"
    assert rotate().changed == 0


def test_s05_a_key_that_is_still_needed_cannot_be_removed(alice, use_keys):
    old, new = new_key(), new_key()
    use_keys(old)
    set_secret(alice.pk, "KEY", VALUE)
    use_keys(new, old)
    set_secret(alice.pk, "NEWER", VALUE)
    use_keys(new)

    assert_refused(alice, "add it behind the others")


def test_s05_a_rotation_goes_on_where_it_was_cut_off(alice, use_keys, monkeypatch):
    old, new = new_key(), new_key()
    use_keys(old)
    for number in range(5):
        set_secret(alice.pk, f"KEY_{number}", VALUE)
    use_keys(new, old)
    whole, calls = vault._reseal, []

    def cut_off(ring, pk):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(pk)
        return whole(ring, pk)

    monkeypatch.setattr(vault, "_reseal", cut_off)
    with pytest.raises(KeyboardInterrupt):
        rotate()
    monkeypatch.setattr(vault, "_reseal", whole)
    for number in range(5):
        assert reveal_secret(alice.pk, f"KEY_{number}") == VALUE

    assert rotate().changed == 3


def test_s05_a_value_stored_meanwhile_is_not_overwritten(alice, use_keys, monkeypatch):
    old, new = new_key(), new_key()
    use_keys(old)
    set_secret(alice.pk, "KEY", "before")
    use_keys(new, old)
    whole = vault.Sealed

    def store_between_read_and_write(*args):
        monkeypatch.setattr(vault, "Sealed", whole)
        use_keys(old, new)  # a server that still writes with the old key
        set_secret(alice.pk, "KEY", "meanwhile")
        use_keys(new, old)
        return whole(*args)

    monkeypatch.setattr(vault, "Sealed", store_between_read_and_write)
    done = rotate()

    assert done.changed == 1
    assert reveal_secret(alice.pk, "KEY") == "meanwhile"
    assert stored(alice).key_id == done.key_id


def test_rotation_leaves_a_damaged_secret_and_names_it(alice, use_keys):
    old, new = new_key(), new_key()
    use_keys(old)
    set_secret(alice.pk, "BROKEN", VALUE)
    set_secret(alice.pk, "WHOLE", VALUE)
    Secret.objects.filter(key="BROKEN").update(ciphertext=b"x")
    use_keys(new, old)

    done = rotate()

    assert (done.changed, done.damaged) == (1, ["BROKEN of user alice"])
    assert done.retired == []
