"""What is killed in mid-run, and what is left of the runs afterwards, in both modes."""

import asyncio
import random
import uuid
from collections.abc import Collection

import aiohttp
import pytest

from tests.end_to_end import graphs
from tests.end_to_end.checker import TERMINAL, check_stream
from tests.end_to_end.client import ApiClient
from tests.end_to_end.graphs import edge, node, output
from tests.end_to_end.socket_client import SocketClosed

SETTLED_S = 15.0


def stream_for(seconds: float, name: str = "ticks") -> graphs.Graph:
    """A tick each 10 ms, for so long."""
    return {
        "nodes": [
            node(
                "ticks",
                "nodetool.triggers.IntervalTrigger",
                max_events=int(seconds * 100),
                interval_seconds=0.01,
            ),
            output(name),
        ],
        "edges": [edge("ticks", "out", output="tick")],
    }


def is_end(event: dict) -> bool:
    return event["type"] == "job_update" and event["status"] in TERMINAL


async def follow(
    client: ApiClient, job_id: str, graph: graphs.Graph, begun: set[str]
) -> list[dict]:
    """Start the job and keep what arrives until it ends or the server is gone."""
    seen: list[dict] = []
    try:
        async with client.socket() as socket:
            await socket.run_job(graph=graph, job_id=job_id)
            seen = socket.events[job_id]
            await socket.until(job_id, "output_update")
            begun.add(job_id)
            await socket.until_end(job_id)
    except (SocketClosed, aiohttp.ClientError, AssertionError):
        return seen
    return seen


async def settle(
    client: ApiClient, jobs: Collection[str], timeout_s: float
) -> list[dict]:
    """Every job once it has ended, or the list of those that have not."""
    return await asyncio.gather(
        *(client.wait_for_job(job_id, timeout_s=timeout_s) for job_id in jobs)
    )


async def test_j03_j04_kill9_at_random_moments_loses_no_event_and_no_job(new_server):
    """Five times kill -9 of everything, 20 jobs in flight, and a restart (J-01).

    What a client saw before the kill is the beginning of what is replayed after it;
    each job that had begun is settled with a reason within 15 s of the last restart
    (J-02); one that had not, runs again.
    """
    server = new_server()
    rng = random.Random(3)
    seen: dict[str, list[dict]] = {}

    for _ in range(5):
        jobs, begun = [uuid.uuid4().hex for _ in range(20)], set[str]()
        async with ApiClient(server.base_url) as client:
            following = [
                asyncio.create_task(follow(client, job_id, stream_for(8), begun))
                for job_id in jobs
            ]
            async with asyncio.timeout(30):
                while len(begun) < 12:  # noqa: ASYNC110 - of many tasks
                    await asyncio.sleep(0.02)
            await asyncio.sleep(rng.random())
            server.kill9()
            seen |= zip(jobs, await asyncio.gather(*following), strict=True)
        await asyncio.to_thread(server.start)

    cut_off = {job_id for job_id, events in seen.items() if is_cut_off(events)}
    assert len(cut_off) >= 50
    async with ApiClient(server.base_url) as client:
        for job in await settle(client, cut_off, SETTLED_S):
            assert job["status"] == "failed"
            assert job["error"].startswith("Worker lost while running node 'Interval")
            assert job["error"].endswith("(attempt 1 of 1)")
        await settle(client, seen.keys() - cut_off, 60)
        for job_id, before in seen.items():
            replay = await client.events(job_id)
            check_stream(replay)
            assert replay[: len(before)] == before


def is_cut_off(events: list[dict]) -> bool:
    """Whether a job had begun and not ended when its client lost sight of it."""
    begun = any(event["type"] == "output_update" for event in events)
    return begun and not is_end(events[-1])


async def test_a_job_that_nobody_had_begun_runs_after_a_kill(new_server):
    """Scheduled when the server died, for want of a place: it runs, once."""
    server = new_server(env={"WORKER_CONCURRENCY": "1"})
    waiting = uuid.uuid4().hex
    async with ApiClient(server.base_url) as client, client.socket() as socket:
        first = await socket.run_job(graph=stream_for(60))
        await socket.until(first, "output_update")
        await socket.run_job(graph=graphs.hello(), job_id=waiting)
        await client.wait_for_job(waiting, "scheduled")
    server.kill9()

    server.start()

    async with ApiClient(server.base_url) as client:
        job = await client.wait_for_job(waiting, timeout_s=60)
        events = await client.events(waiting)
    assert job["status"] == "completed"
    assert [e["status"] for e in events if e["type"] == "job_update"] == [
        "running",
        "completed",
    ]


async def test_e02_100_random_cuts_of_a_running_job_leave_no_gap(api):
    """Sockets that drop at a random event and rejoin by its number, again and again."""
    rng = random.Random(5)
    async with api.socket() as first:
        job_id = await first.run_job(graph=stream_for(6))
        cuts = 0
        seen: list[dict] = []
        while not (seen and is_end(seen[-1])):
            after = seen[-1]["job_seq"] if seen else 0
            async with api.socket() as socket:
                await socket.reconnect(job_id, last_seq=after)
                wanted = rng.randint(1, 12)
                checker = socket.checkers[job_id]
                while len(socket.events[job_id]) < wanted and not checker.is_over:
                    await socket.receive()
                seen += socket.events[job_id]
                socket.abort()
                cuts += 1

    assert cuts >= 100
    assert [event["job_seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen == await api.events(job_id)


async def test_e12_an_idle_socket_of_the_same_server_hears_nothing(api):
    async with api.socket() as idle, api.socket() as busy:
        await idle.command("ping")
        await busy.run(graph=graphs.sequence(100))
        with pytest.raises(TimeoutError):
            await idle.receive(0.5)


async def test_sigterm_ends_running_jobs_with_a_reason_and_exit_code_0(new_server):
    server = new_server(env={"WORKER_DRAIN_SECONDS": "1"})
    async with ApiClient(server.base_url) as client, client.socket() as socket:
        job_id = await socket.run_job(graph=stream_for(60))
        await socket.until(job_id, "output_update")
        code = await asyncio.to_thread(server.stop)

    await asyncio.to_thread(server.start)

    async with ApiClient(server.base_url) as client:
        job = await client.wait_for_job(job_id, timeout_s=SETTLED_S)
        check_stream(await client.events(job_id), status="failed")
    assert code == 0
    assert "shut down while running node" in job["error"]
