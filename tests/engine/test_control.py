"""Nodes that run when others tell them to: R53 to R61."""

import asyncio
from typing import Any

import pytest

from tests.engine.running import Recording, graph, run, settle
from tests.engine.sample_nodes import Wait
from workflows.engine import replay
from workflows.engine.control_events import RunEvent, StopEvent, TargetedEvent
from workflows.engine.events import EdgeUpdate, NodeUpdate, OutputUpdate


def event(**properties: Any) -> dict[str, Any]:
    return {"__control__": {"event_type": "run", "properties": properties}}


STOP = {"__control__": {"event_type": "stop"}}


def to(target: str, **properties: Any) -> dict[str, Any]:
    told = event(**properties)["__control__"]
    return {"__control__": {"target_node_id": target, "event": told}}


def steer(*items: Any, **data: Any) -> tuple[str, dict[str, Any]]:
    return ("Steer", {"items": list(items), **data})


def asking(*asks: Any, **data: Any) -> tuple[str, dict[str, Any]]:
    return ("Ask", {"asks": [list(ask) for ask in asks], **data})


# -- Events


async def test_r53_a_controlled_node_runs_once_for_each_event():
    done = await run(
        {"c": steer(event(a=1), event(a=2)), "p": ("P", {"b": "x"}), "r": "Output"},
        "c => p",
        "p -> r",
    )

    assert done.values == {"r": ["1-x", "2-x"]}
    assert done.statuses("p") == ["running", "completed"] * 2


async def test_r53_an_event_goes_to_all_targets_or_to_one():
    done = await run(
        {
            "c": steer(event(a=1), to("q", a=2)),
            "p": "P",
            "q": "P",
            "rp": "Output",
            "rq": "Output",
        },
        "c => p",
        "c => q",
        "p -> rp",
        "q -> rq",
    )

    assert done.values == {"rp": ["1-"], "rq": ["1-", "2-"]}


@pytest.mark.parametrize(
    "sent",
    [
        RunEvent({"a": 1}),
        TargetedEvent("p", RunEvent({"a": 1})),
        [RunEvent({"a": 1}), RunEvent({"a": 2})],
        [event(a=1)["__control__"], to("p", a=2)["__control__"]],
    ],
    ids=["event", "targeted", "list", "list of dicts"],
)
async def test_r53_a_node_with_one_result_sends_events_with_it(sent):
    result = {"__control__": sent, "output": "data"}
    done = await run(
        {
            "c": ("SteerOnce", {"result": result}),
            "p": "P",
            "d": "Output",
            "r": "Output",
        },
        "c => p",
        "c -> d",
        "p -> r",
    )

    count = len(sent) if isinstance(sent, list) else 1
    assert done.values == {"d": ["data"], "r": ["1-", "2-"][:count]}


async def test_r53_a_streaming_node_sends_events_as_it_goes():
    done = await run(
        {"e": ("E", {"values": [1, 2]}), "c": "SteerStream", "p": "P", "r": "Output"},
        "e -> c",
        "c => p",
        "p -> r",
    )

    assert done.values == {"r": ["-1", "-2"]}
    assert done.statuses("c") == ["running", "completed"]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (7, "Expected `object`, got `int`"),
        ({"event_type": "jump"}, "Invalid value 'jump'"),
        ({"properties": {}}, "missing required field `event_type`"),
        ({"event_type": "run", "properties": 1}, "Expected `object`, got `int`"),
        ({"event_type": "run", "extra": 1}, "contains unknown field `extra`"),
        ({"target_node_id": "p"}, "missing required field `event`"),
    ],
)
async def test_r53_what_is_no_event_fails_the_controller(sent, reason):
    done = await run({"c": steer({"__control__": sent}), "p": "P"}, "c => p")

    assert "Node 'Steer' sent what is no control event" in str(done.error)
    assert reason in str(done.error)
    assert done.statuses("c") == ["running", "error"]
    assert done.statuses("p") == []


async def test_r53_an_event_for_a_node_that_is_not_controlled_fails_the_controller():
    done = await run({"c": steer(to("q")), "p": "P", "q": "P"}, "c => p")

    assert str(done.error) == "No control edge leads from this node to 'q'"
    assert done.statuses("c")[-1] == "error"


async def test_r05_a_node_that_does_not_control_cannot_send_events():
    done = await run({"y": ("Yields", {"results": [event()]}), "p": "P"}, "y => p")

    assert str(done.error) == (
        "Node 'Yields' tried to emit to unknown output '__control__'"
    )


async def test_r44_the_result_of_a_controller_is_told_without_its_events():
    done = await run(
        {"c": steer({**event(a=1), "output": 5}), "o": "OldSteer", "p": "P"},
        "c => p",
        "o => p",
    )

    (told,) = done.of(NodeUpdate, node_id="c", status="completed")
    assert told.result == {"output": 5}
    (told,) = done.of(NodeUpdate, node_id="o", status="completed")
    assert told.result == {"result": "done"}


async def test_r45_control_edges_are_counted_and_drained_like_others():
    done = await run({"c": steer(event(), event()), "p": "P"}, "c => p")

    told = done.edge("e0")
    assert told[-1] == ("drained", 2)
    assert [status for status, _ in told].count("drained") == 1


# -- Properties


async def test_r54_properties_hold_for_one_run():
    done = await run(
        {"c": steer(event(secs=1), event()), "s": "Secs", "r": "Output"},
        "c => s",
        "s -> r",
    )

    assert [value[0] for value in done.values["r"]] == [1, 0.5]
    told = [each.properties for each in done.of(NodeUpdate, node_id="s")]
    assert [each["secs"] for each in told if each] == [1, 0.5]


async def test_r54_properties_are_coerced_as_any_value_is():
    done = await run(
        {"c": steer(event(count=3.0, maybe=None)), "s": "Secs", "r": "Output"},
        "c => s",
        "s -> r",
    )

    assert done.values["r"] == [[0.5, 3, "low", None]]
    assert type(done.values["r"][0][1]) is int


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"nothing": 1}, "[Secs] An event cannot set 'nothing'"),
        ({"count": 3.7}, "[Secs] Invalid value for property 'count': expected int"),
        ({"secs": 99}, "[Secs] Invalid value for property 'secs': expected at most 60"),
    ],
)
async def test_r54_a_property_that_is_unknown_or_does_not_fit_fails_the_node(
    properties, reason
):
    done = await run(
        {"c": steer(event(**properties), event()), "s": "Secs", "r": "Output"},
        "c => s",
        "s -> r",
    )

    assert str(done.error).startswith(reason)
    assert done.statuses("s") == ["running", "error"]
    assert done.statuses("c") == ["running", "completed"]
    assert done.values == {}


async def test_r54_an_event_may_set_inputs_that_the_user_added():
    done = await run(
        {"c": steer(event(added=1)), "d": "Dynamic", "r": "Output"}, "c => d", "d -> r"
    )

    assert done.values["r"] == [{"added": 1}]


async def test_r54_properties_of_an_event_win_over_data():
    done = await run(
        {
            "c": steer(event(a=1), event()),
            "k": ("K", {"value": "data"}),
            "p": "P",
            "r": "Output",
        },
        "k -> p.a",
        "c => p",
        "p -> r",
    )

    assert done.values == {"r": ["1-", "data-"]}


async def test_r54_what_an_event_sets_is_not_waited_for():
    recording = Recording(
        graph(
            {"c": steer(event(a=1)), "i": "StreamInput", "p": "P", "r": "Output"},
            "i.chunk -> p.a",
            "c => p",
            "p -> r",
        )
    )
    execution = asyncio.create_task(recording.execute())
    await settle()

    assert [each.value for each in recording.of(OutputUpdate)] == ["1-"]
    await asyncio.wait_for(execution, 20)


async def test_old_controllers_send_a_dict_that_is_a_run_event():
    done = await run(
        {
            "c": ("OldSteer", {"properties": {"a": 1}}),
            "p": "P",
            "r": "Output",
            "d": "Output",
        },
        "c => p",
        "c.__control_output__ -> d",
        "p -> r",
    )

    assert done.values == {"r": ["1-"], "d": [{"a": 1}]}


# -- Several controllers


async def test_r55_events_of_several_controllers_come_first_in_first_out():
    done = await run(
        {
            "c": steer(event(a="c1"), 5, event(a="c2")),
            "d": steer(2, event(a="d1"), 8, event(a="d2"), 2, event(a="d3")),
            "p": "P",
            "r": "Output",
        },
        "c => p",
        "d => p",
        "p -> r",
    )

    assert done.values == {"r": ["c1-", "d1-", "c2-", "d2-", "d3-"]}


async def test_r55_events_that_wait_keep_their_order():
    recording = Recording(
        graph(
            {
                "c": steer(50, event(b="c")),
                "d": steer(event(b="d1"), event(b="d2")),
                "i": "StreamInput",
                "p": "P",
                "r": "Output",
            },
            "i.chunk -> p.a",
            "c => p",
            "d => p",
            "p -> r",
        )
    )
    execution = asyncio.create_task(recording.execute())
    await settle(100)
    assert (
        recording.statuses("c") == recording.statuses("d") == ["running", "completed"]
    )
    recording.run.push_input("i", "x")
    await asyncio.wait_for(execution, 20)

    assert recording.values == {"r": ["x-d1", "x-d2", "x-c"]}


async def test_r55_without_an_event_a_node_never_runs():
    done = await run(
        {"c": steer(), "p": "P", "r": "Output", "s": "Collect", "t": "Output"},
        "c => p",
        "p -> r",
        "p -> s.input_item",
        "s -> t",
    )

    assert done.error is None
    assert done.statuses("p") == []
    assert done.values == {"t": [[]]}


async def test_r55_a_controller_that_fails_ends_and_leaves_the_events_of_others():
    done = await run(
        {
            "c": steer(event(a=1), fails=True),
            "d": steer(9, event(a=2)),
            "p": "P",
            "r": "Output",
        },
        "c => p",
        "d => p",
        "p -> r",
    )

    assert str(done.error) == "controller boom"
    assert done.values == {"r": ["1-", "2-"]}


async def test_r60_two_edges_from_one_node_are_one_controller():
    done = await run(
        {
            "c": steer(event(a=1)),
            "d": steer(9, event(a=2), 9, event(a=3)),
            "p": "P",
            "r": "Output",
        },
        "c => p",
        "c => p",
        "d => p",
        "p -> r",
    )

    assert done.values == {"r": ["1-", "2-", "3-"]}
    for edge in ("e0", "e1", "e2"):
        assert [status for status, _ in done.edge(edge)].count("drained") == 1


async def test_a_controlled_node_may_control_another():
    done = await run(
        {
            "c": steer(event(value=1), event(value=2)),
            "d": "SteerOnce",
            "p": "P",
            "r": "Output",
        },
        "c => d",
        "d => p",
        "p -> r",
    )

    assert done.values == {"r": ["-1", "-2"]}


# -- Data


async def test_r56_a_node_runs_once_per_event_with_the_latest_values():
    done = await run(
        {
            "e": ("E", {"values": [1, 2, 3]}),
            "c": steer(20, event(b="x"), event(b="y")),
            "p": "P",
            "r": "Output",
        },
        "e -> p.a",
        "c => p",
        "p -> r",
    )

    assert done.values == {"r": ["3-x", "3-y"]}


async def test_r56_a_fast_source_does_not_wait_for_the_event():
    Wait.prepare()
    recording = Recording(
        graph(
            {
                "e": ("Count", {"stop": 1_000}),
                "w": ("Wait", {"value": "x"}),
                "c": "SteerOnce",
                "p": "P",
                "r": "Output",
            },
            "e -> p.a",
            "w -> c",
            "c => p",
            "p -> r",
        )
    )
    execution = asyncio.create_task(recording.execute())
    async with asyncio.timeout(20):
        while "completed" not in recording.statuses("e"):
            await settle(1)
        Wait.go.set()
        await execution

    assert recording.values == {"r": ["999-x"]}
    assert recording.warnings() == []


async def test_r56_every_data_input_is_waited_for():
    done = await run(
        {
            "c": steer(event(), event()),
            "k": ("Slow", {"value": "late"}),
            "p": "P",
            "r": "Output",
        },
        "k -> p.a",
        "c => p",
        "p -> r",
    )

    assert done.values == {"r": ["late-", "late-"]}


async def test_r56_an_input_that_ended_without_a_value_leaves_the_default():
    done = await run(
        {"c": steer(event()), "e": "E", "p": ("P", {"b": "x"}), "r": "Output"},
        "e -> p.a",
        "c => p",
        "p -> r",
    )

    assert done.values == {"r": ["-x"]}


async def test_r56_several_edges_into_a_list_are_gathered_for_every_event():
    done = await run(
        {
            "e": ("E", {"values": [1, [2, 3]]}),
            "k": ("Slow", {"value": 4}),
            "f": "Slow",
            "c": steer(event(label="x"), event(label="y")),
            "g": "Gather",
            "r": "Output",
        },
        "e -> g.items",
        "k -> f",
        "f -> g.items",
        "c => g",
        "g -> r",
    )

    items = [1, 2, 3, 4]
    assert done.values["r"] == [
        {"items": items, "label": "x"},
        {"items": items, "label": "y"},
    ]


@pytest.mark.parametrize("direct", ["s -> p.a", "s -> w", "s -> t.text"])
async def test_r11_an_event_and_the_data_of_one_iteration_belong_together(direct):
    values = [f"v{i}" for i in range(12)]
    via = {"s -> w": "w -> p.a", "s -> t.text": "t -> p.a"}
    done = await run(
        {
            "s": ("ForEach", {"input_list": values}),
            "c": "SteerOnce",
            "w": "Slow",
            "t": "FormatText",
            "p": "P",
            "r": "Output",
        },
        "s -> c",
        direct,
        *([via[direct]] if direct in via else []),
        "c => p",
        "p -> r",
    )

    shown = [v.upper() if "text" in direct else v for v in values]
    assert done.values["r"] == [f"{a}-{b}" for a, b in zip(shown, values, strict=True)]


async def test_r11_a_slow_controller_gets_the_data_of_its_own_iteration():
    done = await run(
        {
            "s": ("ForEach", {"input_list": list(range(9))}),
            "w": "Slow",
            "c": "SteerOnce",
            "p": "P",
            "r": "Output",
        },
        "s -> w",
        "w -> c",
        "s -> p.a",
        "c => p",
        "p -> r",
    )

    assert done.values["r"] == [f"{i}-{i}" for i in range(9)]


async def test_r11_what_a_controller_yields_with_an_event_belongs_to_it():
    items = [{**event(b=i), "output": i} for i in range(9)]
    done = await run(
        {"c": steer(*items), "p": "P", "r": "Output"}, "c -> p.a", "c => p", "p -> r"
    )

    assert done.values["r"] == [f"{i}-{i}" for i in range(9)]


async def test_r11_a_controller_may_send_data_once_and_events_after_it():
    done = await run(
        {
            "c": steer({"output": "x"}, event(b=1), event(b=2), 200),
            "p": "P",
            "r": "Output",
        },
        "c -> p.a",
        "c => p",
        "p -> r",
    )

    assert done.values["r"] == ["x-1", "x-2"]
    told = [each for each in done.story(NodeUpdate) if not each.startswith("r ")]
    assert told == ["c running", *["p running", "p completed"] * 2, "c completed"]


async def test_r11_results_of_one_event_belong_together():
    events = [event(input_list=[i, i + 10]) for i in range(4)]
    done = await run(
        {
            "c": steer(*events),
            "s": "ForEach",
            "f": "Slow",
            "p": "P",
            "r": "Output",
        },
        "c => s",
        "s -> f",
        "f -> p.a",
        "s.index -> p.b",
        "p -> r",
    )

    values = [(i + 10 * n, n) for i in range(4) for n in range(2)]
    assert done.values["r"] == [f"{a}-{b}" for a, b in values]


async def test_r11_results_of_one_run_belong_together():
    events = [event(result={"x": i, "y": i}) for i in range(6)]
    done = await run(
        {"c": steer(*events), "n": "Returns", "f": "Slow", "p": "P", "r": "Output"},
        "c => n",
        "n.x -> f",
        "f -> p.a",
        "n.y -> p.b",
        "p -> r",
    )

    assert done.values["r"] == [f"{i}-{i}" for i in range(6)]


async def test_r23_a_controlled_node_gives_a_branch_more_than_one_value():
    done = await run(
        {
            "c": steer(event(a=1), event(a=2)),
            "p": "P",
            "k": ("K", {"value": True}),
            "i": "If",
            "r": "Output",
        },
        "c => p",
        "p -> i.value",
        "k -> i.condition",
        "i.if_true -> r",
    )

    assert done.values == {"r": ["1-", "2-"]}


async def test_a_controlled_node_is_a_stream_for_what_follows():
    done = await run(
        {
            "c": steer(event(a=1), event(a=2)),
            "p": "P",
            "k": ("K", {"value": "K"}),
            "q": "P",
            "r": "Output",
        },
        "c => p",
        "p -> q.a",
        "k -> q.b",
        "q -> r",
    )

    assert done.values == {"r": ["1--K", "2--K"]}


# -- Answers


async def test_r57_a_controller_gets_the_answer_to_each_event():
    done = await run(
        {
            "c": asking(["p", {"a": 1}], ["p", {"a": 2}], ["q", {}]),
            "k": ("K", {"value": "K"}),
            "p": "P",
            "q": ("Returns", {"result": {"x": 1, "y": 2}}),
            "r": "Output",
        },
        "k -> p.b",
        "c => p",
        "c => q",
        "c -> r",
    )

    answers = [{"output": "1-K"}, {"output": "2-K"}, {"x": 1, "y": 2}]
    assert done.values == {"r": [answers]}


async def test_r57_the_answer_comes_while_data_is_still_open():
    recording = Recording(
        graph(
            {
                "c": asking(["p", {"b": 1}], ["p", {"b": 2}]),
                "i": "StreamInput",
                "p": "P",
                "r": "Output",
            },
            "i.chunk -> p.a",
            "c => p",
            "c -> r",
        )
    )
    recording.run.push_input("i", "x")
    execution = asyncio.create_task(recording.execute())
    await settle()

    assert recording.statuses("c") == ["running", "completed"]
    assert recording.of(OutputUpdate)[0].value == [
        {"output": "x-1"},
        {"output": "x-2"},
    ]
    await asyncio.wait_for(execution, 20)


async def test_r57_answers_belong_to_events_whoever_else_sends_some():
    done = await run(
        {
            "c": asking(*(["p", {"a": f"c{i}"}] for i in range(5))),
            "d": asking(*(["p", {"a": f"d{i}"}] for i in range(5)), at_once=True),
            "e": steer(event(a="e"), 2, event(a="e"), 3, event(a="e")),
            "p": "P",
            "rc": "Output",
            "rd": "Output",
        },
        "c => p",
        "d => p",
        "e => p",
        "c -> rc",
        "d -> rd",
    )

    assert done.values == {
        "rc": [[{"output": f"c{i}-"} for i in range(5)]],
        "rd": [[{"output": f"d{i}-"} for i in range(5)]],
    }


async def test_r57_of_a_stream_the_answer_is_its_last_item():
    done = await run(
        {
            "c": asking(["s", {"input_list": ["a", "b"]}], ["f", {"criteria": "b"}]),
            "s": "ForEach",
            "e": ("E", {"values": ["ab", "b", "c"]}),
            "f": "Filter",
            "r": "Output",
        },
        "e -> f",
        "c => s",
        "c => f",
        "c -> r",
    )

    assert done.values == {"r": [[{"output": "b", "index": 1}, {"output": "b"}]]}


@pytest.mark.parametrize("keeps_on", [False, True])
async def test_r57_who_waits_is_told_that_the_node_has_failed(keeps_on):
    done = await run(
        {
            "c": asking(["f", {}], ["f", {}], keeps_on=keeps_on),
            "f": "Fail",
            "r": "Output",
        },
        "c => f",
        "c -> r",
    )

    first = "'Fail' has failed: boom"
    second = "'Fail' cannot run: 'Fail' has ended"
    assert done.statuses("c")[-1] == ("completed" if keeps_on else "error")
    assert done.values == ({"r": [[first, second]]} if keeps_on else {})
    if not keeps_on:
        assert done.of(NodeUpdate, node_id="c")[-1].error == first


async def test_r57_who_waits_is_told_that_the_node_has_ended():
    Wait.prepare()
    recording = Recording(
        graph(
            {
                "s": steer(event(), STOP),
                "k": ("Ticks", {"rounds": 9}),
                "c": asking(["w", {}], keeps_on=True),
                "w": "Wait",
                "r": "Output",
            },
            "s => w",
            "k -> c",
            "c => w",
            "c -> r",
        )
    )
    execution = asyncio.create_task(recording.execute())
    async with asyncio.timeout(20):
        while "running" not in recording.statuses("c"):
            await settle(1)
        Wait.go.set()
        await execution

    first, *others = recording.values["r"]
    assert first == ["'Wait' has ended"]
    assert len(others) == 29
    assert all(each == ["'Wait' cannot run: 'Wait' has ended"] for each in others)


IN_VAIN = (
    "'P' cannot run: it waits for an input that comes only after 'Ask' has gone on"
)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("way", [["c -> p.a"], ["c -> k", "k -> p.a"]])
async def test_r57_who_waits_for_a_node_that_waits_for_it_is_told(way, at_once):
    asks = [["q", {}], ["p", {}], ["q", {"a": 2}]]
    done = await run(
        {
            "c": asking(*asks, keeps_on=True, at_once=at_once),
            "k": "Slow",
            "p": "P",
            "q": "P",
            "r": "Output",
        },
        *way,
        "c => p",
        "c => q",
        "c -> r",
    )

    assert done.error is None
    assert done.values["r"] == [[{"output": "-"}, IN_VAIN, {"output": "2-"}]]
    assert done.statuses("p") == []


async def test_r57_of_a_chain_of_waits_the_last_is_told():
    done = await run(
        {
            "c": asking(["d", {}], keeps_on=True),
            "d": asking(["p", {}]),
            "p": "P",
            "r": "Output",
        },
        "c -> p.a",
        "c => d",
        "d => p",
        "c -> r",
    )

    assert str(done.error) == IN_VAIN
    assert done.values["r"] == [[f"'Ask' has failed: {IN_VAIN}"]]


async def test_r57_a_wait_is_not_in_vain_while_another_controller_may_send_events():
    recording = Recording(
        graph(
            {
                "c": asking(["q", {}]),
                "i": "StreamInput",
                "d": "SteerStream",
                "p": "P",
                "q": "P",
                "r": "Output",
            },
            "c => q",
            "c => p",
            "i.chunk -> d",
            "d => p",
            "p -> q.a",
            "c -> r",
        )
    )
    execution = asyncio.create_task(recording.execute())
    await settle()
    assert recording.statuses("c") == ["running"]
    recording.run.push_input("i", "x")
    recording.run.end_input("i")
    await asyncio.wait_for(execution, 20)

    assert recording.values == {"r": [[{"output": "-x-"}]]}


async def test_r57_a_streaming_node_may_run_its_target_without_any_input():
    done = await run(
        {"e": "E", "c": ("SteerStream", {"last": "p"}), "p": "P", "r": "Output"},
        "e -> c",
        "c => p",
        "p -> r",
    )

    assert done.values == {"r": ["-last"]}
    assert done.statuses("c") == ["running", "completed"]


async def test_r25_a_full_edge_grows_where_a_controller_waits_for_an_answer():
    values = ["no"] * 20 + ["yes"]
    done = await run(
        {
            "s": ("ForEach", {"input_list": values}),
            "f": ("Filter", {"criteria": "yes"}),
            "c": asking(["p", {}]),
            "p": "P",
            "r": "Output",
            "a": "Output",
        },
        "s -> c",
        "s -> f",
        "f -> p.a",
        "c => p",
        "p -> r",
        "c -> a",
    )

    assert done.error is None
    none, last = [{"output": "-no"}], [{"output": "yes-yes"}]
    assert done.values == {"r": ["-no"] * 20 + ["yes-yes"], "a": [none] * 20 + [last]}


# -- Streaming nodes, outputs


async def test_r58_a_streaming_node_reads_its_inputs_anew_for_each_event():
    done = await run(
        {
            "e": ("E", {"values": ["ab", "b", "a", "ba", "a"]}),
            "c": steer(event(criteria="a"), 9, event(criteria="b"), event()),
            "f": "Filter",
            "r": "Output",
        },
        "e -> f",
        "c => f",
        "f -> r",
    )

    assert done.error is None
    of_a, of_b, all_of_them = ["ab", "a", "ba", "a"], ["ab", "b", "ba"], 5
    assert done.values["r"][:7] == of_a + of_b
    assert len(done.values["r"]) == 7 + all_of_them
    assert done.statuses("f") == ["running", "completed"] * 3
    assert done.warnings() == []


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [("If", "condition", "value"), ("YBeforeX", "x", "y"), ("BothAtOnce", "x", "y")],
)
async def test_r58_every_way_to_read_begins_anew(kind, first, second):
    output = "if_true" if kind == "If" else "output"
    nodes = {
        "e": ("E", {"values": [True] * 5}),
        "f": ("E", {"values": [1, 2, 3, 4, 5]}),
        "n": kind,
        "r": "Output",
    }
    edges = [f"e -> n.{first}", f"f -> n.{second}", f"n.{output} -> r"]

    once = await run({**nodes, "c": steer(event())}, *edges, "c => n")
    thrice = await run({**nodes, "c": steer(*[event()] * 3)}, *edges, "c => n")

    assert once.error is thrice.error is None
    items, whole = thrice.values["r"], sorted(once.values["r"], key=str)
    size = len(whole)
    assert size > 0
    for start in (0, size, 2 * size):
        assert sorted(items[start : start + size], key=str) == whole


async def test_r58_what_an_event_sets_is_not_read_from_the_edge():
    done = await run(
        {
            "e": ("E", {"values": ["ab", "b"]}),
            "k": ("K", {"value": "c"}),
            "c": steer(event(criteria="a")),
            "f": "Filter",
            "r": "Output",
        },
        "k -> f.criteria",
        "e -> f",
        "c => f",
        "f -> r",
    )

    assert done.values["r"] == ["ab"]


async def test_r58_nothing_that_is_read_again_is_lost_further_down():
    done = await run(
        {
            "s": ("ForEach", {"input_list": ["a1", "a2", "a3"]}),
            "c": steer(event(criteria="a"), event(criteria="")),
            "f": "Filter",
            "p": "P",
            "r": "Output",
        },
        "s -> f",
        "c => f",
        "f -> p.a",
        "s -> p.b",
        "p -> r",
    )

    assert [value[:2] for value in done.values["r"]].count("a2") >= 2


async def test_r58_too_long_a_stream_can_be_read_once(monkeypatch):
    monkeypatch.setattr(replay, "MAX_KEPT", 50)
    nodes = {"e": ("Count", {"stop": 51}), "s": "Collect", "r": "Output"}
    edges = ["e -> s.input_item", "c => s", "s -> r"]

    once = await run({**nodes, "c": steer(event())}, *edges)
    twice = await run({**nodes, "c": steer(event(), event())}, *edges)

    assert once.values["r"] == [list(range(51))]
    assert str(twice.error) == (
        "The input 'input_item' had more than 50 items: so long a stream can be read "
        "for one event only"
    )
    assert twice.values["r"] == [list(range(51))]


async def test_a_generator_runs_once_for_each_event():
    done = await run(
        {
            "c": steer(event(input_list=["a", "b"]), event(input_list=["c"])),
            "s": "ForEach",
            "r": "Output",
        },
        "c => s",
        "s -> r",
    )

    assert done.values == {"r": ["a", "b", "c"]}
    assert done.statuses("s") == ["running", "completed"] * 2


@pytest.mark.parametrize("kind", ["Output", "Preview"])
async def test_an_output_and_a_preview_tell_their_value_for_each_event(kind):
    done = await run(
        {
            "c": steer(event(value="x"), event()),
            "k": ("K", {"value": "K"}),
            "n": kind,
            "r": "Output",
        },
        "k -> n",
        "c => n",
        "n -> r",
    )

    assert done.values["r"] == ["x", "K"]
    assert done.values.get("n", ["x", "K"]) == ["x", "K"]
    assert done.statuses("n") == ["running", "completed"]


async def test_an_event_cannot_rename_an_output():
    done = await run({"c": steer(event(name="x")), "n": "Output"}, "c => n")

    assert str(done.error) == "[Output] An event cannot set 'name'"
    assert done.statuses("n") == ["running", "error"]


# -- The end


async def test_r59_stop_ends_a_node_after_the_runs_before_it():
    done = await run(
        {
            "c": steer(event(a=1), event(a=2), STOP, event(a=3)),
            "d": steer(50, event(a=4)),
            "p": "P",
            "r": "Output",
        },
        "c => p",
        "d => p",
        "p -> r",
    )

    assert done.error is None
    assert done.values == {"r": ["1-", "2-"]}
    assert done.warnings() == ["2 items were not used"]


async def test_r59_one_of_several_nodes_can_be_stopped():
    stop = TargetedEvent("p", StopEvent())
    done = await run(
        {
            "c": steer(event(), {"__control__": stop}, event()),
            "p": "P",
            "q": "P",
            "rp": "Output",
            "rq": "Output",
        },
        "c => p",
        "c => q",
        "p -> rp",
        "q -> rq",
    )

    assert done.values == {"rp": ["-"], "rq": ["-", "-"]}


async def test_a_controller_waits_while_a_target_has_not_room_for_its_events():
    Wait.prepare()
    recording = Recording(
        graph({"c": steer(*[event(value=i) for i in range(20)]), "w": "Wait"}, "c => w")
    )
    execution = asyncio.create_task(recording.execute())
    await Wait.started.wait()
    await settle()

    assert recording.statuses("c") == ["running"]
    assert recording.edge("e0")[-1:] in ([], [("message_sent", 4)])
    Wait.go.set()
    await asyncio.wait_for(execution, 20)
    assert recording.edge("e0")[-1] == ("drained", 20)


async def test_a_run_with_control_edges_can_be_cancelled_while_both_ends_wait():
    Wait.prepare()
    before = asyncio.all_tasks()
    recording = Recording(graph({"c": asking(["w", {}]), "w": "Wait"}, "c => w"))
    execution = asyncio.create_task(recording.execute())
    await Wait.started.wait()

    execution.cancel()
    await asyncio.wait([execution])
    await settle(2)

    assert asyncio.all_tasks() == before
    assert Wait.ends == ["cancelled"]
    assert recording.statuses("c") == recording.statuses("w") == ["running", "error"]


async def test_a_paused_run_hands_out_no_events():
    Wait.prepare()
    recording = Recording(
        graph(
            {"c": asking(["p", {}]), "w": "Wait", "p": "P", "r": "Output"},
            "w -> c",
            "c => p",
            "p -> r",
        )
    )
    execution = asyncio.create_task(recording.execute())
    await Wait.started.wait()
    recording.run.pause()
    Wait.go.set()
    await settle()

    assert recording.statuses("p") == []
    recording.run.resume()
    await asyncio.wait_for(execution, 20)
    assert recording.statuses("p") == ["running", "completed"]


# -- What controllers see


async def test_r61_a_controller_sees_its_targets_with_their_present_values():
    done = await run(
        {
            "c": "Look",
            "k": ("Slow", {"value": "late"}),
            "p": ("P", {"b": "own"}),
            "o": ("Output", {"value": 5}),
            "r": "Output",
        },
        "k -> p.a",
        "c => p",
        "c => o",
        "c -> r",
        p={"ui_properties": {"title": "My node"}},
    )

    assert done.values["r"] == [
        [["p", "My node", {"a": "late", "b": "own"}], ["o", "o", {"value": 5}]]
    ]


async def test_r61_what_comes_only_afterwards_is_not_waited_for():
    done = await run(
        {"c": "Look", "p": ("P", {"b": "own"}), "r": "Output"},
        "c -> p.a",
        "c => p",
        "c -> r",
    )

    assert done.values["r"] == [[["p", "P", {"a": "", "b": "own"}]]]


async def test_r61_in_a_loop_a_controller_sees_the_values_of_its_own_iteration():
    done = await run(
        {
            "s": ("ForEach", {"input_list": list(range(9))}),
            "w": "Slow",
            "c": "Look",
            "p": "P",
            "r": "Output",
        },
        "s -> w",
        "w -> c",
        "s -> p.a",
        "c => p",
        "c -> r",
    )

    seen = [value[0][2]["a"] for value in done.values["r"]]
    assert seen == list(range(9))


async def test_r61_secrets_are_not_in_it():
    class HideKey:
        is_needed = True

        def value(self, value: Any) -> Any:
            return "***" if value == "key" else value

        def piece(self, stream: str, text: str) -> str:
            return text

    recording = Recording(
        graph(
            {"c": "Look", "k": ("K", {"value": "key"}), "p": "P", "r": "Output"},
            "k -> p.a",
            "c => p",
            "c -> r",
        ),
        mask=HideKey(),
    )
    await recording.execute()

    assert recording.values["r"] == [[["p", "P", {"a": "***", "b": ""}]]]


async def test_a_node_without_control_edges_controls_nothing():
    seen = await run({"c": "Look", "r": "Output"}, "c -> r")
    asked = await run({"c": asking(["p", {}]), "p": "P"})

    assert seen.values["r"] == [[]]
    assert str(asked.error) == "No control edge leads from this node to 'p'"


# -- Two runs


async def test_two_runs_tell_the_same_on_every_channel():
    def build() -> Any:
        return graph(
            {
                "s": ("ForEach", {"input_list": list(range(9))}),
                "c": "SteerOnce",
                "d": steer(event(b="d"), 3, event(b="d")),
                "p": "P",
                "r": "Output",
            },
            "s -> c",
            "s -> p.a",
            "c => p",
            "d => p",
            "p -> r",
        )

    first, second = [await Recording(build()).execute() for _ in range(2)]

    assert first.result == second.result
    for node in "scdpr":
        kinds = (NodeUpdate, OutputUpdate)
        one, other = ([r.of(k, node_id=node) for k in kinds] for r in (first, second))
        assert one == other
    for edge in (f"e{i}" for i in range(5)):
        assert first.edge(edge) == second.edge(edge)
        assert first.of(EdgeUpdate, edge_id=edge)
