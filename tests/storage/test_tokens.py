"""API tokens and the static token."""

import hashlib
import stat
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from nodetool_site.lib.errors import BadRequest, Conflict, NotFound
from storage import api_tokens, static_token
from storage.api_tokens import (
    VerifiedTokens,
    find_by_prefix,
    issue_token,
    look_up,
    revoke_tokens,
)
from storage.identity import Identity
from storage.models import ApiToken
from storage.static_token import is_static_token, static_tokens


@pytest.fixture(autouse=True)
def _empty_caches():
    api_tokens.verified_tokens.clear()
    static_token._load.cache_clear()


@pytest.fixture
def issued(alice) -> tuple[ApiToken, bytes]:
    row, text = issue_token(alice.pk, name="laptop")
    return row, text.encode()


def test_a_token_is_long_random_text_that_is_not_stored(issued):
    row, token = issued

    assert token.startswith(b"nt_")
    assert len(token) >= 3 + 43
    stored = ApiToken.objects.values().get()
    assert token.decode() not in str(stored)
    assert stored["sha256"] == hashlib.sha256(token).hexdigest()
    assert token.decode().startswith(row.prefix)
    assert len(row.prefix) < len(token) / 3


def test_a_token_stands_for_its_owner(issued, alice):
    assert look_up(issued[1]) == Identity(alice.pk)
    assert look_up(b"nt_wrong") is None
    assert look_up(b"") is None
    assert look_up(b"\xff\xfe") is None
    assert look_up(issued[0].sha256.encode()) is None


def test_the_cost_does_not_grow_with_the_number_of_tokens(issued, bob):
    with CaptureQueriesContext(
        connection,
    ) as few:
        look_up(b"nt_wrong")
    for number in range(50):
        issue_token(bob.pk, name=str(number))
    with CaptureQueriesContext(connection) as many:
        look_up(b"nt_wrong")

    assert len(few) == len(many) == 1
    assert '"sha256" = ' in many[0]["sql"]
    plan = ApiToken.objects.filter(sha256="x").explain()
    assert "INDEX" in plan.upper() or connection.vendor != "sqlite"


def test_an_expired_token_opens_nothing(alice):
    past = timezone.now() - timedelta(seconds=1)
    _, text = issue_token(alice.pk, name="old", expires_at=past)

    assert look_up(text.encode()) is None


def test_a_token_of_an_inactive_user_opens_nothing(issued, alice):
    alice.is_active = False
    alice.save()

    assert look_up(issued[1]) is None


def test_use_is_noted_at_most_once_a_minute(issued):
    look_up(issued[1])
    first = ApiToken.objects.get().last_used_at
    with CaptureQueriesContext(connection) as queries:
        look_up(issued[1])
    assert len(queries) == 1
    assert ApiToken.objects.get().last_used_at == first

    ApiToken.objects.update(last_used_at=first - timedelta(seconds=61))
    look_up(issued[1])
    assert ApiToken.objects.get().last_used_at > first - timedelta(seconds=61)


def cached(token: bytes):
    return api_tokens.verified_tokens.get(api_tokens.hash_token(token))


def test_a_verified_token_is_remembered_for_a_minute_at_most(issued, monkeypatch):
    look_up(issued[1])
    assert cached(issued[1]).user_id == "alice"

    now = api_tokens.time.monotonic()
    monkeypatch.setattr(api_tokens.time, "monotonic", lambda: now + 61)
    assert cached(issued[1]) is None


def test_a_verified_token_is_not_remembered_past_its_end(alice, monkeypatch):
    end = timezone.now() + timedelta(seconds=5)
    _, text = issue_token(alice.pk, name="short", expires_at=end)
    look_up(text.encode())

    now = api_tokens.time.monotonic()
    monkeypatch.setattr(api_tokens.time, "monotonic", lambda: now + 5)
    assert cached(text.encode()) is None


@pytest.mark.parametrize("how", ["revoke", "queryset", "row", "user", "inactive"])
def test_a_revocation_counts_at_once(issued, alice, how):
    look_up(issued[1])

    if how == "revoke":
        revoke_tokens(alice.pk)
    elif how == "queryset":
        ApiToken.objects.all().delete()
    elif how == "row":
        issued[0].delete()
    elif how == "user":
        alice.delete()
    else:
        alice.is_active = False
        alice.save()

    assert cached(issued[1]) is None


def test_a_look_up_that_a_revocation_overtook_is_not_remembered():
    tokens = VerifiedTokens()
    before = tokens.generation
    tokens.clear()

    tokens.put("hash", Identity("alice"), ttl_s=60, generation=before)

    assert tokens.get("hash") is None


@pytest.mark.parametrize(("room", "kept"), [(3, [7, 8, 9]), (0, [])])
def test_the_memory_of_verified_tokens_is_bounded(settings, room, kept):
    settings.AUTH_CACHE_MAX = room
    tokens = VerifiedTokens()

    for number in range(10):
        tokens.put(str(number), Identity("alice"), ttl_s=60, generation=0)

    assert [n for n in range(10) if tokens.get(str(n))] == kept


def test_a_verified_token_is_remembered_no_longer_than_the_setting_says(
    issued, settings, monkeypatch
):
    settings.AUTH_CACHE_TTL = 2
    look_up(issued[1])

    now = api_tokens.time.monotonic()
    monkeypatch.setattr(api_tokens.time, "monotonic", lambda: now + 2)
    assert cached(issued[1]) is None


def test_a_token_keeps_its_scopes_in_one_order(alice):
    row, text = issue_token(alice.pk, name="ci", scopes=["write", "run", "write"])

    assert row.scopes == ["run", "write"]
    assert look_up(text.encode()).scopes == {"run", "write"}


@pytest.mark.parametrize("stored", ["run", {"run": True}, 0, False])
def test_scopes_that_are_no_list_open_nothing(issued, stored):
    ApiToken.objects.update(scopes=stored)

    assert look_up(issued[1]).scopes == api_tokens.NO_SCOPE


def test_a_user_has_a_bounded_number_of_tokens(issued, alice, bob, monkeypatch):
    monkeypatch.setattr(api_tokens, "MAX_TOKENS", 1)

    with pytest.raises(Conflict, match="1 tokens at most"):
        issue_token(alice.pk, name="more")
    issue_token(bob.pk, name="first")


class TestFindByPrefix:
    def test_the_beginning_or_the_whole_token_finds_it(self, issued):
        row, token = issued

        assert find_by_prefix(row.prefix) == row
        assert find_by_prefix(row.prefix[:6]) == row
        assert find_by_prefix(token.decode()) == row

    def test_a_beginning_that_several_have_finds_none(self, alice):
        for end in "ab":
            row, _ = issue_token(alice.pk, name=end)
            ApiToken.objects.filter(pk=row.pk).update(prefix=f"nt_same{end}")

        with pytest.raises(BadRequest, match="Several"):
            find_by_prefix("nt_same")
        assert find_by_prefix("nt_samea").name == "a"

    def test_case_matters(self, issued):
        ApiToken.objects.update(prefix="nt_abcdefg")

        with pytest.raises(NotFound):
            find_by_prefix("nt_ABCDEFG")

    @pytest.mark.parametrize("text", ["", "nt_", "n"])
    def test_every_token_begins_like_this(self, issued, text):
        with pytest.raises(BadRequest, match="too short"):
            find_by_prefix(text)

    def test_somebody_elses_is_not_found(self, issued, bob):
        with pytest.raises(NotFound):
            find_by_prefix(issued[0].prefix, bob.pk)


def test_a_02_several_static_tokens_work_during_a_rotation(settings):
    settings.SERVER_AUTH_TOKEN = " new-token-of-enough-characters , old-token-000000 ,"

    assert is_static_token(b"new-token-of-enough-characters")
    assert is_static_token(b"old-token-000000")
    assert not is_static_token(b"")
    assert not is_static_token(b"new-token-of-enough-characters , old-token-000000")


def test_a_02_a_static_token_is_bytes(settings):
    settings.SERVER_AUTH_TOKEN = "pässwörd-of-16-chars"

    assert is_static_token("pässwörd-of-16-chars".encode())
    assert not is_static_token("pässwörd-of-16-chars".encode("latin-1"))
    assert not is_static_token(b"\xff\x00")


def test_a_02_tokens_are_compared_in_constant_time(settings, monkeypatch):
    settings.SERVER_AUTH_TOKEN = "first-token-0000000,second-token-000000"
    lengths = []
    compare = static_token.hmac.compare_digest

    def recorded(a: bytes, b: bytes) -> bool:
        lengths.append((len(a), len(b)))
        return compare(a, b)

    monkeypatch.setattr(static_token.hmac, "compare_digest", recorded)
    for candidate in (b"first-token-0000000", b"f", b"x" * 1000):
        is_static_token(candidate)

    assert lengths == [(32, 32)] * 6  # every token each time, and no length shows


@pytest.mark.parametrize(("token", "weak"), [("x" * 15, True), ("x" * 16, False)])
def test_a_02_a_short_token_is_weak(settings, token, weak):
    settings.SERVER_AUTH_TOKEN = f"a-long-enough-token-too,{token}"

    assert static_tokens().is_weak is weak


def test_an_unset_token_is_generated_once_and_kept_private(settings, tmp_path):
    settings.SERVER_AUTH_TOKEN = " , "
    settings.DATA_FOLDER = tmp_path

    made = static_tokens()
    static_token._load.cache_clear()
    again = static_tokens()

    path = tmp_path / static_token.FILE_NAME
    assert made.tokens == again.tokens
    assert (made.is_new, again.is_new) == (True, False)
    assert made.source == str(path)
    assert len(made.tokens[0]) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert is_static_token(made.tokens[0].encode())


def test_an_empty_saved_token_is_never_accepted(settings, tmp_path):
    settings.SERVER_AUTH_TOKEN = ""
    settings.DATA_FOLDER = tmp_path
    (tmp_path / static_token.FILE_NAME).write_text("\n")

    with pytest.raises(ImproperlyConfigured, match="is empty"):
        static_tokens()
