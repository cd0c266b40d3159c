"""The application under a server that tells it of no start (Daphne, runserver)."""

import logging

import pytest
from asgiref.testing import ApplicationCommunicator

from nodetool_site import asgi
from nodetool_site.database import PendingMigrations
from storage import start_up
from tests.nodetool_site.asgi_client import scope_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _unprepared(monkeypatch):
    monkeypatch.setattr(start_up, "_is_prepared", False)


@pytest.fixture
def behind(monkeypatch):
    def check() -> None:
        raise PendingMigrations

    with monkeypatch.context() as patch:
        patch.setattr(asgi, "check_migrated", check)
        yield patch


async def status_of(path: str) -> int:
    call = ApplicationCommunicator(asgi.application, scope_of("GET", path, {}))
    await call.send_input({"type": "http.request"})
    message = await call.receive_output(10)
    return int(message["status"])


async def test_s06_nobody_is_served_before_the_process_can_be_prepared(behind, caplog):
    with caplog.at_level(logging.ERROR):
        assert await status_of("/api/nodes/metadata") == 503

    assert "run `nodetool db migrate`" in caplog.text
    assert await status_of("/health") == 200
    behind.undo()
    assert await status_of("/api/nodes/metadata") == 200
    assert start_up.is_prepared()


@pytest.mark.usefixtures("behind")
async def test_s06_no_socket_is_opened_either():
    scope = {**scope_of("GET", "/ws", {}), "type": "websocket"}
    call = ApplicationCommunicator(asgi.application, scope)
    await call.send_input({"type": "websocket.connect"})

    assert await call.receive_output(10) == {"type": "websocket.close", "code": 1011}
