"""A server in this process, with users who own and users who look."""

from collections.abc import AsyncIterator

import pytest

from jobs import process
from jobs.log_writer import writer
from nodetool_site.lib.db import db
from storage.api_tokens import verified_tokens
from storage.failed_attempts import failed_attempts
from tests.authorisation.people import SETTINGS, World, populate


@pytest.fixture
async def world(transactional_db, settings) -> AsyncIterator[World]:
    """Users, and an engine that runs their jobs until the test is over."""
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    verified_tokens.clear()
    yield await db(populate)
    await process.stop("The test is over")
    writer.poll(None)
    failed_attempts.clear()
