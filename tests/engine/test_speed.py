"""Bounds on time and memory, an order of magnitude above what is usual.

Time is that of the processor: what the machine does meanwhile is not ours.
"""

import time
import tracemalloc
from collections import deque

from tests.engine.running import Nodes, Recording, graph
from workflows.engine.events import encode_event


async def seconds(recording: Recording) -> float:
    started = time.process_time()
    await recording.execute()
    for event in recording.events:
        encode_event(event)
    return time.process_time() - started


async def test_a_chain_of_a_thousand_nodes():
    nodes: Nodes = {f"n{i}": "FormatText" for i in range(1000)}
    edges = [f"n{i} -> n{i + 1}.text" for i in range(999)]
    recording = Recording(graph({**nodes, "r": "Output"}, *edges, "n999 -> r"))

    assert await seconds(recording) < 0.5
    assert recording.values == {"r": [""]}


async def test_the_time_grows_with_the_number_of_nodes_not_its_square():
    nodes: Nodes = {f"n{i}": "FormatText" for i in range(4990)}
    edges = [f"n{i} -> n{i + 1}.text" for i in range(4989)]
    recording = Recording(graph({**nodes, "r": "Output"}, *edges, "n4989 -> r"))

    assert await seconds(recording) < 2.5
    assert recording.error is None


async def test_a_fan_of_a_thousand_nodes():
    nodes: Nodes = {f"n{i}": "FormatText" for i in range(1000)}
    edges = [f"x -> n{i}.text" for i in range(1000)]
    back = [f"n{i} -> g.items" for i in range(1000)]
    recording = Recording(
        graph({"x": "StringInput", **nodes, "g": "Gather"}, *edges, *back)
    )

    assert await seconds(recording) < 0.5


async def test_ten_thousand_streamed_items():
    recording = Recording(
        graph({"c": ("Count", {"stop": 10_000}), "r": "Output"}, "c -> r")
    )

    assert await seconds(recording) < 0.9
    assert recording.values == {"r": list(range(10_000))}


async def test_a_long_stream_needs_a_bounded_amount_of_memory():
    recording = Recording(
        graph(
            {"c": ("Count", {"stop": 20_000}), "p": "P", "r": "Output"},
            "c -> p.a",
            "p -> r",
        )
    )
    recording.sink.events = deque(maxlen=10)
    tracemalloc.start()
    await recording.run.execute()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2 * 1024 * 1024
