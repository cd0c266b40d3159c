"""Code that blocks, in processes: R2 and R38."""

import asyncio
import time

import pytest

from tests.engine import blocking_functions as functions
from tests.engine.running import Recording, graph, settle
from workflows.engine.blocking import BlockingPool
from workflows.engine.events import NodeUpdate


@pytest.fixture
async def pool():
    pool = BlockingPool(2)
    yield pool
    await asyncio.to_thread(pool.close)


async def test_r02_blocking_calls_overlap_and_leave_the_loop_free(pool):
    await asyncio.gather(pool.run(functions.pid), pool.run(functions.pid))
    recording = Recording(
        graph(
            {"a": ("Blocking", {"seconds": 0.4}), "b": ("Blocking", {"seconds": 0.4})}
        ),
        blocking=pool,
    )
    started = time.monotonic()
    late = 0.0

    async def beat() -> None:
        nonlocal late
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            late = max(late, time.monotonic() - before - 0.01)

    heart = asyncio.create_task(beat())
    await recording.execute()
    heart.cancel()

    assert recording.error is None
    assert time.monotonic() - started < 0.75
    assert late < 0.2


async def test_r38_cancelling_a_node_kills_its_process_alone(pool, tmp_path):
    file = tmp_path / "beats"
    call = asyncio.create_task(pool.run(functions.beat, str(file)))
    other = asyncio.create_task(pool.run(functions.busy, 0.3))
    while not file.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    size = -1
    while size != (size := file.stat().st_size):  # noqa: ASYNC110 - until it stops
        await asyncio.sleep(0.05)
    assert await other == 0.3
    assert await pool.run(functions.pid) > 0


async def test_errors_of_a_blocking_call_reach_the_caller(pool):
    with pytest.raises(LookupError, match="no such thing"):
        await pool.run(functions.fail, "no such thing")


async def test_a_process_that_dies_fails_its_call_alone(pool):
    with pytest.raises(Exception, match=r"[Ee]xit|died|expired|Abnormal"):
        await pool.run(functions.die)

    assert await pool.run(functions.busy, 0.0) == 0.0


async def test_a_process_sees_no_variables_it_does_not_need(pool, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    fresh = BlockingPool(1)

    names = await fresh.run(functions.variables)
    await asyncio.to_thread(fresh.close)

    assert "PATH" in names
    assert "OPENAI_API_KEY" not in names


async def test_more_calls_than_processes_wait_their_turn(pool):
    pids = await asyncio.gather(*(pool.run(functions.pid) for _ in range(10)))

    assert len(set(pids)) <= 2


async def test_a_cancelled_run_reports_the_node_that_was_blocking(pool):
    recording = Recording(graph({"b": ("Blocking", {"seconds": 60})}), blocking=pool)
    execution = asyncio.create_task(recording.run.execute())
    await settle()
    assert recording.run.has_started
    execution.cancel()
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await execution

    assert time.monotonic() - started < 2
    assert [u.error for u in recording.of(NodeUpdate, status="error")] == ["Cancelled"]


def test_a_pool_that_was_never_used_closes():
    BlockingPool().close()
