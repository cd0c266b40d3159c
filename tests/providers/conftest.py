"""Every test leaves no connection behind."""

from collections.abc import AsyncIterator

import pytest

from workflows.providers.http_client import close_shared


@pytest.fixture(autouse=True)
async def _connections_are_closed() -> AsyncIterator[None]:
    yield
    await close_shared()
