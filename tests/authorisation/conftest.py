"""A server in this process, with users who own and users who look."""

from collections.abc import AsyncIterator

import pytest

from jobs import process
from jobs.log_writer import writer
from nodetool_site.lib.db import db
from storage.api_tokens import verified_tokens
from storage.failed_attempts import failed_attempts
from tests.authorisation.people import (
    SETTINGS,
    Person,
    World,
    populate,
    share_handler,
)
from tests.site_auth.conftest import _stub, project, stub
from tests.supabase_stub import ALICE, BOB
from workflows.providers.http_client import close_shared

__all__ = ["_stub", "project", "stub"]


@pytest.fixture
async def world(
    transactional_db, settings, tmp_path, monkeypatch
) -> AsyncIterator[World]:
    """Users, and an engine that runs their jobs until the test is over."""
    settings.SECRETS_MASTER_KEY = ""
    settings.DATA_FOLDER = tmp_path
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    share_handler(monkeypatch)
    verified_tokens.clear()
    yield await db(populate)
    await process.stop("The test is over")
    await close_shared()  # models are asked for, at providers that are not there
    writer.poll(None)
    failed_attempts.clear()


@pytest.fixture
async def supabase_world(project, world, settings) -> World:
    """The same with two users of a Supabase project, ``alice`` and ``bob``, beside.

    They prove who they are by access tokens of the project; what they own is made with
    API tokens, as everybody's is.
    """
    settings.AUTH_PROVIDER = "supabase"
    stub = project(secret=True)
    settings.AUTH_FAILURES_PER_MINUTE = SETTINGS["AUTH_FAILURES_PER_MINUTE"]
    for user_id in (ALICE, BOB):
        await db(world.add, user_id)
        world.people[f"supabase {user_id}"] = Person(user_id, stub.token(user_id))
    return world
