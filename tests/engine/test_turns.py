"""Many runs on one loop: none keeps it for long, and a small one is soon through."""

import asyncio
import time

from tests.engine.running import Recording, graph
from tests.engine.sample_nodes import registry
from workflows.engine.context import NodeContext
from workflows.engine.node import Node
from workflows.engine.turns import TURN_STEPS


@registry.register("test.Laborious")
class Laborious(Node):
    """Computes for a while, on the loop, before each of its items."""

    async def generate(self, context: NodeContext):
        for number in range(TURN_STEPS // 2):
            until = time.thread_time() + 0.005
            while time.thread_time() < until:
                pass
            yield {"output": number}


def counting(stop: int) -> Recording:
    return Recording(graph({"c": ("Count", {"stop": stop}), "r": "Output"}, "c -> r"))


async def turns_in(recording: Recording) -> list[float]:
    """Run it; return how long it kept the loop each time, in processor time."""
    turns = []

    async def beat() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            turns.append(time.thread_time() - before)

    heart = asyncio.create_task(beat())
    await recording.execute()
    heart.cancel()
    return turns


async def test_a_small_run_does_not_wait_for_long_turns_of_a_crowd():
    crowd = [counting(100_000) for _ in range(20)]
    tasks = [asyncio.create_task(recording.execute()) for recording in crowd]
    for _ in range(10):
        await asyncio.sleep(0)
    before = sum(len(recording.events) for recording in crowd)
    small = Recording(graph({"x": "StringInput", "r": "Output"}, "x -> r"))

    await small.execute()

    meanwhile = sum(len(recording.events) for recording in crowd) - before
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert meanwhile < len(crowd) * TURN_STEPS


async def test_runs_that_wait_for_something_do_not_shorten_the_turns_of_others():
    waiting = [
        Recording(graph({"x": "StreamInput", "r": "Output"}, "x.chunk -> r"))
        for _ in range(50)
    ]
    tasks = [asyncio.create_task(recording.execute()) for recording in waiting]
    await asyncio.sleep(0)

    turns = await turns_in(counting(TURN_STEPS * 50))

    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert len(turns) < 200


async def test_long_steps_end_a_turn_before_its_number_of_steps_does():
    laborious = Recording(graph({"n": "Laborious", "r": "Output"}, "n -> r"))

    assert max(await turns_in(laborious)) < 0.08
    assert laborious.values == {"r": list(range(TURN_STEPS // 2))}
