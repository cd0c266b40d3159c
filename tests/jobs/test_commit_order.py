"""Nobody is told what a crash could still take back (E-04)."""

import asyncio
import json
import threading

import pytest

from jobs import feed
from jobs.log_writer import writer
from jobs.models import EventBatch
from tests.jobs.conftest import hold
from workflows.engine.events import LogUpdate

pytestmark = pytest.mark.django_db(transaction=True)


class SlowCommit:
    """Holds the writer at the door of its next commit, everything else done."""

    def __init__(self) -> None:
        self.is_reached, self.may_go_on = threading.Event(), threading.Event()

    async def install(self, monkeypatch) -> None:
        def patch(cursor) -> None:
            commit = cursor.db._commit

            def wait_and_commit() -> None:
                if EventBatch.objects.filter(last_seq__gte=2).exists():
                    self.is_reached.set()
                    self.may_go_on.wait(20)
                commit()

            monkeypatch.setattr(cursor.db, "_commit", wait_and_commit)

        await writer.request(patch)


async def test_e04_an_event_is_announced_after_its_commit(new_job, monkeypatch):
    log = await hold(new_job)
    reader = feed.open_reader(new_job.id, owner_id="owner", after=1)
    while await reader.page() is not None or await reader.wait(0):
        pass
    gate = SlowCommit()
    await gate.install(monkeypatch)

    log.emit(LogUpdate(content="stored first"))
    await asyncio.to_thread(gate.is_reached.wait, 20)
    before = await reader.wait(0.2)
    gate.may_go_on.set()
    async with asyncio.timeout(20):
        page = await anext(reader.pages())

    assert gate.is_reached.is_set()
    assert not before
    assert json.loads(page.lines[-1])["content"] == "stored first"
