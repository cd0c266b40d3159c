"""Every reader of a job gets every event once, in order (E-01, E-02, E-05, E-10, E-13).

Whatever the surface, wherever it joins, however it is cut off.
"""

import asyncio
import json
import random
import re
import socket as sockets
import uuid

import pytest

from tests.end_to_end import graphs
from tests.end_to_end.checker import TERMINAL, check_stream
from tests.end_to_end.client import ApiClient
from tests.end_to_end.graphs import edge, node, output, text_input
from tests.stalls import Stalls


def ticking(count: int, seconds: float = 0.005) -> graphs.Graph:
    """A number each ``seconds``, to an output."""
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


def is_end(event: dict) -> bool:
    return event["type"] == "job_update" and event["status"] in TERMINAL


async def attach(api: ApiClient, job_id: str, after: int = 0) -> list[dict]:
    """The numbered events of a job above ``after``, as its stream has them."""
    path, last = f"/api/jobs/{job_id}/stream", f"{job_id}:{after}" if after else ""
    async with api.stream(path, method="GET", last_event_id=last) as stream:
        assert stream.status == 200
        events = [event for event in await stream.all() if "job_seq" in event]
        assert stream.ids == [f"{job_id}:{event['job_seq']}" for event in events]
        return events


async def replay(api: ApiClient, job_id: str, after: int = 0) -> list[dict]:
    """The same over a socket of its own."""
    async with api.socket() as socket:
        await socket.reconnect(job_id, last_seq=after)
        return await socket.until_end(job_id)


async def poll(api: ApiClient, job_id: str, limits: random.Random) -> list[dict]:
    """The same by asking again and again, for pages of any size."""
    seen: list[dict] = []
    while not (seen and is_end(seen[-1])):
        after = seen[-1]["job_seq"] if seen else 0
        path = f"/api/jobs/{job_id}/events?after={after}&limit={limits.randint(1, 40)}"
        seen += (await api.get(path)).json["events"]
    return seen


# --- E-01: the same numbers everywhere


async def test_e01_all_surfaces_number_the_events_of_a_job_alike(api):
    async with api.socket() as first, api.socket(encoding="binary") as second:
        job_id = await first.run_job(graph=ticking(300))
        await second.reconnect(job_id)

        streams = await asyncio.gather(
            first.until_end(job_id),
            second.until_end(job_id),
            attach(api, job_id),
            attach(api, job_id),
            poll(api, job_id, random.Random(1)),
        )

    check_stream(streams[0], status="completed")
    assert [e["job_seq"] for e in streams[0]] == list(range(1, len(streams[0]) + 1))
    assert all(events == streams[0] for events in streams)


# --- E-02: replay from any number


async def test_e02_every_cut_of_a_finished_job_gives_exactly_the_rest(api):
    """Each of 500 numbers over REST; each fifth over SSE and a socket."""
    async with api.socket() as socket:
        whole = await socket.run(graph=graphs.sequence(495))
        job_id = whole[0]["job_id"]
    assert len(whole) >= 500

    for cut in range(len(whole) + 1):
        assert await api.events(job_id, after=cut) == whole[cut:]
    async with api.socket(encoding="binary") as socket:
        for cut in range(0, len(whole), 5):
            await socket.reconnect(job_id, last_seq=cut)
            assert await socket.until_end(job_id) == whole[cut:]
    for cut in range(0, len(whole), 5):
        assert await attach(api, job_id, cut) == whole[cut:]
    assert await attach(api, job_id, len(whole)) == []


async def test_e02_2000_events_are_replayed_within_a_second(api):
    async with api.socket() as socket:
        whole = await socket.run(graph=graphs.sequence(2000))
        job_id = whole[0]["job_id"]
    loop = asyncio.get_running_loop()

    for read in (attach, replay, ApiClient.events):
        took = []
        for _ in range(3):
            started = loop.time()
            assert await read(api, job_id) == whole
            took.append(loop.time() - started)
        assert min(took) < 1.0, read


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_e02_100_cuts_of_a_running_stream_leave_no_gap(api, method):
    """A stream that is dropped at a random event and taken up by its last id."""
    rng = random.Random(2)
    workflow = await api.create_workflow(ticking(700))
    job_id = uuid.uuid4().hex
    run = f"/workflows/{workflow['id']}/run/stream"
    path = run if method == "POST" else f"/api/jobs/{job_id}/stream"
    await api.run(workflow["id"], job_id=job_id, background=True)
    seen: list[dict] = []
    cuts = 0
    while not (seen and is_end(seen[-1])):
        last = f"{job_id}:{seen[-1]['job_seq'] if seen else 0}"
        wanted = rng.randint(1, 11)
        async with api.stream(path, {}, method=method, last_event_id=last) as stream:
            async for event in stream:
                if "job_seq" in event:
                    seen.append(event)
                    wanted -= 1
                if not wanted or is_end(event):
                    break
            stream.checker.assert_valid()
            stream.response.close()
            cuts += 1

    assert cuts >= 100
    check_stream(seen, status="completed")
    assert seen == await api.events(job_id)


async def test_e02_pages_of_a_running_job_fit_together(api):
    async with api.socket() as socket:
        job_id = await socket.run_job(graph=ticking(300))
        readers = [poll(api, job_id, random.Random(n)) for n in range(4)]
        polled = await asyncio.gather(*readers)
        whole = await socket.until_end(job_id)

    assert all(events == whole for events in polled)


# --- E-05: a lost client changes nothing


async def lose_socket(api: ApiClient, job_id: str, graph: dict, how: str) -> None:
    async with api.socket() as socket:
        await socket.run_job(graph=graph, job_id=job_id)
        await socket.until(job_id, "output_update")
        if how != "close":
            await lose(api, job_id, socket.connection._response.connection, how)


async def lose_stream(api: ApiClient, job_id: str, graph: dict, how: str) -> None:
    workflow = await api.create_workflow(graph)
    path = f"/workflows/{workflow['id']}/run/stream"
    async with api.stream(path, {"job_id": job_id, "params": {}}) as stream:
        async for event in stream:
            if event["type"] == "output_update":
                break
        if how == "close":
            stream.response.close()
        else:
            await lose(api, job_id, stream.response.connection, how)


async def lose(api: ApiClient, job_id: str, connection, how: str) -> None:
    """Leave the server alone with a connection, then let it go without a word."""
    transport = connection.transport
    if how == "half close":
        transport.get_extra_info("socket").shutdown(sockets.SHUT_WR)
    if how == "deaf":  # to the server it looks alive, and full
        transport.pause_reading()
        await api.wait_for_job(job_id)
    transport.abort()


@pytest.mark.parametrize("start", [lose_socket, lose_stream])
async def test_e05_a_job_does_not_notice_how_its_client_was_lost(api, start):
    graph = ticking(100)
    hows = ("close", "abort", "half close", "deaf") * 5
    jobs = {uuid.uuid4().hex: how for how in hows}

    await asyncio.gather(*(start(api, job, graph, how) for job, how in jobs.items()))

    for job_id, how in jobs.items():
        job = await api.wait_for_job(job_id)
        assert job["status"] == "completed", how
        events = await api.events(job_id)
        check_stream(events, status="completed")
        assert events[-1]["result"]["outputs"]["ticks"] == list(range(1, 101)), how


async def test_e05_a_caller_that_hangs_up_leaves_its_run_running(api):
    workflow = await api.create_workflow(ticking(200))
    job_id = uuid.uuid4().hex
    calling = asyncio.create_task(api.run(workflow["id"], job_id=job_id))
    async with asyncio.timeout(20):
        while (await api.get(f"/api/jobs/{job_id}")).status == 404:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling

    assert (await api.wait_for_job(job_id))["status"] == "completed"


# --- E-10: framing


ODD_TEXTS = [
    "first\nsecond\n\nfourth",
    "carriage\rreturn\r\nboth",
    "data: not a line of the stream",
    "\ndata: {}\n\nid: x:1\nevent: message\nretry: 1\n\n: comment",
    "separators \u2028 and \u2029 and \x85 and \x0b\x0c\x1c\x1d\x1e",
    "",
    "\ufeffmark, \U0001f600, \u202e, \x7f",
    "\\n is not a newline, nor is \\u000a",
]


def odd_texts() -> graphs.Graph:
    """Each text as a value, in a log of chunks, and as an error."""
    nodes, edges = [text_input()], []
    for number, text in enumerate(ODD_TEXTS):
        source, target = f"s{number}", f"o{number}"
        nodes += [
            node(source, "demo.StreamText", text=text, chunk_size=5),
            output(f"text {number}", target),
            node(f"f{number}", "demo.Fail", message=f"no: {text}"),
        ]
        edges.append(edge(source, target, output="text"))
    return {"nodes": nodes, "edges": edges}


def parse_strictly(body: str, line_end: str) -> list[dict]:
    """Server-sent events by the letter: fields, blank lines, nothing else."""
    events, data = [], []
    for line in re.split(line_end, body):
        name, _, value = line.partition(":")
        assert name in ("", "id", "data", "retry"), line
        if name == "data":
            data.append(value.removeprefix(" "))
        elif not line and data:
            events.append(json.loads("\n".join(data)))
            data = []
    assert not data
    return events


def by_channel(events: list[dict]) -> dict[str, list[dict]]:
    """Events by node, without what differs from run to run."""
    varying = ("job_id", "workflow_id", "job_seq", "ts", "duration")
    channels: dict[str, list[dict]] = {}
    for event in events:
        kept = {name: value for name, value in event.items() if name not in varying}
        channel = event.get("node_id") or event.get("edge_id") or ""
        channels.setdefault(channel, []).append(kept)
    return channels


async def test_e10_odd_texts_arrive_over_sse_as_over_a_socket(api):
    workflow = await api.create_workflow(odd_texts())
    async with api.socket() as socket:
        expected = await socket.run(workflow_id=workflow["id"])

    answer = await api.post(f"/workflows/{workflow['id']}/run/stream", {})

    body = answer.content.decode()
    # The specification's line ends, and those that careless clients split at.
    for line_end in ("\r\n|\n|\r", "[\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]"):
        events = parse_strictly(body, line_end)
        assert len(events) == len(expected)
        assert by_channel(events) == by_channel(expected)
    values = {e["output_name"]: e["value"] for e in events if "output_name" in e}
    assert list(values.values()) == ODD_TEXTS
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert "Content-Length" not in answer.headers
    assert "Content-Encoding" not in answer.headers


async def test_e10_a_silent_stream_has_comments_and_ends_with_its_job(
    impatient_server, tmp_path
):
    gate = tmp_path / "gate"
    graph = {
        "nodes": [node("gate", "tests.Gate", path=str(gate)), output()],
        "edges": [edge("gate", "out")],
    }
    async with ApiClient(impatient_server.base_url) as api:
        workflow = await api.create_workflow(graph)
        job_id = uuid.uuid4().hex
        await api.run(workflow["id"], job_id=job_id, background=True)
        async with api.stream(f"/api/jobs/{job_id}/stream", method="GET") as stream:
            reading = asyncio.create_task(stream.all())
            async with asyncio.timeout(30):
                while stream.comments.count("keep-alive") < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert not reading.done()
            gate.touch()
            events = await reading

    assert is_end(events[-1])


# --- E-13: commands are answered


COMMANDS = [
    ("get_status", {}),
    ("cancel_job", {}),
    ("pause_job", {}),
    ("resume_job", {}),
    ("reconnect_job", {}),
    ("stream_input", {"input": "in", "value": 1}),
    ("end_input_stream", {"input": "in"}),
    ("run_job", {"workflow_id": "no such workflow"}),
    ("no_such_command", {}),
    ("run_job", {"graph": "no graph"}),
]


async def burst(api: ApiClient, name: str, took: list[float]) -> None:
    """100 commands at once on one connection, each answered once, in order."""
    loop = asyncio.get_running_loop()
    async with api.socket() as socket:
        sent: list[tuple[str, float]] = []
        for number in range(100):
            command, data = COMMANDS[number % len(COMMANDS)]
            job_id = f"{name}-{number}"
            frame = {
                "command": command,
                "data": {**data, "job_id": job_id},
                "request_id": job_id,
            }
            sent.append((job_id, loop.time()))
            await socket.send(frame)
        for job_id, at in sent:
            reply = await socket.reply()
            took.append(loop.time() - at)
            assert reply["request_id"] == job_id
            # The only reply that names no job is about a command nobody knows.
            assert reply.get("job_id", job_id) == job_id
            known = reply.get("error") != "Unknown command"
            assert ("job_id" in reply) == known, reply


async def test_e13_every_command_has_one_reply_in_order_within_2_s(api):
    took: list[float] = []
    async with api.socket() as busy:
        jobs = [await busy.run_job(graph=graphs.sequence(3000)) for _ in range(3)]
        with Stalls() as stalls:
            await asyncio.gather(*(burst(api, f"socket{n}", took) for n in range(5)))
        await busy.until_end(*jobs)

    assert len(took) == 500
    assert sorted(took)[int(len(took) * 0.99)] < 2.0 + stalls.seconds


async def test_e13_a_reply_precedes_everything_that_its_command_causes(api):
    async with api.socket() as socket:
        for _ in range(30):
            job_id = uuid.uuid4().hex
            data = {"graph": graphs.hello(), "job_id": job_id}
            await socket.send({"command": "run_job", "data": data})
            first = await socket.receive()
            assert (first.get("message"), first["job_id"]) == ("Job started", job_id)
            await socket.until_end(job_id)
            await socket.send({"command": "reconnect_job", "data": {"job_id": job_id}})
            first = await socket.receive()
            assert first["message"] == f"Reconnecting to job {job_id}"
            while (await socket.receive()).get("job_seq") != 1:
                pass
            socket.checkers.pop(job_id)
            socket.events.pop(job_id)
            await drain(socket, job_id)


async def drain(socket, job_id: str) -> None:
    """Read away what a replay still sends."""
    while True:
        frame = await socket.receive()
        socket.checkers.pop(job_id, None)
        if frame.get("job_id") == job_id and is_end(frame):
            return
