"""The ``supabase`` provider over REST, streams, sockets and files: A-03, A-04, A1."""

import asyncio
import time
import uuid

import pytest
from django.db import OperationalError

from nodetool_site import auth
from nodetool_site.lib.db import db
from storage import supabase
from storage.api_tokens import issue_token, verified_tokens
from storage.http_session import MAX_ANSWER_BYTES
from storage.key_sets import Unreachable
from storage.models import User
from tests.site_auth.test_authenticate import SOURCES, STATIC, over_header, scope
from tests.site_auth.test_rest import get
from tests.supabase_stub import ALICE, BOB, KEY_IDS, part, public_jwk

pytestmark = pytest.mark.django_db(transaction=True)

USER, KEYS = "/auth/v1/user", "/auth/v1/.well-known/jwks.json"
MISSING = "Authorization header required. Use 'Authorization: Bearer <token>'."


@pytest.mark.parametrize("call", SOURCES)
@pytest.mark.parametrize("kind", ["none", "bad", "expired", "static", "jwt", "api"])
async def test_a1_every_source_with_every_credential(project, call, kind):
    stub = project(secret=True)
    user = await db(User.objects.create_user, "zoe", id="zoe")
    token = {
        "none": "",
        "bad": "wrong",
        "expired": stub.token(exp=int(time.time()) - 60),
        "static": STATIC,
        "jwt": stub.token(),
        "api": (await db(issue_token, user.pk, name="t"))[1],
    }[kind]
    expected = {"static": "1", "jwt": ALICE, "api": "zoe"}

    if kind in expected:
        assert (await call(token)).user_id == expected[kind]
        return
    with pytest.raises(auth.AuthenticationFailed) as caught:
        await call(token)

    assert caught.value.status_code == 401
    assert str(caught.value.detail) == ("Invalid Supabase token" if token else MISSING)
    kind = "Invalid" if token else "Missing"
    assert caught.value.close_reason == f"{kind} authentication"


async def test_a1_rest_says_who_vouches_and_how_to_sign_in(project):
    stub = project()

    status, headers, body = await get("/api/workflows/", "wrong")
    assert (status, body["detail"]) == (401, "Invalid Supabase token")
    assert headers["www-authenticate"] == "Bearer"
    assert (await get("/api/workflows/", stub.token()))[0] == 200


@pytest.mark.parametrize("algorithm", ["HS256", *KEY_IDS])
async def test_a03_checked_here_nobody_is_asked_for_the_user(project, algorithm):
    stub = project(secret=True, key_set=True)

    for user_id in (ALICE, BOB):
        token = stub.token(user_id, algorithm)
        assert (await over_header(token)).user_id == user_id

    assert stub.requests[USER] == 0
    assert stub.requests[KEYS] == (algorithm != "HS256")


async def test_a03_the_project_is_asked_with_its_key(project):
    stub = project()

    assert (await over_header(stub.token())).user_id == ALICE

    assert stub.requests == {USER: 1}


async def test_a03_a_project_that_names_somebody_else_is_not_believed(project):
    stub = project()
    stub.body = f'{{"id": "{BOB}"}}'.encode()

    with pytest.raises(auth.InvalidCredential):
        await over_header(stub.token(ALICE))


async def test_a03_ten_thousand_unknown_keys_cause_one_request(project):
    stub = project(key_set=True)
    await over_header(stub.token(algorithm="ES256"))
    stub.requests.clear()
    head = stub.token(algorithm="ES256").split(".", 1)[1]
    one = supabase.current()
    for number in range(10_000):
        token = part({"alg": "ES256", "kid": f"k{number}"}) + f".{head}"
        assert await one.identify(token.encode()) is None

    assert stub.requests[KEYS] <= 1
    assert len(one._refused) <= 2_000


async def test_a03_a_rotated_key_opens_at_once(project, monkeypatch):
    stub = project(key_set=True)
    await over_header(stub.token(algorithm="ES256"))
    real = time.monotonic
    monkeypatch.setattr(supabase.time, "monotonic", lambda: real() + 11)

    stub.keys = [public_jwk("ES256", "es-2")]
    token = stub.token(algorithm="ES256", header={"kid": "es-2"})

    assert (await over_header(token)).user_id == ALICE


class TestCache:
    """A-04."""

    @staticmethod
    def later(monkeypatch, seconds: float) -> None:
        mono, wall = time.monotonic, time.time
        monkeypatch.setattr(time, "monotonic", lambda: mono() + seconds)
        monkeypatch.setattr(time, "time", lambda: wall() + seconds)

    async def test_a04_a_verified_token_is_remembered_a_minute(
        self, project, monkeypatch
    ):
        stub = project()
        token = stub.token()
        for _ in range(5):
            await over_header(token)
        assert stub.requests[USER] == 1

        self.later(monkeypatch, 61)
        await over_header(token)

        assert stub.requests[USER] == 2

    @pytest.mark.parametrize("mode", [{}, {"secret": True}])
    async def test_a5_an_expired_token_is_refused_though_it_was_remembered(
        self, project, monkeypatch, mode
    ):
        stub = project(**mode)
        token = stub.token(exp=int(time.time()) + 20)
        await over_header(token)

        self.later(monkeypatch, 31)  # the leeway is over too

        with pytest.raises(auth.InvalidCredential):
            await over_header(token)

    async def test_a04_a_refusal_is_remembered_five_seconds(self, project, monkeypatch):
        stub = project()
        token = stub.token()
        stub.revoked.add(token)
        for _ in range(5):
            with pytest.raises(auth.InvalidCredential):
                await over_header(token)
        assert stub.requests[USER] == 1

        stub.revoked.clear()
        self.later(monkeypatch, 5.1)

        assert (await over_header(token)).user_id == ALICE

    async def test_a04_what_is_remembered_is_bounded(self, project, settings):
        settings.AUTH_CACHE_MAX = 3
        settings.AUTH_FAILURES_PER_MINUTE = 0
        stub = project(secret=True)

        for number in range(10):
            await over_header(stub.token(str(uuid.UUID(int=number + 1))))
            with pytest.raises(auth.InvalidCredential):
                await over_header(f"wrong{number}")

        assert len(verified_tokens._entries) <= 3
        assert len(supabase.current()._refused) <= 3

    async def test_a04_many_requests_with_one_token_are_one_question(self, project):
        stub = project()
        stub.delay_s = 0.1
        token = stub.token()

        found = await asyncio.gather(*(over_header(token) for _ in range(50)))

        assert {identity.user_id for identity in found} == {ALICE}
        assert stub.requests[USER] == 1

    async def test_a_caller_who_hangs_up_takes_nobodys_answer_along(self, project):
        stub = project()
        stub.delay_s = 0.1
        token = stub.token()
        leaving = asyncio.create_task(over_header(token))
        staying = asyncio.create_task(over_header(token))
        await asyncio.sleep(0.05)

        leaving.cancel()

        assert (await staying).user_id == ALICE


class TestAway:
    """Supabase unreachable: 503, never 401."""

    @pytest.fixture(params=["down", "500", "429", "302", "slow", "nonsense", "large"])
    def away(self, request, project, settings, monkeypatch):
        stub = project()
        if request.param == "down":
            settings.SUPABASE_URL = "http://127.0.0.1:9"
            stub.issuer = f"{settings.SUPABASE_URL}/auth/v1"
        elif request.param == "slow":
            monkeypatch.setattr("storage.http_session.TOTAL_S", 0.2)
            stub.delay_s = 0.5
        elif request.param == "nonsense":
            stub.body = b"<html>"
        elif request.param == "large":
            stub.body = b" " * (MAX_ANSWER_BYTES + 1)
        else:
            stub.status = int(request.param)
        yield stub
        stub.issuer = f"{stub.url}/auth/v1"

    async def test_rest_answers_503(self, away):
        status, headers, body = await get("/api/workflows/", away.token())

        assert status == 503
        assert body == {
            "detail": "Authentication service unavailable",
            "code": "SERVICE_UNAVAILABLE",
            "retryable": True,
        }
        assert int(headers["retry-after"]) >= 1
        assert away.requests["/elsewhere"] == 0
        await supabase.current().http.close()

    async def test_a_socket_closes_with_1011(self, away):
        with pytest.raises(Unreachable):
            await auth.authenticate_socket(scope(query=f"api_key={away.token()}"))
        await supabase.current().http.close()


@pytest.mark.parametrize("kind", ["jwt", "api"])
async def test_a_database_that_is_away_makes_nobody_a_stranger(
    project, monkeypatch, kind
):
    stub = project(secret=True)
    token = stub.token() if kind == "jwt" else "nt_something"

    def away(*args):
        raise OperationalError("no connection")

    monkeypatch.setattr(supabase, "_account", away)
    monkeypatch.setattr(auth.api_tokens, "look_up", away)

    status, _, body = await get("/api/workflows/", token)
    assert (status, body["detail"]) == (503, "Authentication service unavailable")
    with pytest.raises(Unreachable):
        await auth.authenticate_socket(scope(query=f"api_key={token}"))


async def test_while_away_nothing_counts_as_a_failure(project):
    stub = project()
    stub.status = 500
    for _ in range(25):
        assert (await get("/api/workflows/", stub.token()))[0] == 503
    stub.status = 0

    assert (await get("/api/workflows/", stub.token()))[0] == 200


@pytest.mark.parametrize("path", ["/health", "/ping", "/ready", "/api/health"])
async def test_probes_ask_nobody(project, path):
    stub = project()

    assert (await get(path, stub.token()))[0] != 401

    assert not stub.requests


async def test_public_workflows_open_while_away(project):
    stub = project()
    stub.status = 500

    assert (await get("/api/workflows/public", stub.token()))[0] == 200


class TestAccounts:
    async def test_a_user_is_made_at_first_sight(self, project):
        stub = project(secret=True)

        await over_header(stub.token(email="alice@example.org"))
        await over_header(stub.token(email="new@example.org"))

        user = await User.objects.aget()
        assert (user.pk, user.username, user.email) == (
            ALICE,
            ALICE,
            "alice@example.org",
        )
        assert not user.has_usable_password()
        assert not user.is_staff
        assert not user.is_superuser

    async def test_of_many_first_requests_one_makes_the_user(self, project):
        stub = project(secret=True)
        tokens = [stub.token(session=number) for number in range(30)]

        found = await asyncio.gather(*(over_header(token) for token in tokens))

        assert {identity.user_id for identity in found} == {ALICE}
        assert await User.objects.acount() == 1

    async def test_a_taken_name_keeps_nobody_out(self, project):
        stub = project(secret=True)
        await db(User.objects.create_user, ALICE, id="somebody")

        assert (await over_header(stub.token())).user_id == ALICE

        made = await User.objects.aget(pk=ALICE)
        assert made.username == f"supabase-{ALICE}"

    async def test_an_inactive_user_is_refused_at_once(self, project):
        stub = project(secret=True)
        token = stub.token()
        await over_header(token)
        user = await User.objects.aget(pk=ALICE)

        user.is_active = False
        await db(user.save)

        with pytest.raises(auth.InvalidCredential):
            await over_header(token)

    async def test_staff_is_who_the_row_says(self, project):
        stub = project(secret=True)
        await db(User.objects.create_user, "alice", id=ALICE, is_staff=True)

        assert (await over_header(stub.token(is_staff=False))).is_staff

    async def test_the_static_token_is_user_1(self, project):
        project(secret=True)

        assert (await over_header(STATIC)).user_id == "1"
