"""Code that blocks, in processes: R2, R38 and S-08."""

import asyncio
import os
import signal
import time

import pytest

from nodetool_site.lib import process_calls, process_pool
from nodetool_site.lib.process_pool import BlockingPool
from tests.engine import blocking_functions as functions
from tests.engine.running import Recording, graph, settle
from workflows.engine.events import NodeUpdate


@pytest.fixture
async def pool():
    pool = BlockingPool(2)
    yield pool
    await asyncio.to_thread(pool.close)


async def test_r02_blocking_calls_overlap_and_leave_the_loop_free(pool, tmp_path):
    """Both block until this loop, which sees both, lets them go."""
    go, places = tmp_path / "go", [tmp_path / "a", tmp_path / "b"]
    nodes = {p.name: ("Held", {"here": str(p), "go": str(go)}) for p in places}
    recording = Recording(graph(nodes), blocking=pool)

    execution = asyncio.create_task(recording.execute())
    async with asyncio.timeout(20):
        while not all(place.exists() for place in places):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    go.touch()
    await execution

    assert recording.error is None


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
    with pytest.raises(LookupError, match="no such thing") as raised:
        await pool.run(functions.fail, "no such thing")

    assert "blocking_functions.py" in raised.value.__notes__[0]


async def test_a_process_that_dies_fails_its_call_alone(pool):
    with pytest.raises(ChildProcessError, match=r"died \(exit code 9\)"):
        await pool.run(functions.die)
    with pytest.raises(ChildProcessError, match=r"died \(SIGKILL\)"):
        await pool.run(functions.be_killed)

    assert await pool.run(functions.busy, 0.0) == 0.0


async def test_the_death_of_an_idle_process_ends_no_later_call():
    pool = BlockingPool(1)
    os.kill(await pool.run(functions.pid), signal.SIGKILL)
    await asyncio.sleep(0.5)

    for _ in range(3):
        assert await pool.run(functions.busy, 0.0) == 0.0
    await asyncio.to_thread(pool.close)


@pytest.mark.parametrize("kind", functions.UNSENDABLE)
async def test_what_cannot_leave_its_process_fails_its_call_alone(pool, kind, capfd):
    with pytest.raises(TypeError, match="What unsendable has returned cannot leave"):
        await pool.run(functions.unsendable, kind)

    assert await pool.run(functions.busy, 0.0) == 0.0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", functions.ODD_ERRORS)
async def test_an_error_that_cannot_leave_its_process_is_told_in_words(
    pool, kind, capfd
):
    with pytest.raises(RuntimeError, match=kind):
        await pool.run(functions.fail_oddly, kind)

    assert await pool.run(functions.busy, 0.0) == 0.0
    assert capfd.readouterr() == ("", "")


async def test_what_cannot_go_to_a_process_is_an_error_of_the_caller(pool):
    with pytest.raises(TypeError, match="cannot be called elsewhere"):
        await pool.run(lambda: 1)
    with pytest.raises(TypeError, match="busy cannot be called elsewhere"):
        await pool.run(functions.busy, lambda: 1)


@pytest.mark.parametrize("fn", [functions.exit_politely, functions.interrupt])
async def test_what_would_end_a_program_is_an_error_of_the_call(pool, fn):
    with pytest.raises((SystemExit, KeyboardInterrupt)):
        await pool.run(fn)

    assert await pool.run(functions.busy, 0.0) == 0.0


async def test_a_call_that_computes_too_long_is_ended(pool):
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"longer than 0\.2 s"):
        await pool.run(functions.busy, 60, time_limit_s=0.2)

    assert time.monotonic() - started < 10
    assert await pool.run(functions.busy, 0.1, time_limit_s=5) == 0.1


async def test_a_limited_call_that_only_waits_is_ended_too(pool, monkeypatch):
    monkeypatch.setattr(process_pool, "WALL_LIMIT_S", 0.3)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        await pool.run(time.sleep, 60, time_limit_s=5)

    assert time.monotonic() - started < 10
    assert await pool.run(functions.busy, 0.0) == 0.0


async def test_a_call_gets_no_more_memory_than_it_may(pool):
    with pytest.raises(MemoryError):
        await pool.run(functions.allocate, 64 << 20, memory_limit_bytes=32 << 20)

    assert await pool.run(functions.allocate, 64 << 20) == 64 << 20
    limited = pool.run(functions.allocate, 64 << 20, memory_limit_bytes=256 << 20)
    assert await limited == 64 << 20


async def test_s08_a_child_sees_no_variables_it_does_not_need(monkeypatch):
    for name in ("OPENAI_API_KEY", "DATABASE_URL", "SECRETS_MASTER_KEY"):
        monkeypatch.setenv(name, "canary-5f1e")
    pool = BlockingPool(1)

    names = await pool.run(functions.variables)
    printed = await pool.run(functions.printed_environment)
    await asyncio.to_thread(pool.close)

    assert "PATH" in names
    assert set(names) <= process_calls.KEPT_VARIABLES
    assert "PATH=" in printed
    assert "canary" not in printed


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

    assert time.monotonic() - started < 20
    assert [u.error for u in recording.of(NodeUpdate, status="error")] == ["Cancelled"]


def test_a_pool_that_was_never_used_closes():
    BlockingPool().close()
