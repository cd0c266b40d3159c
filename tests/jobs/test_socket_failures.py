"""What becomes of a socket when something behind it fails."""

import asyncio
import json

import pytest
from django.db import OperationalError

from jobs import sessions
from jobs.consumers import CommandConsumer
from jobs.sessions import Session
from storage.identity import Identity
from tests.jobs.conftest import hold
from workflows.engine.events import JobUpdate, LogUpdate

pytestmark = pytest.mark.django_db(transaction=True)

SCOPE = {
    "identity": Identity("owner"),
    "query_string": b"",
    "headers": [(b"host", b"here:7777")],
    "scheme": "ws",
}


class Client:
    """Says ``frames`` and then nothing. ``error``: what sending to it raises."""

    def __init__(self, *frames, error=None):
        self.error = error
        self.messages = asyncio.Queue()
        self.messages.put_nowait({"type": "websocket.connect"})
        for frame in frames:
            self.messages.put_nowait(
                {"type": "websocket.receive", "text": json.dumps(frame)}
            )

    async def send(self, message):
        if self.error is not None and message["type"] == "websocket.send":
            raise self.error


@pytest.mark.parametrize("frames", [1, 300])
async def test_a_socket_that_cannot_be_written_ends_at_once(frames):
    error = RuntimeError("it broke")
    client = Client(*[{"type": "ping"}] * frames, error=error)

    async with asyncio.timeout(10) as limit:
        with pytest.raises(RuntimeError) as raised:
            await CommandConsumer()(SCOPE, client.messages.get, client.send)

    assert not limit.expired()
    assert raised.value is error
    assert not asyncio.current_task().cancelling()


async def test_a_socket_that_is_cancelled_is_cancelled():
    client = Client({"type": "ping"})
    serving = asyncio.create_task(
        CommandConsumer()(SCOPE, client.messages.get, client.send)
    )
    await asyncio.sleep(0)

    serving.cancel()

    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_f02_events_that_the_database_cannot_complete_come_later(
    new_job, monkeypatch
):
    monkeypatch.setattr(sessions, "OUTAGE_S", 0.01)
    rendered = []

    async def encode_page(page, **options):
        rendered.append(page)
        if len(rendered) == 1:
            raise OperationalError("the database is away")
        return await real(page, **options)

    real = sessions.encode_page
    monkeypatch.setattr(sessions, "encode_page", encode_page)
    log = await hold(new_job)
    log.emit(LogUpdate(content="hello", severity="info"))
    log.change_status("completed", JobUpdate(status="completed"))
    sent = asyncio.Queue()
    session = Session(SCOPE, sent.put, {})
    session.follow(new_job.id)
    session._subscriptions[new_job.id].is_held = False
    writing = asyncio.create_task(session.write())

    events = []
    async with asyncio.timeout(10):
        while not events or events[-1].get("status") != "completed":
            events.append(json.loads((await sent.get())["text"]))
    session.close()
    writing.cancel()

    assert [event["job_seq"] for event in events] == [1, 2, 3]
    assert len(rendered) > 1
