"""Which items a node gets together: execution rules R8 to R21."""

import pytest

from tests.engine.running import Recording, graph, run, settle
from workflows.engine.events import NodeUpdate

ZIP = {"sync_mode": "zip_all"}


async def test_r01_a_node_without_edges_runs_once_with_its_own_properties():
    done = await run({"k": ("K", {"value": 7}), "r": "Output"}, "k -> r")

    assert done.values == {"r": [7]}
    assert done.statuses("k") == ["running", "completed"]


async def test_r08_one_connected_handle_makes_one_run_per_item():
    done = await run(
        {"e": ("E", {"values": [1, 2, 3]}), "p": ("P", {"b": "x"}), "r": "Output"},
        "e -> p.a",
        "p -> r",
    )

    assert done.values == {"r": ["1-x", "2-x", "3-x"]}
    assert done.statuses("p") == ["running", "completed"] * 3


async def test_r09_every_arrival_runs_with_the_latest_of_the_others():
    recording = Recording(
        graph(
            {"e": "StreamInput", "f": "StreamInput", "p": "P", "r": "Output"},
            "e.chunk -> p.a",
            "f.chunk -> p.b",
            "p -> r",
        )
    )
    for name, value in [("e", 1), ("f", "a"), ("e", 2), ("f", "b"), ("e", 3)]:
        recording.run.push_input(name, value)
        await settle(5)
    recording.run.end_input("e")
    recording.run.end_input("f")
    await recording.execute()

    assert recording.values == {"r": ["1-a", "2-a", "2-b", "3-b"]}


@pytest.mark.parametrize("mode", ["on_any", "zip_all"])
@pytest.mark.parametrize("constant", ["K", "Slow"])
async def test_r10_a_stream_waits_for_a_constant_and_loses_nothing(mode, constant):
    done = await run(
        {
            "s": ("ForEach", {"input_list": ["a", "b", "c"]}),
            "k": (constant, {"value": "K"}),
            "p": "P",
            "r": "Output",
        },
        "s -> p.a",
        "k -> p.b",
        "p -> r",
        p={"sync_mode": mode},
    )

    assert done.values == {"r": ["a-K", "b-K", "c-K"]}


@pytest.mark.parametrize("mode", ["on_any", "zip_all"])
async def test_r11_branches_of_one_iteration_join_by_it(mode):
    done = await run(
        {
            "s": ("ForEach", {"input_list": ["a", "b", "c"]}),
            "u": "FormatText",
            "p": "P",
            "r": "Output",
        },
        "s -> p.a",
        "s -> u.text",
        "u -> p.b",
        "p -> r",
        p={"sync_mode": mode},
    )

    assert done.values == {"r": ["a-A", "b-B", "c-C"]}


@pytest.mark.parametrize("mode", ["on_any", "zip_all"])
async def test_r11_what_was_joined_is_still_a_part_of_its_iteration(mode):
    done = await run(
        {
            "s": ("ForEach", {"input_list": ["a", "b", "c"]}),
            "u": "FormatText",
            "p": "P",
            "q": "P",
            "r": "Output",
        },
        "s -> p.a",
        "s -> u.text",
        "u -> p.b",
        "p -> q.a",
        "s -> q.b",
        "q -> r",
        q={"sync_mode": mode},
    )

    assert done.values == {"r": ["a-A-a", "b-B-b", "c-C-c"]}


async def test_r11_an_outer_item_is_held_for_all_of_its_inner_items():
    done = await run(
        {
            "outer": ("ForEach", {"input_list": [["a", "b"], [], ["c"]]}),
            "inner": "ForEach",
            "p": "P",
            "r": "Output",
        },
        "outer -> inner.input_list",
        "outer.index -> p.a",
        "inner -> p.b",
        "p -> r",
    )

    assert done.values == {"r": ["0-a", "0-b", "2-c"]}


async def test_r11_two_inner_loops_pair_within_their_outer_item_only():
    done = await run(
        {
            "outer": ("ForEach", {"input_list": [["a", "b"], ["c"]]}),
            "left": "ForEach",
            "right": "ForEach",
            "p": "P",
            "r": "Output",
        },
        "outer -> left.input_list",
        "outer -> right.input_list",
        "left -> p.a",
        "right -> p.b",
        "p -> r",
        p=ZIP,
    )

    assert done.values == {"r": ["a-a", "b-b", "c-c"]}


async def test_r11_the_join_holds_when_a_branch_takes_longer():
    done = await run(
        {
            "s": ("E", {"values": list(range(20))}),
            "slow": "Slow",
            "slower": "Slow",
            "p": "Triple",
            "r": "Output",
        },
        "s -> p.a",
        "s -> slow",
        "slow -> p.b",
        "slow -> slower",
        "slower -> p.c",
        "p -> r",
    )

    assert done.values == {"r": [f"{n}-{n}-{n}" for n in range(20)]}


async def test_r11_items_that_one_item_became_all_join_with_it():
    done = await run(
        {"s": ("E", {"values": [1, 2, 3]}), "d": "Double", "p": "P", "r": "Output"},
        "s -> p.a",
        "s -> d",
        "d -> p.b",
        "p -> r",
    )

    assert done.values == {"r": ["1-1", "1-1", "2-2", "2-2", "3-3", "3-3"]}


async def test_r12_unrelated_streams_use_every_item():
    done = await run(
        {
            "e": ("E", {"values": [1, 2, 3]}),
            "f": ("E", {"values": ["a", "b"]}),
            "p": "P",
            "r": "Output",
        },
        "e -> p.a",
        "f -> p.b",
        "p -> r",
    )

    pairs = [text.split("-") for text in done.values["r"]]
    assert [a for a, _ in pairs] == sorted(a for a, _ in pairs)
    assert {a for a, _ in pairs} == {"1", "2", "3"}
    assert {b for _, b in pairs} == {"a", "b"}
    assert pairs[-1] == ["3", "b"]
    assert len(pairs) == 4


async def test_r12_arrivals_queue_until_the_set_is_complete_then_keep_their_order():
    recording = Recording(
        graph(
            {"e": "StreamInput", "f": "StreamInput", "p": "P", "r": "Output"},
            "e.chunk -> p.a",
            "f.chunk -> p.b",
            "p -> r",
        )
    )
    for name, value in [("e", 1), ("e", 2), ("f", "a"), ("e", 3), ("f", "b")]:
        recording.run.push_input(name, value)
    recording.run.end_input("e")
    recording.run.end_input("f")
    await recording.execute()

    assert recording.values == {"r": ["1-a", "2-a", "3-a", "3-b"]}


async def test_r12_a_late_single_value_is_used_with_every_item():
    done = await run(
        {
            "s": ("ForEach", {"input_list": ["a", "b", "c", "d", "e"]}),
            "all": "Collect",
            "p": "P",
            "r": "Output",
        },
        "s -> p.a",
        "s -> all.input_item",
        "all -> p.b",
        "p -> r",
    )

    whole = ["a", "b", "c", "d", "e"]
    assert done.values == {"r": [f"{letter}-{whole}" for letter in whole]}


async def test_r13_zip_all_pairs_by_position_and_drops_the_tail():
    done = await run(
        {
            "e": ("E", {"values": [1, 2, 3]}),
            "f": ("E", {"values": ["a", "b"]}),
            "p": "P",
            "r": "Output",
        },
        "e -> p.a",
        "f -> p.b",
        "p -> r",
        p=ZIP,
    )

    assert done.values == {"r": ["1-a", "2-b"]}


async def test_r14_zip_all_reuses_what_is_no_stream():
    done = await run(
        {
            "e": ("E", {"values": [1, 2, 3]}),
            "k": ("K", {"value": "K"}),
            "p": "P",
            "r": "Output",
        },
        "e -> p.a",
        "k -> p.b",
        "p -> r",
        p=ZIP,
    )

    assert done.values == {"r": ["1-K", "2-K", "3-K"]}


@pytest.mark.parametrize("mode", ["on_any", "zip_all"])
async def test_r14_constants_alone_make_one_run(mode):
    done = await run(
        {
            "k": ("K", {"value": 1}),
            "l": ("K", {"value": 2}),
            "p": "P",
            "r": "Output",
        },
        "k -> p.a",
        "l -> p.b",
        "p -> r",
        p={"sync_mode": mode},
    )

    assert done.values == {"r": ["1-2"]}


@pytest.mark.parametrize("mode", ["on_any", "zip_all"])
async def test_r15_a_filter_in_one_branch_does_not_shift_the_pairs(mode):
    done = await run(
        {
            "s": ("ForEach", {"input_list": ["aa", "b", "ac"]}),
            "f": ("Filter", {"criteria": "a"}),
            "p": "P",
            "r": "Output",
        },
        "s -> p.a",
        "s -> f.value",
        "f -> p.b",
        "p -> r",
        p={"sync_mode": mode},
    )

    assert done.values == {"r": ["aa-aa", "ac-ac"]}


async def test_r15_two_filters_leave_what_passes_both():
    done = await run(
        {
            "s": ("ForEach", {"input_list": ["ab", "a", "b", "ba", "c"]}),
            "f": ("Filter", {"criteria": "a"}),
            "g": ("Filter", {"criteria": "b"}),
            "p": "P",
            "r": "Output",
        },
        "s -> f.value",
        "s -> g.value",
        "f -> p.a",
        "g -> p.b",
        "p -> r",
    )

    assert done.values == {"r": ["ab-ab", "ba-ba"]}


async def test_r16_a_handle_that_ends_empty_keeps_the_node_from_running():
    done = await run(
        {
            "e": ("E", {"values": []}),
            "k": ("K", {"value": 1}),
            "p": "P",
            "q": ("P", {"b": "x"}),
            "r": "Output",
            "s": "Output",
        },
        "e -> p.a",
        "k -> p.b",
        "p -> q.a",
        "q -> r",
        "k -> s",
    )

    assert done.error is None
    assert done.values == {"s": [1]}
    assert done.statuses("p") == done.statuses("q") == done.statuses("r") == []


async def test_r16_the_untaken_branch_of_an_if_stays_silent():
    done = await run(
        {
            "k": ("K", {"value": "v"}),
            "if": ("If", {"condition": True}),
            "no": "If",
            "yes": "Output",
            "never": "Output",
        },
        "k -> if.value",
        "if.if_true -> yes",
        "if.if_false -> no.value",
        "no.if_true -> never",
    )

    assert done.values == {"yes": ["v"]}
    assert done.statuses("no") == done.statuses("never") == []
    assert done.edge("e2") == [("drained", 0)]


async def test_r17_several_edges_into_a_list_gather_everything_in_edge_order():
    done = await run(
        {
            "e": ("E", {"values": [1, [2, 3]]}),
            "slow": "Slow",
            "f": ("E", {"values": [4]}),
            "label": ("E", {"values": ["old", "new"]}),
            "g": "Gather",
            "r": "Output",
        },
        "e -> slow",
        "slow -> g.items",
        "f -> g.items",
        "label -> g.label",
        "g -> r",
    )

    assert done.values == {"r": [{"items": [1, 2, 3, 4], "label": "new"}]}


async def test_r17_gathering_nothing_gives_an_empty_list():
    done = await run(
        {
            "e": ("E", {"values": []}),
            "f": ("E", {"values": []}),
            "g": "Gather",
            "r": "Output",
        },
        "e -> g.items",
        "f -> g.items",
        "g -> r",
    )

    assert done.values == {"r": [{"items": [], "label": ""}]}


async def test_r17_another_handle_that_ends_empty_keeps_a_gathering_node_silent():
    done = await run(
        {
            "e": ("E", {"values": [1]}),
            "f": ("E", {"values": [2]}),
            "label": ("E", {"values": []}),
            "g": "Gather",
            "r": "Output",
        },
        "e -> g.items",
        "f -> g.items",
        "label -> g.label",
        "g -> r",
    )

    assert done.values == {}
    assert done.statuses("g") == []


async def test_r18_one_edge_into_a_list_wraps_each_item():
    done = await run(
        {"e": ("E", {"values": [1, 2]}), "n": "Numbers", "r": "Output"},
        "e -> n.items",
        "n -> r",
    )

    assert done.values == {"r": [[1], [2]]}


async def test_r19_each_run_starts_from_the_properties_as_loaded():
    done = await run(
        {"e": ("E", {"values": [[1, 2], [], [3]]}), "n": "Length", "r": "Output"},
        "e -> n.values",
        "n -> r",
    )

    assert done.values == {"r": [2, 0, 1]}


async def test_r19_an_empty_list_in_a_loop_yields_nothing():
    done = await run(
        {"e": ("E", {"values": [["a"], [], ["b"]]}), "s": "ForEach", "r": "Output"},
        "e -> s.input_list",
        "s -> r",
    )

    assert done.values == {"r": ["a", "b"]}


async def test_r20_a_value_that_does_not_fit_is_an_error_of_the_node():
    done = await run(
        {"k": ("K", {"value": 3.7}), "s": "Secs", "r": "Output"},
        "k -> s.count",
        "s -> r",
    )

    assert done.values == {}
    assert done.statuses("s") == ["running", "error"]
    assert str(done.error) == (
        "[Secs] Invalid value for property 'count': expected int, got float 3.7"
    )


async def test_r21_nodes_do_not_change_what_their_neighbours_got():
    done = await run(
        {
            "k": ("K", {"value": [1]}),
            "two": ("Append", {"value": 2}),
            "three": ("Append", {"value": 3}),
            "r": "Output",
            "s": "Output",
        },
        "k -> two.values",
        "k -> three.values",
        "two -> r",
        "three -> s",
    )

    assert done.values == {"r": [[1, 2]], "s": [[1, 3]]}


async def test_pieces_of_text_are_a_stream_beside_the_whole_text():
    done = await run(
        {"s": ("Pieces", {"pieces": ["a", "b"]}), "p": "P", "r": "Output"},
        "s.chunk -> p.a",
        "s.text -> p.b",
        "p -> r",
    )

    assert [text.rpartition("-")[2] for text in done.values["r"]] == ["ab", "ab"]


async def test_running_tells_the_properties_with_the_set():
    done = await run(
        {"e": ("E", {"values": [1, 2]}), "p": ("P", {"b": "x"})}, "e -> p.a"
    )

    shown = [u.properties for u in done.of(NodeUpdate, node_id="p", status="running")]
    assert shown == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
