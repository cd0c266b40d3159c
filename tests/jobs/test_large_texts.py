"""Texts of many MiB: stored whole, and no other job waits for them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from jobs import feed
from jobs.models import Status
from storage.ids import new_id
from storage.job_assets import JobAssetStore
from tests.jobs.conftest import hold, read_all
from workflows.engine.context import NodeContext, RunContext
from workflows.engine.events import JobUpdate
from workflows.engine.graph import load_graph
from workflows.engine.node import Node, OutputNode
from workflows.engine.registry import NodeRegistry
from workflows.engine.runner import GraphRun

pytestmark = pytest.mark.django_db(transaction=True)

MIB = 1024 * 1024
WORDS = 'The quick "brown" fox jumps over the lazy dog.\n'
SILENCE_S = 0.5
# On a machine that is slower, or busy: in passes over the text. All takes ten.
PASSES = 6
# A busy machine takes processor time too; what is wrong is so each time.
TRIES = 4

registry = NodeRegistry()


@registry.register("test.Held")
class Held(Node):
    """The text that the test holds ready."""

    outputs = {"output": "str"}
    text: ClassVar[str] = ""

    async def process(self, context: NodeContext) -> str:
        return self.text


@registry.register("test.Output")
class Output(OutputNode):
    outputs = {"output": "any"}


GRAPH = {
    "nodes": [
        {"id": "held", "type": "test.Held"},
        {"id": "out", "type": "test.Output", "data": {"name": "text"}},
    ],
    "edges": [
        {
            "source": "held",
            "sourceHandle": "output",
            "target": "out",
            "targetHandle": "value",
        }
    ],
}


@asynccontextmanager
async def silences() -> AsyncIterator[list[float]]:
    """How long the loop has computed without a turn for others, each time.

    In processor time of its thread: what else the machine does is no matter.
    """
    found: list[float] = []

    async def beat() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            found.append(time.thread_time() - before)

    heart = asyncio.create_task(beat())
    await asyncio.sleep(0)
    try:
        yield found
    finally:
        heart.cancel()


def pass_over(text: str) -> float:
    """The processor time of looking at each character once, here and now."""
    before = time.thread_time()
    text.encode(errors="surrogatepass")
    return time.thread_time() - before


async def run_and_store(new_job) -> tuple[list[dict[str, Any]], float]:
    """Run the graph as an attempt does.

    Returns its events as they were stored, and for how long others had no turn.
    """
    log = await hold(new_job)
    context = RunContext(
        job_id=new_job.id,
        user_id="owner",
        nodes=registry,
        sink=log,
        assets=JobAssetStore("owner", new_job.id),
        secrets=None,
        blocking=None,
        images=None,
        workspace=None,
        models=None,
        threads=None,
        workflows=None,
    )
    run = GraphRun(load_graph(GRAPH), context=context, params={})
    async with silences() as found:
        await run.execute()
        result = await run.outputs.result()
        log.change_status(
            Status.COMPLETED, JobUpdate(status="completed", result=result)
        )
        await log.stored()
    reader = feed.open_reader(new_job.id, owner_id="owner")
    return [json.loads(line) for line in await read_all(reader)], max(found)


@pytest.mark.parametrize("piece", [WORDS, "\U0001f600"])
async def test_a_text_of_100_mib_keeps_nobody_waiting(new_job, piece, monkeypatch):
    count = 100 * MIB // len(piece.encode())
    monkeypatch.setattr(Held, "text", piece * count)

    for _ in range(TRIES):
        job = replace(new_job, id=new_id())
        events, silence = await run_and_store(job)
        if silence < max(SILENCE_S, PASSES * pass_over(Held.text)):
            break
    else:
        raise AssertionError(f"nobody else had a turn for {silence} s")

    references = [
        event["value"] for event in events if event["type"] == "output_update"
    ]
    assert references[0]["metadata"]["size"] == count * len(piece.encode())
    assert events[-1]["result"]["text"] == references[0]
    assert events[-1]["result"]["outputs"]["text"]["type"] == "json"


@pytest.mark.parametrize("odd", ["\x00", "\ud800"])
async def test_a_long_text_is_stored_clean_e09(new_job, odd, monkeypatch):
    monkeypatch.setattr(Held, "text", "x" * MIB + odd)

    events, _ = await run_and_store(new_job)

    reference = events[-1]["result"]["text"]
    stored = await JobAssetStore("owner", new_job.id).read(reference)
    assert stored.decode() == "x" * MIB + "\ufffd"
