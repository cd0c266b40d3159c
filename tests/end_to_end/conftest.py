"""Servers for tests over the wire: one shared per mode, and fresh ones on demand.

Whatever a test does, afterwards the log of its server has no traceback, and the
stored events of every job that ran meanwhile obey the checker (J-04).
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.client import ApiClient
from tests.end_to_end.server import ServerProcess, new_backend
from tests.end_to_end.stored_jobs import assert_stored_jobs_valid
from tests.services import isolation
from tests.services.available import service_url

NewServer = Callable[..., ServerProcess]
# What a server of the tests' own node classes needs in its environment.
TEST_NODES = {"NODE_PACKAGES": "tests.nodes_for_tests"}


@contextmanager
def _running(mode: str, folder: Path, **env: str) -> Iterator[ServerProcess]:
    with new_backend(mode, folder) as backend:
        server = ServerProcess(backend, env={**TEST_NODES, **env})
        try:
            yield server.start()
        finally:
            server.close()


@pytest.fixture(scope="session")
def _shared_server(mode, tmp_path_factory) -> Iterator[ServerProcess]:
    with _running(mode, tmp_path_factory.mktemp(f"shared-{mode}")) as server:
        yield server


@pytest.fixture(scope="session")
def _shared_impatient_server(mode, tmp_path_factory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp(f"impatient-{mode}")
    settings = {"KEEPALIVE_SECONDS": "1", "PROVIDER_TIMEOUT": "4"}
    with _running(mode, folder, **settings) as server:
        yield server


@pytest.fixture
def server(_shared_server) -> Iterator[ServerProcess]:
    """A running server that other tests use too: leave no job running in it."""
    yield from _lent(_shared_server)


@pytest.fixture
def impatient_server(_shared_impatient_server) -> Iterator[ServerProcess]:
    """The same, which breaks a silence after 1 s and waits 4 s for a model."""
    yield from _lent(_shared_impatient_server)


def _lent(server: ServerProcess) -> Iterator[ServerProcess]:
    for process in server.processes:
        process.require_running()
    server.mark_logs()
    yield server
    assert_sound(server)


@pytest.fixture
def new_server(mode, tmp_path) -> Iterator[NewServer]:
    """Makes servers of this test's own: ``new_server(env=..., args=..., ...)``.

    ``start=False`` leaves the start to the test; ``broker_url`` names another broker.
    """
    with _servers(mode, tmp_path) as make:
        yield make


@pytest.fixture
def new_embedded_server(tmp_path) -> Iterator[NewServer]:
    """As ``new_server``, for a test that is marked ``embedded`` and only that."""
    with _servers("embedded", tmp_path) as make:
        yield make


@pytest.fixture
def new_scale_out_server(tmp_path) -> Iterator[NewServer]:
    """As ``new_server``, for a test that is marked ``scale_out`` and only that."""
    with _servers("scale_out", tmp_path) as make:
        yield make


@pytest.fixture
def fresh_server(new_server) -> ServerProcess:
    """A running server with empty data, this test's own."""
    return new_server()


@pytest.fixture
async def api(server) -> AsyncIterator[ApiClient]:
    """A client of ``server``."""
    async with ApiClient(server.base_url) as client:
        yield client


@pytest.fixture
def amqp_url() -> Iterator[str]:
    """An empty virtual host of RabbitMQ; the test carries the marker ``rabbitmq``.

    Ask for it before the server that uses it, so that it goes after that.
    """
    with isolation.own_virtual_host(service_url("RabbitMQ")) as url:
        yield url


@contextmanager
def _servers(mode: str, folder: Path) -> Iterator[NewServer]:
    with ExitStack() as stack:
        servers: list[ServerProcess] = []

        def make(
            *, start: bool = True, broker_url: str = "", **options: Any
        ) -> ServerProcess:
            data = folder / f"server{len(servers)}"
            backend = new_backend(mode, data, broker_url=broker_url)
            server = ServerProcess(stack.enter_context(backend), **options)
            stack.callback(server.close)
            servers.append(server)
            return server.start() if start else server

        yield make
        for server in servers:
            assert_sound(server)


def assert_sound(server: ServerProcess) -> None:
    assert_stored_jobs_valid(server)
    server.assert_clean_log()
