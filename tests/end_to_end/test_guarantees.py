"""What holds for every job: reasons, idempotence, cancels (J-02, J-10, J-12)."""

import asyncio
import json
import random
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end import graphs
from tests.end_to_end.checker import check_stream
from tests.end_to_end.client import ApiClient
from tests.end_to_end.conftest import TEST_NODES
from tests.end_to_end.graphs import edge, node, output, text_input
from tests.nodes_for_tests.faults import FAULTS, IN_PROCESS

EXCEPTION_NAME = re.compile(
    r"[\w.]*(Error|Exception|Exit|Interrupt|Iteration|Mute|Harsh)\W*"
)


# --- J-02: a clear reason


def failing() -> Iterator[tuple[str, dict]]:
    """Each way to fail, by a node of a name that its reason must have."""
    for kind in FAULTS:
        for waits in (False, True):
            data = {"kind": kind, "waits": waits}
            yield f"{kind}, waits: {waits}", {"type": "tests.Raise", "data": data}
        data = {"kind": kind}
        yield f"{kind} in a stream", {"type": "tests.RaiseInStream", "data": data}
    for kind in IN_PROCESS:
        data = {"kind": kind}
        yield f"{kind} in a process", {"type": "tests.RaiseInProcess", "data": data}
    yield "undeclared output", {"type": "tests.UndeclaredOutput", "data": {}}


def reason_problem(text: str | None, *names: str) -> str | None:
    if not text or not text.strip():
        return "empty"
    if EXCEPTION_NAME.fullmatch(text):
        return "a bare exception name"
    if "Traceback" in text or 'File "' in text:
        return "a stack trace"
    missing = [name for name in names if name not in text]
    return f"does not name {missing}" if missing else None


def j02_problems(events: list[dict]) -> list[str]:
    """What is wrong with the end of a job whose node ``bad`` fails, others do not."""
    texts = [e["error"] for e in events if e["type"] == "node_update" and e["error"]]
    name = next(e["node_name"] for e in events if e.get("node_id") == "bad")
    end = events[-1]
    checks = {
        f"ended {end['status']}": end["status"] == "failed",
        f"{len(texts)} nodes failed": len(texts) == 1,
        "the other branch did not end": any(e.get("value") == "sound" for e in events),
    }
    reasons = [reason_problem(end["error"], name), *map(reason_problem, texts)]
    problems = [text for text, is_right in checks.items() if not is_right]
    return [*problems, *(f"{r}: {end['error']!r} {texts}" for r in reasons if r)]


async def test_j02_every_failure_has_a_reason_that_names_its_node(api):
    found: dict[str, list[str]] = {}
    async with api.socket() as socket:
        for case, bad in failing():
            graph = {
                "nodes": [
                    {"id": "bad", **bad},
                    output("never"),
                    node("good", "nodetool.constant.String", value="sound"),
                    output("sound", "sound"),
                ],
                "edges": [edge("bad", "out"), edge("good", "sound")],
            }
            job_id = await socket.run_job(graph=graph)
            try:
                async with asyncio.timeout(10):
                    events = await socket.until_end(job_id)
            except TimeoutError:
                found[case] = ["never ended"]
                continue
            problems = j02_problems(events)
            if (stored := (await api.job(job_id))["error"]) != events[-1]["error"]:
                problems.append(f"stored as {stored!r}")
            if problems:
                found[case] = problems

    assert not found, json.dumps(found, indent=2)


@pytest.mark.parametrize(
    "graph",
    [
        {"nodes": [node("a", "no.such.Type")], "edges": []},
        {
            "nodes": [
                node("p", "nodetool.text.Concat"),
                node("q", "nodetool.text.Concat"),
            ],
            "edges": [edge("p", "q", "a"), edge("q", "p", "a")],
        },
        {"nodes": [output("x", "twice"), output("y", "twice")], "edges": []},
    ],
    ids=["unknown type", "cycle", "one id twice"],
)
async def test_j02_a_graph_that_cannot_run_says_why_on_every_surface(api, graph):
    workflow = await api.create_workflow(graph)

    blocking = await api.run(workflow["id"])
    streamed = await api.run_stream(workflow["id"])
    async with api.socket() as socket:
        events = await socket.run(workflow_id=workflow["id"])

    reason = blocking.json["error"]
    assert blocking.status == 500
    assert reason_problem(reason) is None
    assert {streamed[-1]["error"], events[-1]["error"]} == {reason}


# --- J-10: the same request runs once


def marking(path: Path) -> graphs.Graph:
    """Leaves a line in a file for each time it runs, then streams for a moment."""
    return {
        "nodes": [
            text_input(),
            node("mark", "tests.Mark", path=str(path)),
            node("gate", "tests.Gate", path=str(path.with_suffix(".gate"))),
            output("text"),
        ],
        "edges": [edge("in", "mark"), edge("mark", "gate"), edge("gate", "out")],
    }


async def until_known(api: ApiClient, job_id: str) -> None:
    """Wait until the job's node is at the gate."""
    async with asyncio.timeout(20):
        while (await api.get(f"/api/jobs/{job_id}")).status == 404:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    async with api.socket() as socket:
        await socket.reconnect(job_id)
        await socket.until(job_id, "node_update", node_id="gate")


def times_run(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


async def test_j10_100_equal_requests_over_rest_and_sse_run_once(api, tmp_path):
    """50 wait for the result, 50 stream: all are told the same, whenever they come."""
    path = tmp_path / "marks"
    workflow = await api.create_workflow(marking(path))
    path_of_run = f"/api/workflows/{workflow['id']}/run"
    body = {"params": {"prompt": "once"}, "job_id": uuid.uuid4().hex}

    async def stream() -> list[dict]:
        async with api.stream(f"{path_of_run}/stream", body) as events:
            assert events.status == 200
            return await events.all()

    waiting = [asyncio.create_task(api.post(path_of_run, body)) for _ in range(50)]
    streaming = [asyncio.create_task(stream()) for _ in range(50)]
    await until_known(api, body["job_id"])
    path.with_suffix(".gate").touch()
    answers = await asyncio.gather(*waiting)
    streams = await asyncio.gather(*streaming)
    late = await api.post(path_of_run, body)
    other = await api.post(path_of_run, {**body, "params": {"prompt": "twice"}})
    other_stream = await api.post(f"{path_of_run}/stream", {**body, "params": {"x": 1}})

    assert times_run(path) == 1
    assert {answer.status for answer in answers} == {200}
    assert all(answer.json == late.json for answer in answers)
    assert late.json["outputs"] == {"text": "once"}
    assert all(events == streams[0] for events in streams)
    check_stream(streams[0], status="completed")
    assert {other.status, other_stream.status} == {409}
    assert other.json == other_stream.json
    assert other.json["code"] == "CONFLICT"
    assert await api.events(body["job_id"]) == streams[0]


async def test_j10_a_request_for_a_running_job_attaches_to_it(api, tmp_path):
    path = tmp_path / "marks"
    graph = marking(path)
    job_id = uuid.uuid4().hex
    async with api.socket() as first, api.socket(encoding="binary") as second:
        await first.run_job(graph=graph, job_id=job_id)
        await first.until(job_id, "node_update", node_id="gate")
        await second.run_job(graph=graph, job_id=job_id)
        await second.until(job_id, "node_update", node_id="gate")
        path.with_suffix(".gate").touch()

        assert await first.until_end(job_id) == await second.until_end(job_id)

    assert times_run(path) == 1


# --- J-12: cancel


def long_job(path: Path) -> graphs.Graph:
    graph = marking(path)
    graph["nodes"][0]["data"]["value"] = "long"
    return graph


async def test_j12_cancel_in_the_same_moment_as_run_over_ws(api, tmp_path):
    """60 rounds on two sockets at once, in either order."""
    rng, took, loop = random.Random(12), [], asyncio.get_running_loop()
    async with api.socket() as runner, api.socket() as canceller:
        for _ in range(60):
            job_id = uuid.uuid4().hex
            data = {"job_id": job_id, "graph": long_job(tmp_path / job_id)}

            sending = [
                runner.send({"command": "run_job", "data": data}),
                canceller.send({"command": "cancel_job", "data": {"job_id": job_id}}),
            ]
            rng.shuffle(sending)
            await asyncio.gather(*sending)
            assert (await runner.reply())["message"] == "Job started"
            first = await canceller.reply()
            if "error" in first:
                assert first["error"] == "Job not found or already completed"
                again = await canceller.command("cancel_job", job_id=job_id)
                assert again["message"] == "Job cancellation requested"
            asked = loop.time()
            async with asyncio.timeout(5):
                events = await runner.until_end(job_id)
            took.append(loop.time() - asked)
            check_stream(events, status="cancelled")
            assert (await api.job(job_id))["status"] == "cancelled"

    assert sorted(took)[int(len(took) * 0.95)] < 1.0


async def test_j12_cancel_in_the_same_moment_as_run_over_rest(api, tmp_path):
    """60 rounds: a run in the background and its cancel, as two requests at once."""
    workflow = await api.create_workflow(long_job(tmp_path / "marks"))
    path = f"/api/workflows/{workflow['id']}/run"
    for _ in range(60):
        job_id = uuid.uuid4().hex
        body = {"background": True, "job_id": job_id}
        started, cancelled = await asyncio.gather(
            api.post(path, body), api.post(f"/api/jobs/{job_id}/cancel")
        )
        assert started.status == 202
        if cancelled.status == 404:
            cancelled = await api.post(f"/api/jobs/{job_id}/cancel")

        assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
        job = await api.wait_for_job(job_id, timeout_s=5)
        assert job["status"] == "cancelled"
        check_stream(await api.events(job_id), status="cancelled")


async def test_j12_a_blocking_run_that_is_cancelled_answers_409(api, tmp_path):
    workflow = await api.create_workflow(long_job(tmp_path / "marks"))
    job_id = uuid.uuid4().hex
    waiting = asyncio.create_task(api.run(workflow["id"], job_id=job_id))
    await until_known(api, job_id)

    await api.post(f"/api/jobs/{job_id}/cancel")

    answer = await waiting
    assert (answer.status, answer.json["status"]) == (409, "cancelled")


async def test_j12_a_node_that_ignores_the_cancel_does_not_hold_it_up(api):
    graph = {"nodes": [node("deaf", "tests.Stubborn", seconds=8.0)], "edges": []}
    async with api.socket() as socket:
        job_id = await socket.run_job(graph=graph)
        await socket.until(job_id, "node_update", status="running")

        await socket.command("cancel_job", job_id=job_id)

        async with asyncio.timeout(5):
            events = await socket.until_end(job_id)
        check_stream(events, status="cancelled")


async def test_j12_a_job_cancelled_before_its_start_never_starts(new_server, tmp_path):
    """Its place is taken by another job; cancelled over each surface, it never runs."""
    server = new_server(env={**TEST_NODES, "WORKER_CONCURRENCY": "1"})
    async with ApiClient(server.base_url) as api, api.socket() as socket:
        holding = tmp_path / "holding"
        holder = await socket.run_job(graph=marking(holding))
        await socket.until(holder, "node_update", node_id="gate")
        waiting = [uuid.uuid4().hex for _ in range(2)]
        for job_id in waiting:
            graph = marking(tmp_path / job_id)
            await socket.run_job(graph=graph, job_id=job_id)
            assert (await api.job(job_id))["status"] == "scheduled"

        over_rest = await api.post(f"/api/jobs/{waiting[0]}/cancel")
        over_ws = await socket.command("cancel_job", job_id=waiting[1])
        async with asyncio.timeout(20):
            await socket.until_end(*waiting)
        holding.with_suffix(".gate").touch()
        await socket.until_end(holder)
        # The place is free: what still waits for it would run now.
        await socket.run(graph=graphs.hello())

        assert over_rest.json["status"] == "cancelled"
        assert over_ws["message"] == "Job cancellation requested"
        for job_id in waiting:
            statuses = [event.get("status") for event in socket.events[job_id]]
            assert statuses == ["running", "cancelled"]
            assert times_run(tmp_path / job_id) == 0
