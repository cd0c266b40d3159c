"""Each shipped example over every surface: the same events, the same result.

Compared with each other and with the files of ``tests/golden/journey``. Events are
compared by channel (a node, an edge, an output, the job), as R43 promises an order;
between channels there is none. After a change that is meant, remove a file: the next
run writes it anew, fails, and leaves it to be read.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.checker import check_stream
from tests.end_to_end.client import ApiClient
from tests.end_to_end.server import ServerProcess
from workflows.shipped_examples import NAMES

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "journey"
EXAMPLES = [name for name in NAMES if name != "stream-input-echo"]
PARAMS: dict[str, dict[str, Any]] = {
    "hello": {"name": "Ada"},
    "streaming-text": {"text": "Twelve short words, or a few less than that."},
    "slow-job": {"steps": 2},
}
VARYING = ("job_id", "workflow_id", "job_seq", "ts", "duration")
# May be merged to the newest before they are numbered.
MERGED = ("node_progress", "edge_update")

Events = list[dict[str, Any]]
Channels = dict[str, list[dict[str, Any]]]


def channel_of(event: dict[str, Any]) -> str:
    kind = event["type"]
    if kind == "output_update":
        return f"output {event['output_name']}"
    if kind == "edge_update":
        return f"edge {event['edge_id']}"
    return f"node {event['node_id']}" if event.get("node_id") else "job"


def by_channel(events: Events) -> Channels:
    """The events of each channel in order, without what differs from run to run."""
    channels: Channels = {}
    for event in events:
        kept = {name: v for name, v in event.items() if name not in VARYING}
        channel = channels.setdefault(channel_of(event), [])
        is_news = not channel or channel[-1]["type"] != event["type"]
        if event["type"] in MERGED and not is_news:
            channel.pop()
        channel.append(kept)
    return dict(sorted(channels.items()))


def assert_order(events: Events) -> None:
    """What R43 says of order across channels."""
    check_stream(events)
    assert events[0]["status"] == "running"
    last_of_edge = {e["edge_id"]: e for e in events if e["type"] == "edge_update"}
    assert {edge["status"] for edge in last_of_edge.values()} <= {"drained"}
    drained_at = {
        e["edge_id"]: at
        for at, e in enumerate(events)
        if e["type"] == "edge_update" and e["status"] == "drained"
    }
    assert len(drained_at) == len(last_of_edge)


class Surfaces:
    """One example, run in every way that there is."""

    def __init__(self, api: ApiClient, server: ServerProcess, name: str) -> None:
        self.api = api
        self.server = server
        self.params = PARAMS.get(name, {})
        self.workflow_id = ""

    async def save(self, name: str) -> None:
        query = f"from_example_package=nodetool&from_example_name={name}"
        answer = await self.api.post(f"/api/workflows/?{query}")
        assert answer.status == 200, answer.content
        self.workflow_id = answer.json["id"]

    async def events(self) -> dict[str, Events]:
        ways: dict[str, Callable[[], Awaitable[Events]]] = {
            "REST": self._blocking,
            "SSE": self._sse,
            "WS text": self._text,
            "WS MessagePack": self._binary,
            "CLI": self._cli,
        }
        return dict(zip(ways, [await run() for run in ways.values()], strict=True))

    async def _blocking(self) -> Events:
        self.answer = await self.api.run(self.workflow_id, self.params)
        return await self.api.events(self.answer.json["job_id"])

    async def _sse(self) -> Events:
        return await self.api.run_stream(self.workflow_id, self.params)

    async def _text(self) -> Events:
        return await self._socket("text")

    async def _binary(self) -> Events:
        return await self._socket("binary")

    async def _socket(self, encoding: str) -> Events:
        async with self.api.socket(encoding=encoding) as socket:
            return await socket.run(workflow_id=self.workflow_id, params=self.params)

    async def _cli(self) -> Events:
        words = ("run", self.workflow_id, "--jsonl")
        ended = await self.cli(*words, "--params", json.dumps(self.params))
        events = [json.loads(line) for line in ended.out.splitlines()]
        assert ended.code == (events[-1]["status"] != "completed"), ended.err
        return events

    async def cli(self, *words: str) -> Any:
        return await asyncio.to_thread(self.server.cli, *words)


@pytest.fixture
async def surfaces(api, server, request) -> Surfaces:
    made = Surfaces(api, server, request.param)
    await made.save(request.param)
    return made


def golden(name: str, channels: Channels) -> Channels:
    """What is written down for the example; written now if there is nothing."""
    path = GOLDEN / f"{name}.json"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        text = json.dumps(channels, indent=2, ensure_ascii=False, sort_keys=True)
        path.write_text(f"{text}\n")
        pytest.fail(f"{path} was not there; read what has been written to it")
    stored: Channels = json.loads(path.read_text())
    return stored


@pytest.mark.parametrize("surfaces", EXAMPLES, indirect=True, ids=EXAMPLES)
async def test_example_has_the_same_events_and_result_everywhere(
    surfaces, request, api
):
    name = request.node.callspec.params["surfaces"]

    streams = await surfaces.events()

    expected = golden(name, by_channel(streams["SSE"]))
    for surface, events in streams.items():
        assert_order(events)
        assert by_channel(events) == expected, surface
        stored = await api.events(events[0]["job_id"])
        assert stored == events, surface
    result = expected["job"][-1]["result"]
    is_completed = expected["job"][-1]["status"] == "completed"
    assert surfaces.answer.status == (200 if is_completed else 500)
    for events in streams.values():
        job = await api.job(events[0]["job_id"])
        assert job["result"] == result
        assert job["error"] == expected["job"][-1]["error"]
    if is_completed:
        folded = {key: v for key, v in result.items() if key != "outputs"}
        assert surfaces.answer.json["outputs"] == folded
        await assert_printed(surfaces, folded)
    else:
        assert surfaces.answer.json["error"] == expected["job"][-1]["error"]


async def assert_printed(surfaces: Surfaces, outputs: dict[str, Any]) -> None:
    """`nodetool workflows run` prints the same result."""
    words = ("workflows", "run", surfaces.workflow_id, "--json")
    ended = await surfaces.cli(*words, "--params", json.dumps(surfaces.params))
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["result"] == outputs


def test_every_golden_file_belongs_to_an_example():
    assert {path.stem for path in GOLDEN.iterdir()} == set(EXAMPLES)
