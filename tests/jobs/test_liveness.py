"""What becomes of a server whose engine's loop, or whose file store, is stuck."""

import threading

import msgspec
import pytest

from jobs import liveness, process, services, upkeep
from jobs.models import Job, Worker
from jobs.requests import JobRequest
from jobs.services import JobState
from tests.end_to_end import graphs
from tests.end_to_end.processes import wait_until
from workflows.engine.context import NodeContext
from workflows.engine.node import Node
from workflows.nodes import registry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def blocked(monkeypatch) -> threading.Event:
    """Register a node type that blocks the loop until the event is set."""
    go_on = threading.Event()

    class Blocks(Node):
        outputs = {"output": "any"}

        async def process(self, context: NodeContext) -> None:
            go_on.wait(30)

    known = dict(registry._classes)
    registry.register("tests.Blocks")(Blocks)
    yield go_on
    go_on.set()
    registry._classes.clear()
    registry._classes.update(known)
    registry._short.pop("tests.Blocks")


async def ended(owner_id: str, graph: graphs.Graph) -> Job:
    state: JobState = await services.create_job(
        owner_id, JobRequest(graph=graph, params={"prompt": "hello"})
    )
    assert await services.wait_for_end(owner_id, state, 20)
    return await Job.objects.aget(pk=state.job_id)


async def test_a_stuck_engine_is_left_behind_and_its_jobs_fail_with_the_nodes_name(
    engine, owner, blocked, monkeypatch
):
    monkeypatch.setattr(liveness, "SLOW_LOOP_S", 0.3)
    monkeypatch.setattr(liveness, "STUCK_LOOP_S", 1.0)
    monkeypatch.setattr(process._process, "stuck_engines", 0)

    stuck = await ended(
        owner.pk,
        {"nodes": [graphs.node("b", "tests.Blocks")], "edges": []},
    )
    healthy = await ended(owner.pk, graphs.hello())

    assert stuck.status == "failed"
    assert stuck.error == (
        "The engine did not answer for 30 s while running node 'Blocks'"
    )
    assert healthy.status == "completed"
    assert msgspec.json.decode(healthy.result)["text"] == "hello world"
    assert not await process.is_engine_well()


def test_j01_a_file_store_that_hangs_delays_no_heartbeat(db, monkeypatch):
    is_asked, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        is_asked.set()
        go_on.wait(30)

    monkeypatch.setattr("storage.upkeep.sweep", hang)
    monkeypatch.setattr(upkeep, "PERIOD_S", 0.01)
    monkeypatch.setattr(liveness, "TICK_S", 0.02)
    monkeypatch.setattr(liveness, "RENEW_S", 0.02)
    thread = liveness.Liveness("w", "web", None)
    thread.start()
    try:
        assert is_asked.wait(20)
        before = Worker.objects.get(pk="w").heartbeat_at

        wait_until(
            lambda: Worker.objects.get(pk="w").heartbeat_at > before,
            what="a heartbeat",
            timeout_s=10,
        )
    finally:
        go_on.set()
        thread.stop()
