"""Every test leaves no connection behind."""

from collections.abc import AsyncIterator

import pytest

from tests.providers.calling import IDLE_S
from workflows.providers.http_client import shared_client


@pytest.fixture(autouse=True)
async def _connections_are_closed() -> AsyncIterator[None]:
    yield
    await shared_client(IDLE_S).close()
