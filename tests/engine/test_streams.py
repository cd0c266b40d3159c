"""Nodes that read and send streams, and what bounds them: R2 to R7, R22 to R26."""

import asyncio
from itertools import pairwise

import pytest

from tests.engine.running import Recording, graph, run, settle
from tests.engine.sample_nodes import Count, Meet, Wait
from workflows.engine import overflow, streams
from workflows.engine.events import EdgeUpdate, NodeUpdate, OutputUpdate


async def test_r02_independent_nodes_overlap():
    Meet.barrier = asyncio.Barrier(2)

    done = await run({"a": "Meet", "b": "Meet", "r": "Output"}, "a -> r")

    assert done.values == {"r": ["met"]}


async def test_r02_what_follows_a_node_starts_while_another_still_waits():
    Wait.prepare()
    recording = Recording(
        graph(
            {"slow": "Wait", "k": ("K", {"value": 1}), "r": "Output", "s": "Output"},
            "k -> r",
            "slow -> s",
        )
    )
    execution = asyncio.create_task(recording.execute())
    await Wait.started.wait()
    await settle()

    assert [event.value for event in recording.of(OutputUpdate)] == [1]
    Wait.go.set()
    await execution


@pytest.mark.parametrize(
    ("result", "outputs"),
    [
        ({"x": 1, "y": 2}, {"x": [1], "y": [2]}),
        ({"x": None}, {"x": [None]}),
        ({}, {}),
        (None, {}),
    ],
)
async def test_r03_a_dict_of_declared_outputs_is_spread(result, outputs):
    done = await run(
        {"n": ("Returns", {"result": result}), "x": "Output", "y": "Output"},
        "n.x -> x",
        "n.y -> y",
    )

    assert done.error is None
    assert done.values == outputs


async def test_r03_a_plain_value_goes_to_the_only_output():
    done = await run({"t": ("Text", {"value": "hi"}), "r": "Output"}, "t -> r")

    assert done.values == {"r": ["hi"]}


async def test_r03_generators_skip_nulls():
    results = [{"x": 1}, {"x": None, "y": 2}]
    done = await run(
        {"n": ("Yields", {"results": results}), "x": "Output", "y": "Output"},
        "n.x -> x",
        "n.y -> y",
    )

    assert done.values == {"x": [1], "y": [2]}


async def test_r04_for_each_sends_nulls_too_so_that_the_index_stays_right():
    done = await run(
        {
            "s": ("ForEach", {"input_list": ["a", None, "b"]}),
            "p": "P",
            "r": "Output",
        },
        "s -> p.a",
        "s.index -> p.b",
        "p -> r",
    )

    assert done.values == {"r": ["a-0", "None-1", "b-2"]}


@pytest.mark.parametrize("kind", ["Returns", "Yields"])
async def test_r05_an_undeclared_output_fails_the_node(kind):
    data = {"result": {"z": 1}, "results": [{"z": 1}]}

    done = await run({"n": (kind, data)})

    assert str(done.error) == f"Node '{kind}' tried to emit to unknown output 'z'"
    assert done.statuses("n") == ["running", "error"]


async def test_r05_an_undeclared_output_of_a_node_with_one_output_fails_it_too():
    done = await run({"e": ("E", {"values": [{"type": "no"}]}), "c": "Collect"})
    assert done.error is None

    failed = await run({"y": ("Yields", {"results": [7]})})
    assert str(failed.error) == (
        "Node 'Yields' yielded int instead of a dict of its outputs"
    )


async def test_r06_a_node_that_ends_ends_its_outputs():
    done = await run(
        {"f": "Fail", "c": "Collect", "r": "Output"},
        "f -> c.input_item",
        "c -> r",
    )

    assert done.values == {"r": [[]]}
    assert str(done.error) == "boom"


async def test_r07_items_that_nobody_read_are_counted_in_a_warning():
    done = await run(
        {
            "e": ("E", {"values": [1, 2, 3, 4]}),
            "f": ("E", {"values": ["a"]}),
            "p": "P",
        },
        "e -> p.a",
        "f -> p.b",
        p={"sync_mode": "zip_all"},
    )

    assert done.warnings() == ["3 items were not used"]


async def test_r22_streaming_nodes_see_items_in_order_of_arrival():
    recording = Recording(
        graph(
            {"v": "StreamInput", "c": "StreamInput", "f": "Filter", "r": "Output"},
            "v.chunk -> f.value",
            "c.chunk -> f.criteria",
            "f -> r",
        )
    )
    for name, value in [("c", "a"), ("v", "ab"), ("v", "b"), ("c", "b"), ("v", "bc")]:
        recording.run.push_input(name, value)
    recording.run.end_input("v")
    recording.run.end_input("c")
    await recording.execute()

    assert recording.values == {"r": ["ab", "bc"]}


async def test_r22_streaming_nodes_keep_the_properties_that_have_no_edge():
    done = await run(
        {
            "e": ("E", {"values": ["ab", "b"]}),
            "f": ("Filter", {"criteria": "a"}),
            "r": "Output",
        },
        "e -> f.value",
        "f -> r",
    )

    assert done.values == {"r": ["ab"]}


async def test_r20_a_misfit_that_a_streaming_node_takes_fails_it():
    done = await run(
        {"e": ("E", {"values": ["a", 1]}), "f": "Filter", "r": "Output"},
        "e -> f.value",
        "f -> r",
    )

    assert done.values == {"r": ["a"]}
    assert done.statuses("f") == ["running", "error"]
    assert "expected str, got int 1" in str(done.error)


async def test_r23_a_connected_condition_is_waited_for():
    recording = Recording(
        graph(
            {"v": "StreamInput", "c": "StreamInput", "if": "If", "r": "Output"},
            "v.chunk -> if.value",
            "c.chunk -> if.condition",
            "if.if_true -> r",
        )
    )
    recording.run.push_input("v", "value")
    await settle(5)
    recording.run.push_input("c", True)
    recording.run.end_input("v")
    recording.run.end_input("c")
    await recording.execute()

    assert recording.values == {"r": ["value"]}


async def test_r23_one_condition_holds_for_many_values():
    done = await run(
        {
            "e": ("E", {"values": [1, 2, 3]}),
            "k": ("K", {"value": True}),
            "if": "If",
            "r": "Output",
        },
        "e -> if.value",
        "k -> if.condition",
        "if.if_true -> r",
    )

    assert done.values == {"r": [1, 2, 3]}


async def test_r23_conditions_and_values_of_one_loop_join():
    done = await run(
        {
            "s": ("ForEach", {"input_list": [True, False, True]}),
            "slow": "Slow",
            "if": "If",
            "yes": "Output",
            "no": "Output",
        },
        "s -> slow",
        "slow -> if.condition",
        "s.index -> if.value",
        "if.if_true -> yes",
        "if.if_false -> no",
    )

    assert done.values == {"yes": [0, 2], "no": [1]}


async def test_r23_without_edges_the_properties_make_one_item():
    done = await run(
        {"if": ("If", {"condition": True, "value": 5}), "r": "Output"},
        "if.if_true -> r",
    )

    assert done.values == {"r": [5]}


async def test_r24_collect_makes_one_list_of_everything():
    done = await run(
        {
            "e": ("E", {"values": [["a", "b"], ["c"]]}),
            "s": "ForEach",
            "c": "Collect",
            "r": "Output",
        },
        "e -> s.input_list",
        "s -> c.input_item",
        "c -> r",
    )

    assert done.values == {"r": [["a", "b", "c"]]}
    assert done.statuses("c") == ["running", "completed"]


async def test_r24_collect_makes_an_empty_list_of_nothing():
    done = await run(
        {"e": ("E", {"values": []}), "c": "Collect", "r": "Output"},
        "e -> c.input_item",
        "c -> r",
    )

    assert done.values == {"r": [[]]}
    assert done.statuses("c") == ["running", "completed"]


@pytest.mark.parametrize("between", [False, True])
async def test_r25_reading_one_input_before_the_other_does_not_hang(between):
    edges = ["e -> n.x", "e -> s.value", "s -> n.y"] if between else []
    done = await run(
        {
            "e": ("E", {"values": list(range(50))}),
            "s": "Slow",
            "n": "YBeforeX",
            "r": "Output",
        },
        *(edges or ["e -> n.x", "e -> n.y"]),
        "n -> r",
    )

    everything = list(range(50))
    assert done.values == {"r": [{"xs": everything, "ys": everything}]}


async def test_r25_a_filter_that_passes_nothing_does_not_stop_its_sibling():
    done = await run(
        {
            "e": ("E", {"values": ["b"] * 40 + ["a"]}),
            "f": ("Filter", {"criteria": "a"}),
            "p": "P",
            "r": "Output",
        },
        "e -> p.a",
        "e -> f.value",
        "f -> p.b",
        "p -> r",
    )

    assert done.values == {"r": ["a-a"]}


async def test_r25_a_wait_in_a_circle_ends_while_another_branch_waits_outside():
    recording = Recording(
        graph(
            {
                "open": "StreamInput",
                "other": "Output",
                "e": ("E", {"values": list(range(20))}),
                "n": "YBeforeX",
                "r": "Output",
            },
            "open.chunk -> other",
            "e -> n.x",
            "e -> n.y",
            "n -> r",
        )
    )
    execution = asyncio.create_task(recording.execute())
    await settle(200)

    assert recording.statuses("r") == ["running", "completed"]
    recording.run.end_input("open")
    await execution


async def test_r25_a_circle_of_a_thousand_nodes_is_found():
    nodes = {f"n{i}": "Slow" for i in range(1000)}
    chain = [f"n{i} -> n{i + 1}" for i in range(999)]
    done = await run(
        {
            "e": ("E", {"values": list(range(6))}),
            "all": "Collect",
            "p": "P",
            "r": "Output",
            **nodes,
        },
        "e -> p.a",
        "e -> n0",
        *chain,
        "n999 -> all.input_item",
        "all -> p.b",
        "p -> r",
    )

    assert [text[0] for text in done.values["r"]] == list("012345")


async def test_r25_waiting_for_ones_turn_to_send_can_close_the_circle():
    done = await run(
        {
            "e": ("E", {"values": [0, 0, 2, 1, 1, 2, 2, 3, 0]}),
            "both": "BothAtOnce",
            "n": "YBeforeX",
            "p": "P",
        },
        "e -> both.x",
        "e -> both.y",
        "both -> n.x",
        "e -> n.y",
        "n -> p.a",
        "both -> p.b",
    )

    assert done.error is None
    assert set(done.statuses("p")) == {"running", "completed"}


@pytest.mark.parametrize("value", ["text", b"bytes", (x for x in ())])
async def test_r25_what_memory_shall_not_hold_goes_to_a_file(monkeypatch, value):
    monkeypatch.setattr(streams, "IN_MEMORY", 20)
    monkeypatch.setattr(overflow, "BLOCK", 7)
    files = []
    monkeypatch.setattr(
        streams, "Overflow", lambda: files.append(overflow.Overflow()) or files[-1]
    )
    everything = [[number, value] for number in range(500)]
    recording = Recording(
        graph(
            {"e": ("E", {"values": []}), "n": "YBeforeX", "r": "Output"},
            "e -> n.x",
            "e -> n.y",
            "n -> r",
        )
    )
    recording.run._graph.nodes[0].data = {"values": everything}
    await recording.execute()

    (update,) = recording.of(OutputUpdate)
    assert update.value == {"xs": everything, "ys": everything}
    assert files
    assert all(file._file.closed for file in files)


async def test_r25_a_cancelled_run_removes_its_files(monkeypatch):
    monkeypatch.setattr(streams, "IN_MEMORY", 20)
    recording = Recording(
        graph(
            {"c": ("Count", {"stop": 10**9}), "n": "YBeforeX"}, "c -> n.x", "c -> n.y"
        )
    )
    execution = asyncio.create_task(recording.run.execute())
    await settle(5)
    link = recording.run._scheduler.exchange.actors[1].incoming["x"][0]
    for _ in range(100):
        await settle()
    file = link.overflow
    execution.cancel()
    await asyncio.wait([execution])

    assert file._file.closed


async def test_r25_a_generator_that_waits_again_after_a_set_is_not_left_waiting():
    busy, idle = [50, {"output": "a"}], [{"output": "b"}]
    results = [{"x": busy, "y": 1}, *[{"x": []}] * 5, {"x": idle, "y": 2}]

    done = await asyncio.wait_for(
        run(
            {"n": ("Yields", {"results": results}), "g": "Steer", "r": "Output"},
            "n.x -> g.items",
            "n.y -> g.value",
            "g -> r",
        ),
        20,
    )

    assert done.values == {"r": ["a", "b"]}


async def test_r26_each_edge_has_its_own_bound_and_keeps_its_order():
    done = await run(
        {
            "e": ("E", {"values": list(range(30))}),
            "slow": "Slow",
            "fast": "Output",
            "r": "Output",
        },
        "e -> fast",
        "e -> slow",
        "slow -> r",
    )

    assert done.values == {"fast": list(range(30)), "r": list(range(30))}


async def test_a_generator_waits_for_its_consumer():
    Wait.prepare()
    recording = Recording(
        graph({"c": ("Count", {"stop": 1000}), "w": "Wait"}, "c -> w")
    )
    execution = asyncio.create_task(recording.execute())
    await Wait.started.wait()
    await settle()

    # One is being worked on, three wait on the edge, one is in the generator's hands.
    assert Count.made == 5
    Wait.go.set()
    await execution
    assert Count.made == 1000


async def test_a_chain_of_buffered_nodes_holds_back_its_source():
    Wait.prepare()
    recording = Recording(
        graph(
            {"c": ("Count", {"stop": 1000}), "s": "Slow", "p": "P", "w": "Wait"},
            "c -> s",
            "s -> p.a",
            "p -> w",
        )
    )
    execution = asyncio.create_task(recording.execute())
    await Wait.started.wait()
    await settle(200)

    assert Count.made < 20
    Wait.go.set()
    await execution


async def test_a_node_may_read_and_send_from_several_tasks():
    done = await run(
        {
            "e": ("E", {"values": [1, 2, 3, 4, 5]}),
            "f": ("E", {"values": [6, 7, 8, 9, 10]}),
            "n": "BothAtOnce",
            "slow": "Slow",
            "r": "Output",
        },
        "e -> n.x",
        "f -> n.y",
        "n -> slow",
        "slow -> r",
    )

    assert sorted(done.values["r"]) == sorted(
        [f"x{n}" for n in range(1, 6)] + [f"y{n}" for n in range(6, 11)]
    )


async def test_a_full_sink_makes_producers_wait():
    recording = Recording(
        graph({"c": ("Count", {"stop": 500}), "r": "Output"}, "c -> r")
    )
    recording.sink.room.clear()
    execution = asyncio.create_task(recording.execute())
    await settle()

    assert recording.sink.waits > 0
    assert len(recording.events) < 5
    recording.sink.room.set()
    await execution
    assert recording.values == {"r": list(range(500))}


async def test_a_long_stream_lets_others_have_the_loop():
    recording = Recording(
        graph({"c": ("Count", {"stop": 5000}), "r": "Output"}, "c -> r")
    )
    execution = asyncio.create_task(recording.execute())
    seen = []
    while not execution.done():
        await asyncio.sleep(0)
        seen.append(len(recording.of(OutputUpdate)))

    steps = [after - before for before, after in pairwise(seen)]
    assert max(steps) <= 64


async def test_a_long_chain_lets_others_have_the_loop():
    chain = [f"n{i} -> n{i + 1}.a" for i in range(999)]
    recording = Recording(graph({f"n{i}": "P" for i in range(1000)}, *chain))
    execution = asyncio.create_task(recording.execute())
    seen = []
    while not execution.done():
        await asyncio.sleep(0)
        seen.append(len(recording.of(NodeUpdate, status="completed")))

    steps = [after - before for before, after in pairwise(seen)]
    assert max(steps) <= 64
    assert seen[-1] == 1000


async def test_edge_counts_are_merged_not_told_per_item():
    done = await run({"c": ("Count", {"stop": 5000}), "r": "Output"}, "c -> r")

    assert len(done.of(EdgeUpdate)) < 500
    assert done.edge("e0")[-2:] == [("message_sent", 5000), ("drained", 5000)]


async def test_a_time_limit_inside_a_node_ends_that_wait_alone():
    done = await run(
        {"t": "Timed", "u": "Timed", "r": "Output", "s": "Output"},
        "t -> r",
        "u -> s",
    )

    assert done.error is None
    assert done.values == {"r": ["timed out"], "s": ["timed out"]}
