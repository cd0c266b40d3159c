"""A real server, a real browser and one window for each test.

Whatever a test does: afterwards neither the browser's console nor the page's security
policy has a complaint, and the server's log and stored events are sound.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser.chromium import Page, open_window, running_browser
from tests.browser.run_page import RunPage
from tests.end_to_end.client import ApiClient
from tests.end_to_end.server import ServerProcess, new_backend
from tests.end_to_end.stored_jobs import assert_stored_jobs_valid
from tests.services.browser import CURE, find

TOKEN = "a-token-of-a-browser-test"


@contextmanager
def _running(folder: Path, **options) -> Iterator[ServerProcess]:
    with new_backend("embedded", folder) as backend:
        server = ServerProcess(backend, **options)
        try:
            yield server.start()
        finally:
            server.close()


@pytest.fixture(scope="session")
def _open_server(tmp_path_factory) -> Iterator[ServerProcess]:
    with _running(tmp_path_factory.mktemp("page") / "server") as server:
        yield server


@pytest.fixture
def server(_open_server) -> Iterator[ServerProcess]:
    """A desktop server as it is after its first start."""
    _open_server.mark_logs()
    yield _open_server
    assert_stored_jobs_valid(_open_server)
    _open_server.assert_clean_log()


@pytest.fixture
def locked_server(tmp_path) -> Iterator[ServerProcess]:
    """A desktop server that asks for a token."""
    env = {"AUTH_PROVIDER": "static", "SERVER_AUTH_TOKEN": TOKEN}
    with _running(tmp_path / "server", env=env, token=TOKEN) as server:
        yield server
        assert_stored_jobs_valid(server)
        server.assert_clean_log()


@pytest.fixture
async def api(server) -> AsyncIterator[ApiClient]:
    async with ApiClient(server.base_url) as client:
        yield client


@pytest.fixture(scope="session")
def browser_address(tmp_path_factory) -> Iterator[str]:
    program = find()
    if program is None and os.environ.get("REQUIRE_SERVICES") != "1":
        pytest.skip(f"no Chromium: {CURE}")
    assert program, f"no Chromium: {CURE}"
    with running_browser(program, tmp_path_factory.mktemp("browser")) as address:
        yield address


@pytest.fixture
async def window(browser_address) -> AsyncIterator[Page]:
    """An empty window. What it is expected to complain about, a test takes away."""
    async with open_window(browser_address) as window:
        await window.look(width=1200, height=900)
        yield window
        assert await window.violations() == []
        assert window.complaints == []


@pytest.fixture
def page(server, window) -> RunPage:
    """The page of ``server`` in that window; not opened yet."""
    return RunPage(window, server.base_url)
