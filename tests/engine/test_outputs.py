"""Outputs and previews, and the result of a run: R30 to R32b, messages section 4.1."""

import asyncio

import msgspec
import pytest

from tests.engine.running import MemoryAssets, Recording, graph, run, settle
from tests.engine.sample_nodes import Ticks, Wait
from workflows.engine import outputs as outputs_module
from workflows.engine.events import NodeUpdate, OutputUpdate, PreviewUpdate
from workflows.engine.outputs import OutputCollector
from workflows.engine.values import text_chunk


async def test_r30_every_item_has_its_output_update():
    done = await run({"e": ("E", {"values": [1, "a"]}), "r": "Output"}, "e -> r")

    updates = done.of(OutputUpdate)
    assert [
        (u.node_id, u.node_name, u.output_name, u.value, u.output_type, u.metadata)
        for u in updates
    ] == [("r", "r", "r", 1, "int", {}), ("r", "r", "r", "a", "str", {})]


@pytest.mark.parametrize("value", ["own", None])
async def test_r30_an_output_without_edges_gives_its_value(value):
    done = await run({"r": ("Output", {"value": value})})

    assert done.values == {"r": [value]}
    assert done.statuses("r") == ["running", "completed"]


async def test_an_output_passes_its_items_on():
    done = await run(
        {
            "e": ("E", {"values": [1, 2, 3, 4, 5]}),
            "r": "Output",
            "slow": "Slow",
            "s": "Output",
        },
        "e -> r",
        "r -> slow",
        "slow -> s",
    )

    assert done.values == {"r": [1, 2, 3, 4, 5], "s": [1, 2, 3, 4, 5]}


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 5])
async def test_an_output_keeps_the_order_however_fast_its_neighbours_are(rounds):
    done = await run(
        {"t": ("Ticks", {"rounds": rounds}), "r": "Output", "w": "Slow", "s": "Output"},
        "t -> r",
        "r -> w",
        "w -> s",
    )

    assert done.values == {"r": list(range(30)), "s": list(range(30))}


async def test_a_generator_waits_for_what_stands_behind_an_output():
    Wait.prepare()
    recording = Recording(
        graph({"t": "Ticks", "r": "Output", "w": "Wait"}, "t -> r", "r -> w")
    )
    execution = asyncio.create_task(recording.execute())
    await settle(200)

    assert Ticks.made < 10
    Wait.go.set()
    await execution
    assert recording.values == {"r": list(range(30))}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "none"),
        (True, "bool"),
        (1.5, "float"),
        ([1], "list"),
        ({"a": 1}, "dict"),
        ({"type": "unheard-of"}, "dict"),
        ({"type": "image", "uri": "https://x/y.png"}, "image"),
        (text_chunk("a"), "chunk"),
    ],
)
async def test_the_output_type_follows_the_value(value, name):
    done = await run(
        {"k": ("K", {"value": [value]}), "s": "ForEach", "r": "Output"},
        "k -> s.input_list",
        "s -> r",
    )

    assert [update.output_type for update in done.of(OutputUpdate)] == [name]


async def test_r31_equal_neighbours_are_kept():
    done = await run({"e": ("E", {"values": [1, 1, 2, 1]}), "r": "Output"}, "e -> r")

    assert done.result == {"outputs": {"r": [1, 1, 2, 1]}, "r": 1}


async def test_r32_an_output_that_got_nothing_says_nothing():
    done = await run({"e": ("E", {"values": []}), "r": "Output"}, "e -> r")

    assert done.of(OutputUpdate) == done.of(NodeUpdate, node_id="r") == []
    assert done.result == {"outputs": {}}


async def test_r32b_a_preview_shows_each_item_and_passes_it_on():
    done = await run(
        {"e": ("E", {"values": [1, 2]}), "v": "Preview", "r": "Output"},
        "e -> v",
        "v -> r",
    )

    assert [(u.node_id, u.value) for u in done.of(PreviewUpdate)] == [
        ("v", 1),
        ("v", 2),
    ]
    assert done.values == {"r": [1, 2]}


@pytest.mark.parametrize(("value", "shown"), [("own", ["own"]), (None, [])])
async def test_r32b_an_unconnected_preview_shows_its_own_value(value, shown):
    done = await run({"v": ("Preview", {"value": value})})

    assert [update.value for update in done.of(PreviewUpdate)] == shown
    assert done.values == {}


async def test_streamed_texts_fold_into_one_text():
    done = await run({"e": ("E", {"values": ["ha", "ha"]}), "r": "Output"}, "e -> r")

    assert done.result == {"outputs": {"r": ["ha", "ha"]}, "r": "haha"}
    assert {update.disposition for update in done.of(OutputUpdate)} == {"append"}


async def test_streamed_chunks_fold_into_one_text():
    done = await run(
        {"s": ("Pieces", {"pieces": ["Hel", "lo"]}), "r": "Output"}, "s.chunk -> r"
    )

    assert done.result["r"] == "Hello"
    assert [chunk["content"] for chunk in done.values["r"]] == ["Hel", "lo"]


async def test_anything_else_folds_into_its_last_value():
    sound = {"type": "chunk", "content_type": "audio", "content": "UklGRg=="}
    mixed = await run({"e": ("E", {"values": ["a", 1]}), "r": "Output"}, "e -> r")
    plain = await run({"t": ("Text", {"value": "a"}), "r": "Output"}, "t -> r")
    sounds = await run({"e": ("E", {"values": [sound]}), "r": "Output"}, "e -> r")

    assert mixed.result["r"] == 1
    assert plain.result["r"] == "a"
    assert plain.of(OutputUpdate)[0].disposition is msgspec.UNSET
    assert sounds.result["r"] == sound


async def test_an_output_named_outputs_does_not_hide_the_lists():
    done = await run(
        {"e": ("E", {"values": [1, 2]}), "outputs": "Output"}, "e -> outputs"
    )

    assert done.result == {"outputs": {"outputs": [1, 2]}}


async def test_lists_past_the_limit_go_on_in_an_asset():
    assets = MemoryAssets()
    collector = OutputCollector(assets, limit=1000)
    texts = [f"{number:05}" for number in range(1000)]
    for text in texts:
        collector.add("long", text, is_piece=True)
        if collector.must_spill:
            await collector.spill()
    collector.add("short", 1)
    result = await collector.result()

    assert result["outputs"]["long"]["asset_id"] == "long.json"
    assert msgspec.json.decode(assets.files["long.json"]) == texts
    assert result["long"]["asset_id"] == "long.txt"
    assert assets.files["long.txt"].decode() == "".join(texts)
    assert result["outputs"]["short"] == [1]
    assert assets.largest <= 1000 + len('"00000",')


async def test_a_spilled_list_that_is_no_text_folds_into_its_last_value():
    assets = MemoryAssets()
    collector = OutputCollector(assets, limit=100)
    for number in range(100):
        collector.add("long", f"{number}", is_piece=True)
        if collector.must_spill:
            await collector.spill()
    collector.add("long", 7)
    result = await collector.result()

    assert result["long"] == 7
    assert msgspec.json.decode(assets.files["long.json"])[-2:] == ["99", 7]
    assert "long.txt" in assets.discarded


async def test_a_list_that_passes_the_limit_at_the_very_end_goes_to_an_asset_too():
    assets = MemoryAssets()
    collector = OutputCollector(assets, limit=100)
    text = "a" * 200
    collector.add("long", text)
    result = await collector.result()

    assert result["outputs"]["long"]["asset_id"] == "long.json"
    assert msgspec.json.decode(assets.files["long.json"]) == [text]
    assert result["long"] is text


async def test_a_run_that_fills_the_memory_spills_while_it_runs(monkeypatch):
    monkeypatch.setattr(
        outputs_module.OutputCollector.__init__, "__kwdefaults__", {"limit": 500}
    )
    done = await run({"c": ("Count", {"stop": 2000}), "r": "Output"}, "c -> r")

    assert msgspec.json.decode(done.assets.files["r.json"]) == list(range(2000))
    assert done.assets.largest < 1500
    assert done.result["r"] == 1999


async def test_a_run_that_is_cancelled_while_it_spills_keeps_what_it_had():
    assets = MemoryAssets()
    collector = OutputCollector(assets, limit=100)
    for number in range(100):
        collector.add("long", number)
    spilling = asyncio.create_task(collector.spill())
    await asyncio.sleep(0)
    spilling.cancel()
    await asyncio.wait([spilling])
    collector.add("long", 100)
    await collector.result()

    assert msgspec.json.decode(assets.files["long.json"]) == list(range(101))


async def test_what_was_spilled_can_be_thrown_away():
    assets = MemoryAssets()
    collector = OutputCollector(assets, limit=10)
    collector.add("long", "a" * 20, is_piece=True)
    await collector.spill()
    collector.discard()

    assert assets.files == {}
    assert "long.json" in assets.discarded
