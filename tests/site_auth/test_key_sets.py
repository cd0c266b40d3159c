"""A-03: the project's public keys are asked for rarely, and outlive its absence."""

import asyncio
import json
import time

import pytest

from storage import key_sets
from storage.key_sets import FRESH_S, KEPT_S, RETRY_S, KeySet, Unreachable, read_keys
from tests.supabase_stub import public_jwk

ES, RS = public_jwk("ES256", "es-1"), public_jwk("RS256", "rs-1")


class Host:
    """Answers with keys, or not at all."""

    def __init__(self, *keys: dict) -> None:
        self.keys = keys
        self.is_away = False
        self.asked = 0

    async def fetch(self) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise Unreachable
        return json.dumps({"keys": self.keys}).encode()


@pytest.fixture
def clock(monkeypatch):
    """Move the time."""
    offset = 0.0
    real = time.monotonic

    def forward(seconds: float) -> None:
        nonlocal offset
        offset += seconds

    monkeypatch.setattr(key_sets.time, "monotonic", lambda: real() + offset)
    return forward


async def test_a03_keys_are_fetched_once_in_ten_minutes(clock):
    host = Host(ES)
    keys = KeySet(host.fetch)

    for _ in range(5):
        assert await keys.find("es-1", "ES256")
        clock(FRESH_S / 6)
    assert host.asked == 1
    clock(FRESH_S / 3)
    assert await keys.find("es-1", "ES256")

    assert host.asked == 2


async def test_a03_unknown_keys_cause_one_request_in_ten_seconds(clock):
    host = Host(ES)
    keys = KeySet(host.fetch)
    await keys.find("es-1", "ES256")
    clock(RETRY_S + 1)

    for number in range(1_000):
        assert await keys.find(f"unknown-{number}", "ES256") is None
    assert host.asked == 2
    clock(RETRY_S + 1)
    assert await keys.find("unknown", "ES256") is None

    assert host.asked == 3


async def test_a03_many_at_once_cause_one_request():
    host = Host(ES)
    keys = KeySet(host.fetch)

    found = await asyncio.gather(*(keys.find("es-1", "ES256") for _ in range(100)))

    assert all(found)
    assert host.asked == 1


async def test_a03_a_new_key_is_found_at_once(clock):
    host = Host(ES)
    keys = KeySet(host.fetch)
    await keys.find("es-1", "ES256")
    clock(RETRY_S + 1)

    host.keys = (ES, RS)

    assert await keys.find("rs-1", "RS256")


async def test_a03_a_key_that_was_taken_back_is_gone_with_the_next_copy(clock):
    host = Host(ES, RS)
    keys = KeySet(host.fetch)
    await keys.find("es-1", "ES256")

    host.keys = (RS,)
    clock(FRESH_S + 1)

    assert await keys.find("es-1", "ES256") is None


async def test_a03_the_last_copy_serves_a_day_while_the_host_is_away(clock):
    host = Host(ES)
    keys = KeySet(host.fetch)
    await keys.find("es-1", "ES256")
    host.is_away = True

    clock(KEPT_S - FRESH_S)
    assert await keys.find("es-1", "ES256")
    with pytest.raises(Unreachable):  # it may be a key of today
        await keys.find("new", "ES256")
    clock(FRESH_S + 1)
    with pytest.raises(Unreachable):
        await keys.find("es-1", "ES256")

    host.is_away = False
    clock(RETRY_S + 1)
    assert await keys.find("es-1", "ES256")


async def test_a03_a_host_that_is_away_is_not_asked_again_and_again(clock):
    host = Host(ES)
    host.is_away = True
    keys = KeySet(host.fetch)

    for _ in range(50):
        with pytest.raises(Unreachable):
            await keys.find("es-1", "ES256")

    assert host.asked == 1


async def test_a03_a_caller_who_leaves_takes_nobodys_keys_along():
    host = Host(ES)
    keys = KeySet(host.fetch)
    leaving = asyncio.create_task(keys.find("es-1", "ES256"))
    staying = asyncio.create_task(keys.find("es-1", "ES256"))
    await asyncio.sleep(0)

    leaving.cancel()

    assert await staying


@pytest.mark.parametrize(
    "change",
    [
        {"kid": ""},
        {"kid": 1},
        {"kid": None},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "OKP"},
        {"kty": None},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": "none"},
        {"crv": "P-384"},
        {"crv": "P-521"},
        {"x": "AAAA"},
        {"x": None},
        {"d": "AAAA"},
    ],
)
def test_a03_a_key_that_must_not_count_is_left_out(change):
    document = json.dumps({"keys": [{**ES, **change}, RS, "x", None, 1]})

    assert list(read_keys(document.encode())) == [("rs-1", "RS256")]


def test_a03_a_short_rsa_key_is_left_out():
    short = {**RS, "kid": "short", "n": "AQAB" * 40}

    assert list(read_keys(json.dumps({"keys": [short, ES]}).encode())) == [
        ("es-1", "ES256")
    ]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"keys": 1}', b"[" * 9000])
def test_a03_what_is_no_key_set_is_refused(body):
    with pytest.raises(ValueError, match="no key set"):
        read_keys(body)


def test_a03_a_key_set_without_keys_is_one():
    assert read_keys(b'{"keys": []}') == {}
