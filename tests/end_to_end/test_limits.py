"""What one user may ask for in a minute and at once, on every surface (A-08, A-11)."""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.end_to_end import graphs
from tests.end_to_end.client import Answer, ApiClient
from tests.end_to_end.conftest import TEST_NODES
from tests.end_to_end.graphs import edge, node, output
from tests.end_to_end.server import ServerProcess, new_backend

REQUESTS, RUNS, LIVE, SOCKETS, BURST = 300, 12, 3, 4, 200
NAMES = ("asker", "runner", "crowd", "talker", "other")
STATIC = "the-token-of-the-first-user"


@pytest.fixture(scope="module")
def _limited(mode, tmp_path_factory) -> Iterator[tuple[ServerProcess, dict[str, str]]]:
    folder = tmp_path_factory.mktemp(f"limited-{mode}") / "data"
    environment = {
        **TEST_NODES,
        "NODETOOL_SERVER_MODE": "private",
        "AUTH_PROVIDER": "multi_user",
        "SERVER_AUTH_TOKEN": STATIC,
        "RATE_LIMIT_PER_MINUTE": str(REQUESTS),
        "RUN_LIMIT_PER_MINUTE": str(RUNS),
        "MAX_RUNNING_JOBS_PER_USER": str(LIVE),
        "WS_MAX_CONNECTIONS_PER_USER": str(SOCKETS),
    }
    with new_backend(mode, folder) as backend:
        server = ServerProcess(backend, env=environment)
        try:
            server.start()
            added = [server.cli("users", "add", name, "--json") for name in NAMES]
            tokens = [json.loads(one.out)["token"] for one in added]
            yield server, dict(zip(NAMES, tokens, strict=True))
        finally:
            server.close()


@pytest.fixture
async def client(_limited):
    """Opens the client of a user, by name; ``token`` wins over it."""
    server, tokens = _limited
    server.mark_logs()
    async with AsyncExitStack() as stack:

        async def enter(name: str = "", *, token: str = "", **options) -> ApiClient:
            token = token or tokens.get(name, "")
            user = ApiClient(server.base_url, token=token, **options)
            return await stack.enter_async_context(user)

        yield enter
    server.assert_clean_log()


def gated(path: str) -> graphs.Graph:
    """A job that ends when there is a file."""
    return {
        "nodes": [node("gate", "tests.Gate", path=path), output()],
        "edges": [edge("gate", "out")],
    }


def assert_refused(answer: Answer, words: str) -> None:
    assert answer.status == 429, answer.content
    body = answer.json
    assert (body["code"], body["retryable"]) == ("RATE_LIMITED", True)
    assert words in body["detail"]
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


async def test_a11_1000_parallel_requests_pass_the_limit_of_a_user_by_0(client):
    asker, other = await client("asker"), await client("other")

    answers = await asyncio.gather(
        *(asker.get("/api/jobs/nobody") for _ in range(1000))
    )

    statuses = Counter(answer.status for answer in answers)
    assert statuses == {404: REQUESTS, 429: 1000 - REQUESTS}
    refused = next(answer for answer in answers if answer.status == 429)
    assert_refused(refused, f"at most {REQUESTS} a minute")
    assert (await other.get("/api/jobs/nobody")).status == 404
    assert (await asker.get("/health")).status == 200
    # Whoever has no credential is told that, however often.
    stranger = await client()
    assert (await stranger.get("/api/jobs/nobody")).status == 401


async def test_a11_runs_of_all_surfaces_count_together(client):
    runner = await client("runner")
    workflow = (await runner.create_workflow(graphs.hello()))["id"]
    async with runner.socket() as socket:
        for _ in range(RUNS // 3):
            assert (await runner.run(workflow)).status == 200
            await runner.run_stream(workflow)
            await socket.run(workflow_id=workflow)

        assert_refused(await runner.run(workflow), f"at most {RUNS} a minute")
        for path in ("api/workflows", "workflows"):
            url = f"/{path}/{workflow}/run/stream"
            refused = await runner.post(url, {"params": {}})
            assert_refused(refused, "Too many runs")
        job_id = uuid.uuid4().hex
        update = await refused_run(socket, workflow_id=workflow, job_id=job_id)
        assert "Too many runs" in update["error"]
        # Reading goes on, and nothing is left of the refused.
        assert (await socket.command("ping"))["type"] == "pong"
        status = await socket.command("get_status", job_id=job_id)
        assert status["status"] == "not_found"
    jobs = (await runner.get("/api/jobs/?limit=500")).json["jobs"]
    assert len(jobs) == RUNS


async def refused_run(socket, **data) -> dict:
    """The end of a run that the server refuses, told as that of a job."""
    reply = await socket.command("run_job", **data)
    assert reply["message"] == "Job started"
    update = await socket.receive()
    ids = {name: data[name] for name in ("job_id",)}
    assert update.items() >= {"type": "job_update", "status": "failed", **ids}.items()
    return update


async def test_a11_parallel_runs_pass_the_cap_of_live_jobs_by_0(client, tmp_path):
    crowd = await client("crowd")
    gate = tmp_path / "gate"
    workflow = (await crowd.create_workflow(gated(str(gate))))["id"]
    ids = [uuid.uuid4().hex for _ in range(RUNS - 3)]

    answers = await asyncio.gather(
        *(crowd.run(workflow, background=True, job_id=one) for one in ids)
    )

    statuses = Counter(answer.status for answer in answers)
    assert statuses == {202: LIVE, 429: len(ids) - LIVE}
    refused = next(answer for answer in answers if answer.status == 429)
    assert_refused(refused, "Too many running jobs")
    async with crowd.socket() as socket:
        fresh = uuid.uuid4().hex
        update = await refused_run(socket, workflow_id=workflow, job_id=fresh)
        assert update["error"] == "Too many running jobs"
        # The same request again is no new job.
        accepted = next(
            one for one, a in zip(ids, answers, strict=True) if a.status == 202
        )
        again = await crowd.run(workflow, background=True, job_id=accepted)
        assert again.status == 202
        status = await socket.command("get_status", job_id=fresh)
        assert status["status"] == "not_found"
        gate.touch()
        for one, answer in zip(ids, answers, strict=True):
            if answer.status == 202:
                await crowd.wait_for_job(one)
        # There is room again, also for the id that was refused.
        ended = await socket.run(workflow_id=workflow, job_id=fresh)
    assert ended[-1]["status"] == "completed"
    assert len((await crowd.get("/api/jobs/?limit=500")).json["jobs"]) == LIVE + 1


async def test_a11_a_user_has_so_many_sockets_and_no_more(client):
    talker, other = await client("talker"), await client("other")
    url = f"{talker.base_url}/ws"
    open_ones = [await talker.session.ws_connect(url) for _ in range(SOCKETS)]

    async with talker.session.ws_connect(url) as one_more:
        closed = await one_more.receive(timeout=30)
    assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1013)
    assert closed.extra == "Too many connections"
    async with other.socket() as socket:
        assert (await socket.command("ping"))["type"] == "pong"

    await open_ones.pop().close()
    async with asyncio.timeout(20):
        while not await opens(talker):  # noqa: ASYNC110 - the server hears of it soon
            await asyncio.sleep(0.02)
    for socket in open_ones:
        await socket.close()


async def opens(api: ApiClient) -> bool:
    async with api.session.ws_connect(f"{api.base_url}/ws") as socket:
        await socket.send_json({"command": "ping"})
        return (await socket.receive()).type == aiohttp.WSMsgType.TEXT


async def test_a11_a_socket_that_sends_too_fast_is_told_once_and_closed(client):
    talker = await client("talker")
    async with talker.session.ws_connect(f"{talker.base_url}/ws") as socket:
        for _ in range(BURST * 3):
            await socket.send_json({"command": "ping"})
        received = [message async for message in socket]

    frames = [message.json() for message in received]
    assert frames[-1] == {"error": "rate_limited"}
    pongs = [frame for frame in frames[:-1] if frame["type"] == "pong"]
    assert BURST <= len(pongs) == len(frames) - 1 < BURST * 2
    assert socket.close_code == 1008


async def test_a11_a_socket_that_keeps_to_its_rate_stays_open(client):
    talker = await client("talker")
    async with talker.socket() as socket:
        for _ in range(5):
            for _ in range(50):
                await socket.send({"command": "ping"})
            for _ in range(50):
                assert (await socket.reply())["type"] == "pong"
            await asyncio.sleep(0.6)


# ---

GUESSES, PASSWORDS = 20, 4
MISSED = (1008, "Invalid authentication")


async def socket_answer(api: ApiClient, token: str) -> object:
    """``pong`` from an open socket, or the code and reason of its close."""
    headers = {"Authorization": f"Bearer {token}"}
    async with api.session.ws_connect(f"{api.base_url}/ws", headers=headers) as socket:
        await socket.send_json({"command": "ping"})
        message = await socket.receive()
        if message.type == aiohttp.WSMsgType.TEXT:
            return message.json()["type"]
        return message.data, message.extra


async def try_password(api: ApiClient, password: str) -> Answer:
    """Sign in to the admin pages, with the form that was fetched before."""
    api.session.cookie_jar.clear()
    page = await api.get("/admin/login/")
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    mark = b'name="csrfmiddlewaretoken" value="'
    form = page.content.partition(mark)[2].partition(b'"')[0].decode()
    body = {"username": "1", "password": password, "csrfmiddlewaretoken": form}
    headers = {"Cookie": cookie, "Authorization": "", "Origin": api.base_url}
    return await api.request("POST", "/admin/login/", data=body, headers=headers)


@pytest.mark.parametrize("surface", ["rest", "socket", "mixed"])
async def test_a08_after_20_wrong_tokens_an_address_waits_and_no_other(client, surface):
    number = ["rest", "socket", "mixed"].index(surface)
    guesser = await client(address=f"127.0.0.{10 + number}")
    neighbour = await client(address=f"127.0.1.{10 + number}")
    right = {"Authorization": f"Bearer {STATIC}"}
    wrong = {"Authorization": "Bearer wrong"}
    for guess in range(GUESSES):
        if surface == "rest" or (surface == "mixed" and guess % 2):
            answer = await guesser.get("/api/jobs/nobody", headers=wrong)
            assert answer.status == 401, guess
        else:
            assert await socket_answer(guesser, f"wrong{guess}") == MISSED

    # Not even the right one, which would tell that it was guessed.
    for headers in (wrong, right):
        answer = await guesser.get("/api/jobs/nobody", headers=headers)
        assert_refused(answer, "Too many failed authentication attempts")
    assert await socket_answer(guesser, STATIC) == MISSED
    assert (await guesser.get("/health")).status == 200
    assert (await neighbour.get("/api/jobs/nobody", headers=right)).status == 404
    assert await socket_answer(neighbour, STATIC) == "pong"


@pytest.mark.scale_out
async def test_a08_guesses_at_several_web_processes_are_one_count(
    new_scale_out_server,
):
    environment = {"AUTH_PROVIDER": "static", "SERVER_AUTH_TOKEN": STATIC}
    first = new_scale_out_server(env=environment)
    first.token = STATIC
    second = ServerProcess(first.backend, env=environment, worker_count=0)
    address = "127.0.0.40"
    wrong = {"Authorization": "Bearer wrong"}
    try:
        second.start()
        async with (
            ApiClient(first.base_url, address=address) as one,
            ApiClient(second.base_url, address=address) as two,
        ):
            for _ in range(GUESSES - 1):
                assert (await one.get("/api/jobs/nobody", headers=wrong)).status == 401
            assert (await two.get("/api/jobs/nobody", headers=wrong)).status == 401

            # By that one the second process has learnt of the first one's.
            for _ in range(GUESSES - 2):
                refused = await two.get("/api/jobs/nobody", headers=wrong)
                if refused.status == 429:
                    break
                await asyncio.sleep(0.1)
        assert_refused(refused, "Too many failed authentication attempts")
    finally:
        second.close()


async def test_a08_guessed_passwords_of_the_admin_pages_count_too(client):
    guesser = await client(address="127.0.0.30")
    # Passwords are slow to check: tokens for most of them, or the minute is over.
    for guess in range(GUESSES - PASSWORDS):
        assert await socket_answer(guesser, f"wrong{guess}") == MISSED
    for _ in range(PASSWORDS):
        assert (await try_password(guesser, "wrong")).status == 200

    refused = await try_password(guesser, "wrong")

    assert refused.status == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert b"Too many failed attempts" in refused.content
    # One count for both: who guesses passwords guesses no tokens either.
    answer = await guesser.get(
        "/api/jobs/nobody", headers={"Authorization": f"Bearer {STATIC}"}
    )
    assert answer.status == 429
    neighbour = await client(address="127.0.1.30")
    assert (await try_password(neighbour, "wrong")).status == 200
