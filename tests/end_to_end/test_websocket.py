"""The commands of /ws over the wire of a running server, in both modes."""

import asyncio
import json
import uuid

import pytest

from tests.end_to_end import graphs
from tests.end_to_end.graphs import edge, node, output


def slow(steps: int = 1000, seconds: float = 0.02) -> graphs.Graph:
    """A job that runs until somebody ends it."""
    return {
        "nodes": [
            node("slow", "demo.SlowSteps", steps=steps, seconds_per_step=seconds),
            output("done"),
        ],
        "edges": [edge("slow", "out")],
    }


def paced(count: int = 40, seconds: float = 0.02) -> graphs.Graph:
    """Ticks at an interval: a stream that takes a while."""
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


def echo() -> graphs.Graph:
    """Streamed input to output."""
    return {
        "nodes": [
            node("in", "nodetool.input.RealtimeAudioInput", name="items"),
            node("re", "nodetool.control.Reroute"),
            output("items"),
        ],
        "edges": [
            edge("in", "re", "input_value", output="chunk"),
            edge("re", "out"),
        ],
    }


@pytest.mark.parametrize("encoding", ["text", "binary"])
async def test_w1_w2_the_references_sample_runs_a_saved_workflow(api, encoding):
    workflow = await api.create_workflow(graphs.hello())

    async with api.socket(encoding=encoding) as socket:
        events = await socket.run(
            type="run_job_request",
            api_url="http://localhost:7777/api",
            workflow_id=workflow["id"],
            job_type="workflow",
            auth_token="a token that nobody reads",
            params={"prompt": "hello"},
            user_id="somebody else",
            graph={"nodes": [], "edges": []},
            execution_strategy="threaded",
        )

    assert [e["status"] for e in events if e["type"] == "job_update"] == [
        "running",
        "completed",
    ]
    assert events[-1]["result"] == {
        "outputs": {"text": ["hello world"]},
        "text": "hello world",
    }
    assert events[-1]["workflow_id"] == workflow["id"]


async def test_w2_replies_follow_the_encoding_of_the_latest_frame(api):
    async with api.socket() as socket:
        await socket.send({"command": "ping"})
        text = await socket.connection.receive()
        await socket.connection.send_bytes(b"\x81\xa7command\xa4ping")
        binary = await socket.connection.receive()
        pinned = await socket.command("set_mode", mode="text")
        await socket.connection.send_bytes(b"\x81\xa7command\xa4ping")
        after = await socket.connection.receive()

    assert json.loads(text.data)["type"] == "pong"
    assert isinstance(binary.data, bytes)
    assert pinned == {"message": "Mode set to text"}
    assert isinstance(after.data, str)


INVALID = "invalid_message"
MALFORMED = [
    ("not json", {"type": "error", "error": "invalid_frame"}),
    ("{", {"type": "error", "error": "invalid_frame"}),
    ("[" * 5000, {"type": "error", "error": "invalid_frame"}),
    ('{"a":' * 70 + "1" + "}" * 70, {"type": "error", "error": "invalid_frame"}),
    (b"\xc1", {"type": "error", "error": "invalid_frame"}),
    (b"\x81\x01\x02", {"type": "error", "error": "invalid_frame"}),
    (b"\xd4\x05\x00", {"type": "error", "error": "invalid_frame"}),
    ("[]", {"error": INVALID}),
    ('"text"', {"error": INVALID}),
    ("1", {"error": INVALID}),
    ("null", {"error": INVALID}),
    ("{}", {"error": INVALID}),
    ('{"type":"unknown"}', {"error": INVALID}),
    ('{"command":1}', {"error": "invalid_command", "command": 1}),
    ('{"command":null}', {"error": "invalid_command", "command": None}),
    ('{"command":"run_job","data":[]}', {"error": "invalid_command"}),
    ('{"command":"run_job","data":"x"}', {"error": "invalid_command"}),
    ('{"command":"run_job"}', {"error": "invalid_command"}),
    ('{"command":"run_job","data":{"graph":[]}}', {"error": "invalid_command"}),
    (
        '{"command":"run_job","data":{"workflow_id":"w","params":[]}}',
        {"error": "invalid_command", "details": "params must be an object"},
    ),
    (
        '{"command":"run_job","data":{"workflow_id":"w","job_id":"a b"}}',
        {"error": "invalid_command"},
    ),
    (
        '{"command":"run_job","data":{"workflow_id":"w","job_id":"j","params":1}}',
        {"error": "invalid_command", "job_id": "j"},
    ),
    (
        '{"command":"run_job","data":{"workflow_id":"w","execution_strategy":"x"}}',
        {"error": "invalid_command"},
    ),
    ('{"command":"foo"}', {"error": "Unknown command", "command": "foo"}),
    ('{"command":"cancel_job"}', {"error": "job_id is required"}),
    ('{"command":"pause_job","data":{}}', {"error": "job_id is required"}),
    ('{"command":"resume_job","data":{"job_id":""}}', {"error": "job_id is required"}),
    ('{"command":"reconnect_job","data":null}', {"error": "job_id is required"}),
    (
        '{"command":"reconnect_job","data":{"job_id":"j","last_seq":"1"}}',
        {"error": "invalid_command"},
    ),
    (
        '{"command":"cancel_job","data":{"job_id":"nobody"}}',
        {"error": "Job not found or already completed", "job_id": "nobody"},
    ),
    (
        '{"command":"pause_job","data":{"job_id":"nobody"}}',
        {"error": "Job not found", "job_id": "nobody"},
    ),
    ('{"command":"stream_input","data":{}}', {"error": "Invalid input name"}),
    (
        '{"command":"stream_input","data":{"input":"x","value":1}}',
        {"error": "No active job/context"},
    ),
    (
        '{"command":"set_mode","data":{"mode":"x"}}',
        {"error": "mode must be binary or text"},
    ),
    (
        '{"command":"get_status","data":{"job_id":"nobody"}}',
        {"status": "not_found", "job_id": "nobody"},
    ),
]


@pytest.mark.parametrize(("frame", "expected"), MALFORMED)
async def test_h01_w4_a_malformed_frame_is_answered_and_the_socket_goes_on(
    api, frame, expected
):
    async with api.socket(query="?mode=text") as socket:
        if isinstance(frame, bytes):
            await socket.connection.send_bytes(frame)
        else:
            await socket.connection.send_str(frame)
        reply = await socket.receive()
        pong = await socket.command("ping")

    assert expected.items() <= reply.items(), reply
    assert pong["type"] == "pong"


async def test_h01_an_oversized_frame_closes_with_1009(api):
    async with api.socket() as socket:
        await socket.connection.send_str(
            json.dumps({"command": "ping", "data": {"x": "y" * (17 * 1024 * 1024)}})
        )
        while (message := await socket.connection.receive()).type.name == "TEXT":
            pass

    assert message.type.name in ("CLOSE", "CLOSED", "CLOSING")
    assert socket.connection.close_code == 1009


async def test_an_unknown_workflow_fails_the_job_that_never_was(api):
    async with api.socket() as socket:
        reply = await socket.command("run_job", workflow_id="nobody", job_id="never")
        failed = await socket.receive()
        again = await socket.command("get_status", job_id="never")

    assert reply["message"] == "Job started"
    assert (failed["status"], failed["job_id"]) == ("failed", "never")
    assert failed["error"] == "Workflow nobody not found"
    assert again["status"] == "not_found"


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (
            {"nodes": [node("a", "no.such.Type"), output()], "edges": []},
            "Invalid node type: no.such.Type",
        ),
        (
            {
                "nodes": [
                    node("p", "nodetool.text.ToUppercase"),
                    node("q", "nodetool.text.ToUppercase"),
                ],
                "edges": [edge("p", "q", "text"), edge("q", "p", "text")],
            },
            "cycle",
        ),
        ({"nodes": [{"id": "", "type": "x"}], "edges": []}, "id"),
    ],
)
async def test_a_graph_that_cannot_run_fails_with_its_reason(api, graph, reason):
    async with api.socket() as socket:
        events = await socket.run(graph=graph)

    updates = [e["status"] for e in events if e["type"] == "job_update"]
    assert updates == ["running", "failed"]
    assert reason in events[-1]["error"]


async def test_w5_j12_cancel_ends_a_running_job_at_once(api):
    async with api.socket() as socket:
        job_id = await socket.run_job(graph=slow())
        await socket.until(job_id, "node_progress")
        started = asyncio.get_running_loop().time()
        reply = await socket.command("cancel_job", job_id=job_id)
        events = await socket.until_end(job_id)
        took = asyncio.get_running_loop().time() - started
        second = await socket.command("cancel_job", job_id=job_id)

    assert reply["message"] == "Job cancellation requested"
    assert took < 5.0  # and mostly within 1 s: see test_guarantees.py
    assert (events[-1]["status"], events[-1]["message"]) == (
        "cancelled",
        "Job cancelled by user",
    )
    assert events[-2]["error"] == "Cancelled"
    assert second["error"] == "Job not found or already completed"
    assert (await api.job(job_id))["status"] == "cancelled"


async def test_j12_cancel_kills_a_node_that_blocks(api):
    graph = {"nodes": [node("busy", "demo.Busy", seconds=60.0)], "edges": []}

    async with api.socket() as socket:
        job_id = await socket.run_job(graph=graph)
        await socket.until(job_id, "node_update", status="running")
        await socket.command("cancel_job", job_id=job_id)
        async with asyncio.timeout(20):
            events = await socket.until_end(job_id)

    assert events[-1]["status"] == "cancelled"


async def test_w6_r41_pause_stops_a_job_in_place_and_resume_goes_on(api):
    async with api.socket() as socket:
        job_id = await socket.run_job(graph=paced(60))
        await socket.until(job_id, "output_update")
        paused = await socket.command("pause_job", job_id=job_id)
        suspended = await socket.until(job_id, "job_update", status="suspended")
        at_pause = len(socket.events[job_id])
        state = await socket.command("get_status", job_id=job_id)
        second = await socket.command("pause_job", job_id=job_id)
        with pytest.raises(TimeoutError):
            await socket.receive(0.5)
        resumed = await socket.command("resume_job", job_id=job_id)
        events = await socket.until_end(job_id)

    assert paused["message"] == "Job paused successfully"
    assert isinstance(paused["paused_nodes"], int)
    assert suspended["message"] == "Job paused"
    assert suspended["run_state"]["status"] == "paused"
    assert state["status"] == "suspended"
    assert second["error"] == (
        "Cannot pause job: status is 'paused', must be 'running'"
    )
    assert events[at_pause]["status"] == "running"
    assert events[at_pause]["message"] == "Job resumed successfully"
    assert resumed["message"] == f"Resumption initiated for job {job_id}"
    assert events[-1]["result"]["outputs"]["ticks"] == list(range(1, 61))


async def test_resuming_what_has_ended_says_why_and_changes_nothing(api):
    async with api.socket() as socket:
        job_id = (await socket.run(graph=graphs.hello()))[0]["job_id"]
        reply = await socket.command("resume_job", job_id=job_id)
        message = await socket.receive()
        status = await socket.command("get_status", job_id=job_id)

    assert reply["message"] == f"Resumption initiated for job {job_id}"
    assert message["type"] == "error"
    assert message["error"].startswith(f"Failed to resume job {job_id}: ")
    assert status["status"] == "completed"


async def test_w7_e05_a_dropped_socket_rejoins_by_number(api):
    async with api.socket() as first:
        job_id = await first.run_job(graph=paced(60))
        await first.until(job_id, "output_update")
        seen = first.events[job_id]
        first.abort()
    async with api.socket() as second:
        await second.reconnect(job_id, last_seq=seen[-1]["job_seq"])
        rest = await second.until_end(job_id)

    numbers = [event["job_seq"] for event in [*seen, *rest]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert rest[-1]["result"]["outputs"]["ticks"] == list(range(1, 61))
    assert await api.events(job_id) == [*seen, *rest]


async def test_reconnecting_to_what_is_unknown_says_so(api):
    async with api.socket() as socket:
        reply = await socket.command("reconnect_job", job_id="nobody")
        message = await socket.receive()

    assert reply["message"] == "Reconnecting to job nobody"
    assert message["status"] == "failed"
    assert message["error"].startswith("Job not found: ")


async def test_w8_inputs_stream_into_the_sockets_only_job(api):
    async with api.socket() as socket:
        job_id = await socket.run_job(graph=echo())
        replies = [
            await socket.command("stream_input", input="items", value=value)
            for value in ("a", {"b": 1}, None, [2])
        ]
        unknown = await socket.command("stream_input", input="other", value=1)
        ended = await socket.command("end_input_stream", input="items")
        late = await socket.command(
            "stream_input", input="items", value=1, job_id=job_id
        )
        events = await socket.until_end(job_id)

    assert {reply["message"] for reply in replies} == {"Input item streamed"}
    assert unknown["error"] == "Input 'other' not found"
    assert ended["message"] == "Input stream ended"
    assert late["error"] in (
        "Input stream already ended",
        "Job not found or already completed",
    )
    assert events[-1]["result"]["outputs"]["items"] == ["a", {"b": 1}, None, [2]]


async def test_w9_two_sockets_see_one_job_alike(api):
    async with api.socket() as first, api.socket(encoding="binary") as second:
        job_id = await first.run_job(graph=paced(20))
        await second.reconnect(job_id)

        assert await first.until_end(job_id) == await second.until_end(job_id)


async def test_w12_100_jobs_on_20_sockets_stay_apart(api):
    """100 runs over 20 sockets: each gets its own events, as if it ran alone."""

    async def on_one_socket(number: int) -> None:
        async with api.socket() as socket:
            jobs = {
                await socket.run_job(
                    graph=graphs.hello(), params={"prompt": f"{number}-{index}"}
                ): f"{number}-{index} world"
                for index in range(5)
            }
            await socket.until_end(*jobs)
            assert set(socket.events) == set(jobs)
            for job_id, expected in jobs.items():
                assert socket.events[job_id][-1]["result"]["text"] == expected

    await asyncio.gather(*(on_one_socket(number) for number in range(20)))


async def test_j10_100_equal_requests_run_once(api):
    request = {
        "graph": graphs.sequence(50),
        "job_id": uuid.uuid4().hex,
        "workflow_id": "label",
    }

    async def one() -> list:
        async with api.socket() as socket:
            return await socket.run(**request)

    streams = await asyncio.gather(*(one() for _ in range(100)))
    async with api.socket() as socket:
        other = await socket.command("run_job", **request, params={"x": 1})

    assert all(stream == streams[0] for stream in streams)
    assert other == {"error": "job_id already used", "job_id": request["job_id"]}


async def test_e13_commands_are_answered_in_order_while_jobs_run(api):
    async with api.socket() as socket:
        job_id = await socket.run_job(graph=graphs.sequence(5000))
        for number in range(50):
            await socket.send(
                {
                    "command": "get_status",
                    "data": {"job_id": f"unknown{number}"},
                    "request_id": f"r{number}",
                }
            )
        replies = [await socket.reply() for _ in range(50)]
        await socket.until_end(job_id)

    assert [reply["request_id"] for reply in replies] == [f"r{n}" for n in range(50)]
