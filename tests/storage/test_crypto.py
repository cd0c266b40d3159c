"""The ring of master keys, on bytes alone."""

import pytest
from cryptography.fernet import Fernet

from storage.crypto import (
    InvalidKey,
    KeyRing,
    Sealed,
    UnknownKey,
    Unopenable,
    key_problem,
    new_key,
    parse_keys,
)

OLD = "7HAVi3bxQ8Le_prje1_jXKAPrQJiYVpTo_fEvTJqJIY="
NEW = "9k_pWcJoD3hCvilQQXjlSmE5VoVxXyplQFodfXXs4Sw="
PLACE = ("alice", "OPENAI_API_KEY")


def ring(*keys: str) -> KeyRing:
    return KeyRing(parse_keys(",".join(keys)))


@pytest.mark.parametrize("plain", [b"x", b"\0\xff" * 99, b"a" * 65_536])
def test_what_is_sealed_opens_in_its_place(plain):
    sealed = ring(OLD).seal(plain, *PLACE)

    assert ring(OLD).open(sealed, *PLACE) == plain
    assert plain not in sealed.ciphertext or len(plain) == 1


@pytest.mark.parametrize(
    "place",
    [
        ("bob", "OPENAI_API_KEY"),
        ("alice", "GROQ_API_KEY"),
        ("aliceOPENAI_API", "_KEY"),
        ("alice",),
        ("alice", "OPENAI_API_KEY", ""),
        (),
    ],
)
def test_s04_it_opens_in_no_other_place(place):
    sealed = ring(OLD).seal(b"value", *PLACE)

    with pytest.raises(Unopenable):
        ring(OLD).open(sealed, *place)


def test_the_first_key_encrypts_and_all_decrypt():
    before = ring(OLD).seal(b"value", *PLACE)
    both = ring(NEW, OLD)

    after = both.seal(b"value", *PLACE)

    assert both.open(before, *PLACE) == both.open(after, *PLACE) == b"value"
    assert after.key_id == both.primary_id != before.key_id
    assert both.key_ids == {before.key_id, after.key_id}
    with pytest.raises(UnknownKey):
        ring(OLD).open(after, *PLACE)


def test_two_ciphertexts_of_one_value_differ():
    seal = ring(OLD).seal

    assert seal(b"value", *PLACE).ciphertext != seal(b"value", *PLACE).ciphertext


@pytest.mark.parametrize("at", [0, 10, 40, -1])
def test_a_changed_ciphertext_does_not_open(at):
    key_id, token = ring(OLD).seal(b"value", *PLACE)
    damaged = bytearray(token)
    damaged[at] ^= 1

    with pytest.raises(Unopenable):
        ring(OLD).open(Sealed(key_id, bytes(damaged)), *PLACE)


def test_a_key_of_the_ring_under_another_ones_name_does_not_open():
    sealed = ring(OLD).seal(b"value", *PLACE)

    with pytest.raises(Unopenable):
        ring(NEW, OLD).open(Sealed(ring(NEW).primary_id, sealed.ciphertext), *PLACE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "password",
        OLD[:-1],
        OLD + "=",
        f"{OLD};{NEW}",
        f"{OLD},short",
        "A" * 43 + "=",
        "0123" * 10 + "012=",
        OLD[:20] + "+/" + OLD[22:],
    ],
)
def test_what_is_no_random_fernet_key_is_refused_without_showing_it(text):
    with pytest.raises(InvalidKey) as refusal:
        parse_keys(text)

    assert not text.strip(" ,") or text not in str(refusal.value)
    assert OLD[:12] not in str(refusal.value)


def test_keys_are_fernet_keys_with_blanks_and_empty_places_around():
    key = Fernet.generate_key().decode()

    assert ring(f" {key} ,, {OLD},").primary_id == ring(key).primary_id


def test_a_new_key_is_one():
    assert ring(new_key()).primary_id != ring(new_key()).primary_id


def test_no_key_is_no_problem_and_a_bad_one_is():
    assert key_problem("") == key_problem(OLD) == ""
    assert "32 bytes" in key_problem("secret")
