"""Who is calling: every provider with every credential from every source."""

import dataclasses
import time

import pytest

from nodetool_site import auth
from nodetool_site.auth import authenticate, authenticate_socket, find_token
from nodetool_site.lib.db import db
from storage import static_token
from storage.api_tokens import issue_token, revoke_tokens, verified_tokens
from storage.failed_attempts import FailedAttempts, network_of
from storage.identity import DEFAULT_IDENTITY, Identity
from storage.models import User

pytestmark = pytest.mark.django_db(transaction=True)

STATIC = "a-static-token-of-enough-characters"
MISSING = "Authorization header required. Use 'Authorization: Bearer <token>'."
PROVIDERS = ("none", "local", "static", "multi_user")
ENFORCING = PROVIDERS[2:]


@pytest.fixture(autouse=True)
def _fresh(settings):
    settings.SERVER_AUTH_TOKEN = STATIC
    auth.failed_attempts.clear()
    verified_tokens.clear()
    yield
    auth.failed_attempts.clear()


@pytest.fixture
def alice(transactional_db) -> User:
    return User.objects.create_user("alice", id="alice")


@pytest.fixture
async def alices_token(alice) -> str:
    return (await db(issue_token, alice.pk, name="test"))[1]


def bearer(token: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), (b"authorization", f"Bearer {token}".encode())]


def scope(headers=(), query="", address="10.0.0.1") -> dict:
    return {
        "type": "websocket",
        "headers": list(headers),
        "query_string": query.encode(),
        "client": (address, 1234),
    }


def over_header(token):
    return authenticate(bearer(token) if token else [], allow_query=False)


def over_http_query(token):
    return authenticate([], f"a=1&api_key={token}".encode(), allow_query=True)


def over_socket_header(token):
    return authenticate_socket(scope(bearer(token) if token else []))


def over_socket_api_key(token):
    return authenticate_socket(scope(query=f"api_key={token}"))


def over_socket_token(token):
    return authenticate_socket(scope(query=f"x=1&token={token}"))


SOURCES = [
    over_header,
    over_http_query,
    over_socket_header,
    over_socket_api_key,
    over_socket_token,
]
source = pytest.mark.parametrize("call", SOURCES)


@source
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("token", ["", "wrong", STATIC])
async def test_matrix(settings, provider, call, token):
    """A1: provider x {no, bad, good token} x source."""
    settings.AUTH_PROVIDER = provider
    if provider not in ENFORCING or token == STATIC:
        assert await call(token) == Identity("1")
        return

    with pytest.raises(auth.AuthenticationFailed) as caught:
        await call(token)

    wrong = "Invalid static token" if provider == "static" else "Invalid token"
    assert str(caught.value.detail) == (wrong if token else MISSING)
    assert caught.value.status_code == 401
    kind = "Invalid" if token else "Missing"
    assert caught.value.close_reason == f"{kind} authentication"


@source
async def test_a_users_token_is_that_user(settings, alices_token, call):
    settings.AUTH_PROVIDER = "multi_user"

    assert (await call(alices_token)).user_id == "alice"


async def test_a_users_token_opens_nothing_under_static(settings, alices_token):
    settings.AUTH_PROVIDER = "static"

    with pytest.raises(auth.InvalidCredential):
        await over_header(alices_token)


@pytest.mark.parametrize("provider", ["none", "local"])
async def test_no_provider_no_database(settings, provider, monkeypatch):
    settings.AUTH_PROVIDER = provider
    monkeypatch.setattr(auth, "db", None)

    identity = await authenticate(bearer("x"), allow_query=False)

    assert identity is DEFAULT_IDENTITY


async def test_no_provider_costs_microseconds(settings):
    settings.AUTH_PROVIDER = "local"
    headers = bearer("x")
    rounds = []

    for _ in range(20):
        start = time.perf_counter()
        for _ in range(100):
            await authenticate(headers, allow_query=False)
        rounds.append((time.perf_counter() - start) / 100)

    assert min(rounds) < 20e-6


async def test_a_verified_token_needs_no_database(settings, alices_token, monkeypatch):
    settings.AUTH_PROVIDER = "multi_user"
    await over_header(alices_token)
    monkeypatch.setattr(auth.api_tokens, "look_up", None)

    assert (await over_header(alices_token)).user_id == "alice"


async def test_a_revoked_token_is_refused_at_once(settings, alice, alices_token):
    settings.AUTH_PROVIDER = "multi_user"
    await over_header(alices_token)

    await db(revoke_tokens, alice.pk)

    with pytest.raises(auth.InvalidCredential):
        await over_header(alices_token)


SOCKET = auth.SOCKET_QUERY


@pytest.mark.parametrize(
    ("header", "query", "names", "token"),
    [
        ("Bearer abc", "", (), "abc"),
        ("bearer abc", "", (), "abc"),
        ("BEARER   abc  ", "", (), "abc"),
        ("Bearer", "", (), None),
        ("Bearer ", "", (), None),
        ("Bearer a b", "", (), None),
        ("abc", "", (), None),
        ("Basic abc", "", (), None),
        ("", "", (), None),
        (None, "", (), None),
        (None, "api_key=abc", (), None),
        (None, "api_key=abc", auth.HTTP_QUERY, "abc"),
        (None, "token=abc", auth.HTTP_QUERY, None),
        (None, "token=t&api_key=k", SOCKET, "k"),
        (None, "api_key=&token=t", SOCKET, "t"),
        (None, "api_key&token=t", SOCKET, "t"),
        (None, "api_key=&api_key=k", SOCKET, "k"),
        (None, "api_key=a%2Bb+c%00", SOCKET, "a+b c\0"),
        (None, "API_KEY=k", SOCKET, None),
        ("Bearer abc", "api_key=k", SOCKET, "abc"),
        ("Basic abc", "api_key=k", SOCKET, "k"),
        ("Bearer a b", "token=t", SOCKET, "t"),
    ],
)
def test_the_first_source_that_holds_a_token_decides(header, query, names, token):
    headers = [] if header is None else [(b"authorization", header.encode())]

    found = find_token(headers, query.encode(), names)

    assert found == (None if token is None else token.encode())


def test_two_headers_are_none():
    twice = [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")]

    assert find_token(twice, b"", ()) is None
    assert find_token(twice, b"token=t", SOCKET) == b"t"


async def test_a_bad_first_source_is_not_rescued_by_a_later_one(settings):
    settings.AUTH_PROVIDER = "static"

    with pytest.raises(auth.InvalidCredential):
        await authenticate_socket(scope(bearer("wrong"), f"api_key={STATIC}"))
    with pytest.raises(auth.InvalidCredential):
        await authenticate_socket(scope(query=f"api_key=wrong&token={STATIC}"))


async def test_a_02_a_token_of_any_bytes_is_compared(settings):
    settings.AUTH_PROVIDER = "static"

    with pytest.raises(auth.InvalidCredential):
        await authenticate(
            [(b"authorization", b"Bearer \xff\xfe\x00")], allow_query=False
        )
    with pytest.raises(auth.InvalidCredential):
        await authenticate_socket(scope(query="api_key=%FF%FE%00"))


class TestBruteForce:
    """A-08."""

    @pytest.fixture(autouse=True)
    def _enforced(self, settings):
        settings.AUTH_PROVIDER = "static"

    @staticmethod
    def call(token: str, address: str = "10.0.0.1"):
        return authenticate(bearer(token), allow_query=False, address=address)

    async def fail(self, times: int, address: str = "10.0.0.1") -> None:
        for _ in range(times):
            with pytest.raises(auth.InvalidCredential):
                await self.call("wrong", address)

    async def test_a_08_after_20_failures_an_address_waits(self):
        await self.fail(20)

        with pytest.raises(auth.TooManyFailures) as caught:
            await self.call("wrong")

        assert caught.value.status_code == 429
        assert 0 < caught.value.wait <= 60
        assert caught.value.close_reason == "Invalid authentication"

    async def test_a_08_guessing_right_does_not_show_while_waiting(self):
        await self.fail(20)

        with pytest.raises(auth.TooManyFailures):
            await self.call(STATIC)

    async def test_a_08_the_right_token_works_from_another_address(self):
        await self.fail(20)

        assert await self.call(STATIC, "10.0.0.2") == Identity("1")

    async def test_a_08_a_minute_later_all_is_forgotten(self, monkeypatch):
        await self.fail(20)
        now = time.monotonic()

        monkeypatch.setattr(time, "monotonic", lambda: now + 61)

        assert await self.call(STATIC) == Identity("1")
        await self.fail(20)

    async def test_a_08_no_credential_is_no_guess(self):
        for _ in range(30):
            with pytest.raises(auth.MissingCredential):
                await authenticate([], allow_query=False, address="10.0.0.1")

        assert await self.call(STATIC) == Identity("1")

    async def test_a_08_sockets_count_too(self):
        for _ in range(20):
            with pytest.raises(auth.InvalidCredential):
                await authenticate_socket(scope(query="token=wrong"))

        with pytest.raises(auth.TooManyFailures):
            await self.call(STATIC)

    async def test_a_08_zero_switches_it_off(self, settings):
        settings.AUTH_FAILURES_PER_MINUTE = 0

        await self.fail(50)

    async def test_a_08_nothing_counts_without_authentication(self, settings):
        await self.fail(20)
        settings.AUTH_PROVIDER = "local"

        assert await self.call("wrong") == Identity("1")

    def test_a_08_the_table_is_bounded(self):
        attempts = FailedAttempts(size=100)

        for number in range(1000):
            attempts.record(f"10.0.{number // 250}.{number % 250}")

        assert len(attempts._windows) == 100

    def test_a_08_an_ipv6_user_has_one_account(self):
        attempts = FailedAttempts()

        for number in range(20):
            attempts.record(f"2001:db8::{number:x}")

        assert attempts.retry_after_s("2001:db8::ffff", limit=20)
        assert not attempts.retry_after_s("2001:db8:0:1::1", limit=20)

    @pytest.mark.parametrize(
        "headers",
        [
            [b"6.6.6.6, 1.2.3.4"],
            [b"1.2.3.4"],
            # Some proxies add a header of their own below the caller's.
            [b"6.6.6.6", b"1.2.3.4"],
            [b"6.6.6.6", b"7.7.7.7, 1.2.3.4"],
        ],
    )
    def test_a_08_behind_a_trusted_proxy_its_own_entry_counts(self, settings, headers):
        behind = scope([(b"x-forwarded-for", each) for each in headers], address="::1")

        assert auth.client_address(behind) == "::1"
        settings.TRUST_PROXY_HEADERS = True
        assert auth.client_address(behind) == "1.2.3.4"

    @pytest.mark.parametrize(
        ("address", "counted"),
        [
            ("1.2.3.4", "1.2.3.4"),
            ("1.2.3.4:5678", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("2001:db8::1", "2001:db8::/64"),
            ("2001:db8::5678", "2001:db8::/64"),
            ("[2001:db8::1]", "2001:db8::/64"),
            ("[2001:db8::1]:5678", "2001:db8::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("", ""),
            ("unknown", "unknown"),
        ],
    )
    def test_a_08_what_is_counted_is_the_callers_own(self, address, counted):
        assert network_of(address) == counted


def test_an_identity_serves_where_a_user_is_expected():
    identity = Identity("alice")

    assert (identity.user_id, identity.id, identity.pk) == ("alice",) * 3
    assert identity.is_authenticated
    assert not identity.is_anonymous
    assert not identity.is_staff
    with pytest.raises(dataclasses.FrozenInstanceError):
        identity.user_id = "bob"


def test_the_static_token_is_read_once(settings, tmp_path):
    settings.SERVER_AUTH_TOKEN = ""
    settings.DATA_FOLDER = tmp_path
    made = static_token.static_tokens()
    (tmp_path / static_token.FILE_NAME).unlink()

    assert static_token.static_tokens() == made
