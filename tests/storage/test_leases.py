"""Z-07: what keeps a connection open, as against time and revocation."""

import asyncio
import time

import pytest
from django.db import DatabaseError

from nodetool_site.lib.db import db
from storage import leases as module
from storage.api_tokens import issue_token, look_up, verified_tokens
from storage.identity import DEFAULT_IDENTITY, Credential, Identity
from storage.key_sets import Unreachable
from storage.leases import Leases, leases

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _none_is_left():
    yield
    leases._open.clear()


@pytest.fixture
def ended():
    """An ``on_end`` that remembers."""
    return asyncio.Event()


async def identity_of(user, **fields) -> Identity:
    _, text = await db(issue_token, user.pk, name="t", **fields)
    verified_tokens.clear()
    return await db(look_up, text.encode())


async def within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def test_z07_who_needs_no_credential_keeps_the_connection():
    assert leases.open(DEFAULT_IDENTITY, pytest.fail) is None
    leases.close(None)


async def test_z07_the_end_that_a_token_names_is_kept_to_the_moment(ended):
    end = time.time() + 0.2
    identity = Identity("alice", credential=Credential("x" * 64, end, b"jwt"))

    lease = leases.open(identity, ended.set)

    assert not lease.is_over
    assert await within(ended, 20)
    assert lease.is_over
    assert time.time() >= end


@pytest.mark.parametrize("how", ["revoked", "inactive", "deleted"])
async def test_z07_a_revocation_here_counts_at_once(alice, ended, how):
    identity = await identity_of(alice)
    lease = leases.open(identity, ended.set)

    if how == "revoked":
        await db(alice.api_tokens.all().delete)
    elif how == "deleted":
        await db(alice.delete)
    else:
        alice.is_active = False
        await db(alice.save)

    assert await within(ended, 20)
    assert lease.is_over


async def test_z07_a_revocation_elsewhere_counts_with_the_next_look(
    alice, ended, monkeypatch
):
    monkeypatch.setattr(module, "RECHECK_S", 0.1)
    identity = await identity_of(alice)
    leases.open(identity, ended.set)

    # As another process does it: no signal comes here.
    await db(alice.api_tokens.all()._raw_delete, "default")

    assert await within(ended, 20)


async def test_z07_the_looks_come_often_enough():
    assert module.RECHECK_S + module.ASK_AGAIN_S < 60


async def test_z07_others_connections_stay(alice, bob, ended):
    theirs = asyncio.Event()
    mine = leases.open(await identity_of(alice), ended.set)
    other = leases.open(await identity_of(bob), theirs.set)
    second = leases.open(await identity_of(alice), theirs.set)

    await db(alice.api_tokens.filter(sha256=mine.credential.sha256).delete)

    assert await within(ended, 20)
    assert not other.is_over
    assert not second.is_over
    leases.close(other)
    leases.close(second)


async def test_z07_all_connections_of_a_token_end(alice, ended):
    identity = await identity_of(alice)
    count = 0

    def note() -> None:
        nonlocal count
        count += 1
        if count == 3:
            ended.set()

    for _ in range(3):
        leases.open(identity, note)
    await db(alice.api_tokens.all().delete)

    assert await within(ended, 20)


async def test_z07_a_look_costs_by_credentials_not_by_connections(
    alice, bob, monkeypatch
):
    mine = Leases()
    for user in (alice, bob):
        identity = await identity_of(user)
        for _ in range(50):
            mine.open(identity, pytest.fail)
    queries = []

    async def counted(fn, *args):
        queries.append(str(args[0].query))
        return await db(fn, *args)

    monkeypatch.setattr(module, "db", counted)
    await mine._recheck()

    assert len(queries) == 1
    assert queries[0].count(identity.credential.sha256) == 1
    mine._open.clear()


async def test_z07_a_database_that_is_away_ends_nothing(alice, ended, monkeypatch):
    monkeypatch.setattr(module, "RECHECK_S", 0.05)
    identity = await identity_of(alice)
    away = asyncio.Event()

    async def fail(*args):
        away.set()
        raise DatabaseError("away")

    with monkeypatch.context() as patch:
        patch.setattr(module, "db", fail)
        lease = leases.open(identity, ended.set)
        assert await within(away, 20)
        await asyncio.sleep(0.1)
        assert not lease.is_over
    await db(alice.api_tokens.all()._raw_delete, "default")

    assert await within(ended, 20)


class Project:
    """Supabase, which may revoke or be away."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: bool | Exception = True

    async def recheck(self, token: bytes) -> bool:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_z07_others_who_vouch_are_asked_now_and_then(alice, ended, monkeypatch):
    monkeypatch.setattr(module, "RECHECK_S", 0.05)
    monkeypatch.setattr(module, "ASK_AGAIN_S", 0.2)
    project = Project()
    monkeypatch.setattr(module.supabase, "current", lambda: project)
    credential = Credential("y" * 64, time.time() + 60, b"jwt")
    for _ in range(20):
        leases.open(Identity(alice.pk, credential=credential), ended.set)

    await asyncio.sleep(0.7)
    assert 1 <= project.asked <= 4
    project.answer = Unreachable()
    await asyncio.sleep(0.4)
    assert not ended.is_set()
    project.answer = False

    assert await within(ended, 20)


async def test_z07_a_jwt_of_an_inactive_user_ends(alice, ended, monkeypatch):
    monkeypatch.setattr(module.supabase, "current", Project)
    credential = Credential("z" * 64, time.time() + 60, b"jwt")
    leases.open(Identity(alice.pk, credential=credential), ended.set)

    alice.is_active = False
    await db(alice.save)

    assert await within(ended, 20)


async def test_z07_a_closed_connection_is_forgotten(alice):
    mine = Leases()
    lease = mine.open(await identity_of(alice), pytest.fail)

    mine.close(lease)
    mine.close(lease)

    assert not mine._open
    assert not mine._asked_at
