"""What holds for every graph: it ends, and what it tells is whole."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.running import Recording, document, settle
from tests.engine.sample_nodes import registry
from workflows.engine.events import EdgeUpdate, NodeUpdate, OutputUpdate
from workflows.engine.graph import load_graph
from workflows.engine.plans import plan_of
from workflows.engine.validation import check_graph

KINDS = {
    "E": [],
    "K": ["value"],
    "Slow": ["value"],
    "P": ["a", "b"],
    "Triple": ["a", "b", "c"],
    "ForEach": ["input_list"],
    "Double": ["value"],
    "If": ["value", "condition"],
    "Collect": ["input_item"],
    "YBeforeX": ["x", "y"],
    "BothAtOnce": ["x", "y"],
    "Gather": ["items", "label"],
    "Fail": ["value"],
    "Preview": ["value"],
    "Output": ["value"],
    "Steer": ["value"],
    "SteerOnce": ["value"],
    "Ask": ["value"],
}
CONTROLLERS = ("Steer", "SteerOnce", "Ask")


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Any graph of up to nine nodes, its edges leading from earlier to later ones.

    Some of them are controlled: what they are asked for is what the controller is.
    """
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=9))
    nodes, edges, modes = {}, [], {}
    for number, kind in enumerate(kinds):
        name = f"n{number}"
        nodes[name] = (kind, data_of(draw, kind))
        modes[name] = {"sync_mode": draw(st.sampled_from(["on_any", "zip_all"]))}
        for handle in KINDS[kind] if number else ():
            most = [0, 1, 2, 3] if handle == "items" else [1, 1, 1, 1, 0]
            for _ in range(draw(st.sampled_from(most))):
                source = f"n{draw(st.integers(0, number - 1))}"
                outputs = plan_of(registry.get(f"test.{nodes[source][0]}")).outputs
                output = draw(st.sampled_from(sorted(outputs)))
                edges.append(f"{source}.{output} -> {name}.{handle}")
        for source in [n for n in nodes if nodes[n][0] in CONTROLLERS and n != name]:
            if draw(st.booleans()):
                edges.append(f"{source} => {name}")
                nodes[source][1].get("asks", []).append([name, {}])
    return document(nodes, *edges, **modes)


def data_of(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    if kind == "K":
        return {"value": 1}
    if kind == "Steer":
        return {"items": draw(st.lists(st.sampled_from(STEPS), max_size=8))}
    if kind == "SteerOnce":
        return {"result": {**EVENT, "output": 1}}
    if kind == "Ask":
        return {"asks": [], "keeps_on": True, "at_once": draw(st.booleans())}
    values = draw(st.lists(st.integers(0, 3), max_size=20)) if kind == "E" else []
    return {"values": values, "on": 2}


EVENT = {"__control__": {"event_type": "run", "properties": {}}}
STOP = {"__control__": {"event_type": "stop"}}
STEPS = [EVENT, EVENT, {**EVENT, "output": 1}, {"output": 2}, 1, 9, STOP]


async def finished(what: dict[str, Any]) -> Recording:
    before = asyncio.all_tasks()
    recording = Recording(what)
    async with asyncio.timeout(20):
        await recording.execute()
    await settle(2)
    assert asyncio.all_tasks() == before
    return recording


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_every_sound_graph_ends_and_tells_a_whole_story(what):
    checked = check_graph(load_graph(what), registry)
    if checked.errors:
        return
    recording = asyncio.run(finished(what))

    for node in what["nodes"]:
        statuses = recording.statuses(node["id"])
        assert statuses[::2] == ["running"] * (len(statuses) // 2)
        assert set(statuses[1::2]) <= {"completed", "error"}
        assert "error" not in statuses[:-1]
    for edge in checked.edges:
        told = recording.edge(edge.id)
        assert told[-1][0] == "drained"
        assert [status for status, _ in told].count("drained") == 1
        counts = [count for _, count in told]
        assert counts == sorted(counts)


@settings(max_examples=50, deadline=None)
@given(graphs())
def test_a_graph_tells_the_same_on_every_channel_each_time(what):
    if check_graph(load_graph(what), registry).errors:
        return
    first, second = (asyncio.run(finished(what)) for _ in range(2))

    assert str(first.error) == str(second.error)
    assert first.result == second.result
    for node in what["nodes"]:
        one, other = (r.of(NodeUpdate, node_id=node["id"]) for r in (first, second))
        assert one == other
        one, other = (r.of(OutputUpdate, node_id=node["id"]) for r in (first, second))
        assert one == other
    for edge in what["edges"]:
        one, other = (r.of(EdgeUpdate, edge_id=edge["id"]) for r in (first, second))
        assert one[-1:] == other[-1:]


@settings(max_examples=50, deadline=None)
@given(graphs(), st.integers(0, 30))
def test_a_graph_can_be_cancelled_at_any_moment(what, rounds):
    async def cancel() -> Recording:
        before = asyncio.all_tasks()
        recording = Recording(what)
        execution = asyncio.create_task(recording.execute())
        await settle(rounds)
        execution.cancel()
        await asyncio.wait([execution])
        await settle(2)
        assert asyncio.all_tasks() == before
        return recording

    recording = asyncio.run(cancel())

    for node in what["nodes"]:
        assert recording.statuses(node["id"])[-1:] != ["running"]


@settings(max_examples=50, deadline=None)
@given(graphs(), st.lists(st.integers(0, 10), max_size=6))
def test_a_graph_can_be_paused_at_any_moment_and_ends_as_it_would_have(what, pauses):
    async def pausing() -> Recording:
        recording = Recording(what)
        execution = asyncio.create_task(recording.execute())
        for rounds in pauses:
            await settle(rounds)
            recording.run.pause()
            await settle(5)
            recording.run.resume()
        await asyncio.wait_for(execution, 20)
        return recording

    paused, straight = asyncio.run(pausing()), asyncio.run(finished(what))

    assert str(paused.error) == str(straight.error)
    assert sorted(paused.result["outputs"]) == sorted(straight.result["outputs"])
