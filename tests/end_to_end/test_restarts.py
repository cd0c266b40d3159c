"""Parts of a scale-out installation that go away and come back (E-04, E-05).

A broker that is down, workers and web processes that are killed each by itself. What
runs elsewhere goes on; what a client has seen is what is stored.
"""

import asyncio
import random
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.end_to_end import graphs
from tests.end_to_end.checker import TERMINAL, check_stream
from tests.end_to_end.client import ApiClient
from tests.end_to_end.conftest import TEST_NODES
from tests.end_to_end.graphs import edge, node, output
from tests.end_to_end.processes import ProductProcess, wait_until
from tests.end_to_end.server import Backend, ServerProcess
from tests.end_to_end.socket_client import SocketClosed
from tests.services import probes
from tests.services.ports import free_port
from tests.stalls import Stalls

pytestmark = pytest.mark.scale_out

SETTLED_S = 15.0
BACK_S = 30.0


def ticking(count: int, seconds: float = 0.01) -> graphs.Graph:
    return {
        "nodes": [
            node(
                "ticks",
                "nodetool.triggers.IntervalTrigger",
                max_events=count,
                interval_seconds=seconds,
            ),
            output("ticks"),
        ],
        "edges": [edge("ticks", "out", output="tick")],
    }


# --- the broker


class RedisServer:
    """A Redis of this test's own, that can be killed and comes back empty."""

    def __init__(self, folder: Path, program: str) -> None:
        self.port = free_port()
        argv = [program, "--bind", "127.0.0.1", "--port", str(self.port)]
        argv += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        self.process = ProductProcess(
            "redis", argv, env={}, cwd=folder, log_path=folder / "redis.log"
        )

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.process.spawn()
        wait_until(lambda: probes.redis_answers(self.url), what=self.url)


@pytest.fixture
def own_redis(tmp_path) -> Iterator[RedisServer]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server to kill: only one at a URL")
    redis = RedisServer(tmp_path, program)
    redis.start()
    yield redis
    redis.process.kill9()


@pytest.fixture
def server(own_redis, tmp_path, postgres_database) -> Iterator[ServerProcess]:
    """A server whose Redis is ``own_redis``."""
    folder = tmp_path / "server"
    (folder / "home").mkdir(parents=True)
    backend = Backend(
        "scale_out", folder, database_url=postgres_database, redis_url=own_redis.url
    )
    server = ServerProcess(backend, env=TEST_NODES)
    # What the libraries write of a Redis that is away.
    server.allow_faults = [r"channels_redis|redis\.exceptions|ConnectionRefusedError"]
    try:
        yield server.start()
        server.assert_clean_log()
    finally:
        server.close()


@pytest.fixture
async def api(server) -> AsyncIterator[ApiClient]:
    async with ApiClient(server.base_url) as client:
        yield client


async def timed(call) -> tuple:
    """The answer, and how long it took on a machine that did not stand still."""
    started = asyncio.get_running_loop().time()
    with Stalls() as stalls:
        answer = await call
    return answer, asyncio.get_running_loop().time() - started - stalls.seconds


async def test_a_broker_that_is_down_refuses_who_waits_and_keeps_the_rest(
    api, own_redis, server, tmp_path
):
    """Blocking and SSE: 503 within 2 s, the row cancelled. Others start later.

    A job that runs meanwhile does not notice (F-01).
    """
    workflow = await api.create_workflow(graphs.hello())
    gate = tmp_path / "gate"
    gated = {
        "nodes": [node("gate", "tests.Gate", path=str(gate)), output("opened")],
        "edges": [edge("gate", "out")],
    }
    run = f"/api/workflows/{workflow['id']}/run"
    waited, streamed = uuid.uuid4().hex, uuid.uuid4().hex
    kept, over_ws = uuid.uuid4().hex, uuid.uuid4().hex
    async with api.socket() as socket:
        running = await socket.run_job(graph=gated)
        await socket.until(running, "node_update", status="running")
        own_redis.process.kill9()

        refusals = {
            waited: await timed(api.post(run, {"params": {}, "job_id": waited})),
            streamed: await timed(
                api.post(f"{run}/stream", {"params": {}, "job_id": streamed})
            ),
        }
        background = {"params": {}, "background": True, "job_id": kept}
        accepted = await api.post(run, background)
        await socket.run_job(graph=graphs.hello(), job_id=over_ws)

        for job_id, (answer, took) in refusals.items():
            assert answer.status == 503
            assert took < 2.0
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.json["code"] == "SERVICE_UNAVAILABLE"
            assert answer.json["retryable"] is True
            assert (await api.job(job_id))["status"] == "cancelled"
            check_stream(await api.events(job_id), status="cancelled")
        assert (accepted.status, accepted.json["job_id"]) == (202, kept)
        for job_id in (kept, over_ws):
            assert (await api.job(job_id))["status"] == "scheduled"
        assert (await api.get("/health")).status == 200
        ready = await api.get("/ready")
        assert (ready.status, ready.json["checks"]["broker"]) == (503, False)
        assert (await socket.command("ping"))["type"] == "pong"
        gate.touch()
        # Announcements are lost with Redis: silence makes the reader look.
        check_stream(await socket.until_end(running), status="completed")

        own_redis.start()

        for job_id in (kept, over_ws):
            job = await api.wait_for_job(job_id, timeout_s=BACK_S)
            assert job["status"] == "completed"
        check_stream(await socket.until_end(over_ws), status="completed")
        answer = await run_until_served(api, run)
    assert answer.json["outputs"] == {"text": " world"}
    assert (await api.job(waited))["status"] == "cancelled"
    assert (await api.get("/ready")).status == 200


async def run_until_served(api: ApiClient, path: str):
    """Clients come back after a 503, as they were told."""
    async with asyncio.timeout(BACK_S):
        while (answer := await api.post(path, {})).status == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return answer


# --- workers and web processes, each by itself


async def follow(
    api: ApiClient, job_id: str, graph: dict, begun: asyncio.Event
) -> list[dict]:
    """Start a job and keep all that arrives, to its end or that of the connection."""
    seen: list[dict] = []
    try:
        async with api.socket() as socket:
            await socket.run_job(graph=graph, job_id=job_id)
            seen = socket.events[job_id]
            await socket.until(job_id, "output_update")
            begun.set()
            await socket.until_end(job_id)
    except (SocketClosed, aiohttp.ClientError):
        pass
    return seen


async def start_following(api: ApiClient, count: int, graph: dict) -> dict:
    """Jobs under way, each with the task that reads it."""
    following, begun = {}, []
    for _ in range(count):
        job_id = uuid.uuid4().hex
        begun.append(asyncio.Event())
        task = asyncio.create_task(follow(api, job_id, graph, begun[-1]))
        following[job_id] = task
    async with asyncio.timeout(30):
        await asyncio.gather(*(event.wait() for event in begun))
    return following


async def test_e04_j03_a_killed_worker_loses_no_event_and_no_job(new_scale_out_server):
    """Five kills at random moments, 8 jobs in flight each; clients stay connected.

    Each job fails within 15 s, naming its node; its client sees the very events that
    are stored.
    """
    server = new_scale_out_server(env=TEST_NODES)
    rng = random.Random(4)
    loop = asyncio.get_running_loop()
    async with ApiClient(server.base_url) as api:
        jobs: dict[str, asyncio.Task] = {}
        for _ in range(5):
            jobs |= await start_following(api, 8, ticking(3000))
            await asyncio.sleep(rng.random() * 0.3)
            server.workers[0].kill9()
            killed = loop.time()
            await asyncio.to_thread(server.start_workers)

        seen = dict(zip(jobs, await asyncio.gather(*jobs.values()), strict=True))
        assert loop.time() - killed < SETTLED_S
        for job_id, events in seen.items():
            check_stream(events, status="failed")
            error = events[-1]["error"]
            assert error.startswith("Worker lost while running node 'Interval")
            assert error.endswith("(attempt 1 of 1)")
            assert await api.events(job_id) == events
        # The workers that came after the killed ones take jobs.
        workflow = await api.create_workflow(graphs.hello())
        assert (await api.run(workflow["id"])).status == 200


async def test_e04_e05_a_killed_web_process_is_not_noticed_by_jobs(
    new_scale_out_server,
):
    """Five kills of the web process; clients rejoin by number; the jobs complete.

    What a client had seen before a kill is the beginning of what is stored.
    """
    server = new_scale_out_server(env=TEST_NODES)
    rng = random.Random(5)
    count = 450
    async with ApiClient(server.base_url) as api:
        following = await start_following(api, 8, ticking(count, 0.02))
        await asyncio.sleep(rng.random() * 0.3)
        server.web.kill9()
        seen = dict(
            zip(following, await asyncio.gather(*following.values()), strict=True)
        )
    for round_number in range(5):
        server.web.spawn()
        await asyncio.to_thread(server.wait_for, "/health")
        async with ApiClient(server.base_url) as api:
            rejoining = [rejoin(api, job_id, seen[job_id]) for job_id in seen]
            tasks = [asyncio.create_task(each) for each in rejoining]
            if round_number < 4:
                await asyncio.sleep(0.3 + rng.random() * 0.5)
                server.web.kill9()
            async with asyncio.timeout(30):
                await asyncio.gather(*tasks)

    async with ApiClient(server.base_url) as api:
        for job_id, events in seen.items():
            checker = check_stream(events, status="completed")
            assert checker.nodes["ticks"].runs == 1
            assert events[-1]["result"]["outputs"]["ticks"] == list(range(1, count + 1))
            assert await api.events(job_id) == events


async def rejoin(api: ApiClient, job_id: str, seen: list[dict]) -> None:
    """Add to ``seen`` what comes behind it, as long as the server is there."""
    if seen[-1]["type"] == "job_update" and seen[-1]["status"] in TERMINAL:
        return
    try:
        async with api.socket() as socket:
            await socket.reconnect(job_id, last_seq=seen[-1]["job_seq"])
            more = socket.events[job_id]
            try:
                await socket.until_end(job_id)
            finally:
                seen.extend(more)
    except (SocketClosed, aiohttp.ClientError):
        pass


async def test_a_stopped_server_says_so_to_sockets_and_streams(new_scale_out_server):
    """Sockets close with 1012, streams end with a comment; the job goes on."""
    server = new_scale_out_server(env=TEST_NODES)
    async with ApiClient(server.base_url) as api, api.socket() as idle:
        workflow = await api.create_workflow(ticking(100))
        await idle.command("ping")
        path = f"/workflows/{workflow['id']}/run/stream"
        async with api.stream(path, {"params": {}}) as stream:
            job_id = stream.headers["X-Job-Id"]
            stopping = asyncio.create_task(asyncio.to_thread(server.web.terminate))
            events = await stream.all()
        with pytest.raises(SocketClosed) as closed:
            await idle.receive(10)
        code = await stopping

    server.web.spawn()
    await asyncio.to_thread(server.wait_for, "/health")
    async with ApiClient(server.base_url) as api:
        job = await api.wait_for_job(job_id)
        stored = await api.events(job_id)
    assert (code, closed.value.code) == (0, 1012)
    assert "shutdown" in stream.comments
    assert stored[: len(events)] == events
    assert job["status"] == "completed"
