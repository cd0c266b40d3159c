"""Parameters and items from outside: graph.md section 4, R27 to R29."""

import asyncio

import pytest

from tests.engine.running import Recording, graph, run, settle
from workflows.engine.errors import InputEnded, InputFull, UnknownInput
from workflows.engine.events import NodeUpdate, OutputUpdate
from workflows.engine.inputs import MAX_UNREAD


async def test_r27_a_parameter_is_delivered_once_and_ends():
    done = await run({"x": "StringInput", "r": "Output"}, "x -> r", params={"x": "hi"})

    assert done.values == {"r": ["hi"]}
    assert done.edge("e0") == [("message_sent", 1), ("drained", 1)]


@pytest.mark.parametrize("params", [{}, {"x": None}])
async def test_r27_without_a_parameter_the_default_is_delivered(params):
    done = await run(
        {"x": ("StringInput", {"value": "default"}), "r": "Output"},
        "x -> r",
        params=params,
    )

    assert done.values == {"r": ["default"]}


async def test_r44_input_nodes_send_no_node_update():
    done = await run({"x": "StringInput", "r": "Output"}, "x -> r")

    assert done.of(NodeUpdate, node_id="x") == []


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("i", "seven", "expected int, got str"),
        ("i", 7.5, "expected int, got float 7.5"),
        ("i", True, "expected int, got bool True"),
        ("i", 101, "101 is more than 100"),
        ("b", 0, "expected at least 1, got int 0"),
        ("b", 10, "expected at most 9, got int 10"),
        ("x", 5, "expected str, got int 5"),
    ],
)
async def test_a_bad_parameter_fails_before_any_node_starts(name, value, reason):
    done = await run(
        {
            "x": "StringInput",
            "i": "IntegerInput",
            "b": "BoundedInput",
            "k": "K",
            "r": "Output",
        },
        "x -> r",
        params={name: value},
    )

    assert str(done.error) == f"Invalid value for input '{name}': {reason}"
    assert done.events == []
    assert not done.run.has_started


async def test_a_parameter_is_converted_and_shortened():
    done = await run(
        {
            "i": "IntegerInput",
            "x": ("StringInput", {"max_length": 3}),
            "r": "Output",
            "s": "Output",
        },
        "i -> r",
        "x -> s",
        params={"i": 3.0, "x": "abcdef"},
    )

    assert done.values == {"r": [3], "s": ["abc"]}
    assert type(done.values["r"][0]) is int


async def test_an_unknown_parameter_is_a_warning():
    done = await run({"k": "K"}, params={"nobody": 1})

    assert done.error is None
    assert done.warnings() == ["Parameter 'nobody' was ignored: no input has this name"]


async def test_every_output_of_an_input_gets_its_value_and_ends():
    done = await run(
        {"f": "FileInput", "d": "Output", "p": "Output"},
        "f.document -> d",
        "f.path -> p",
        params={"f": "a.pdf"},
    )

    assert done.values["p"] == ["a.pdf"]
    assert done.values["d"][0]["uri"] == "https://files/a.pdf"


async def test_r28_pushed_items_arrive_and_the_end_ends_the_run():
    recording = Recording(graph({"x": "StreamInput", "r": "Output"}, "x.chunk -> r"))
    execution = asyncio.create_task(recording.execute())
    await settle(5)
    for value in ("a", {"any": ["json", None]}, 7):
        recording.run.push_input("x", value)
    await settle(5)

    assert [event.value for event in recording.of(OutputUpdate)] == [
        "a",
        {"any": ["json", None]},
        7,
    ]
    assert not execution.done()
    recording.run.end_input("x")
    await execution
    assert recording.statuses("r") == ["running", "completed"]


async def test_r28_the_default_handle_is_the_first_output():
    recording = Recording(
        graph(
            {"x": "StreamInput", "r": "Output", "s": "Output"},
            "x.chunk -> r",
            "x.other -> s",
        )
    )
    recording.run.push_input("x", 1)
    recording.run.push_input("x", 2, "other")
    recording.run.end_input("x")
    recording.run.end_input("x", "other")
    await recording.execute()

    assert recording.values == {"r": [1], "s": [2]}


async def test_r28_a_static_value_is_the_first_item():
    recording = Recording(
        graph({"x": "StreamInput", "r": "Output"}, "x.chunk -> r"), {"x": "first"}
    )
    recording.run.push_input("x", "second")
    recording.run.end_input("x")
    await recording.execute()

    assert recording.values == {"r": ["first", "second"]}


@pytest.mark.parametrize(
    ("name", "handle", "text"),
    [
        ("nobody", None, "Input 'nobody' not found"),
        ("x", "nothing", "Input 'x.nothing' not found"),
    ],
)
async def test_r28_unknown_inputs_and_handles_are_refused(name, handle, text):
    recording = Recording(graph({"x": "StreamInput", "r": "Output"}, "x.chunk -> r"))

    with pytest.raises(UnknownInput) as pushed:
        recording.run.push_input(name, 1, handle)
    with pytest.raises(UnknownInput) as ended:
        recording.run.end_input(name, handle)

    assert str(pushed.value) == str(ended.value) == text


async def test_r29_after_the_end_items_are_refused():
    recording = Recording(graph({"x": "StreamInput", "r": "Output"}, "x.chunk -> r"))
    recording.run.end_input("x")

    with pytest.raises(InputEnded, match="Input stream already ended"):
        recording.run.push_input("x", 1)
    with pytest.raises(InputEnded):
        recording.run.end_input("x")
    await recording.execute()


async def test_r29_an_input_that_is_no_stream_has_ended_at_the_start():
    recording = Recording(graph({"x": "StringInput", "r": "Output"}, "x -> r"))

    with pytest.raises(InputEnded):
        recording.run.push_input("x", "more")
    await recording.execute()


async def test_an_input_holds_a_bounded_number_of_unread_items():
    recording = Recording(graph({"x": "StreamInput", "s": "Slow"}, "x.chunk -> s"))
    for number in range(MAX_UNREAD):
        recording.run.push_input("x", number)

    with pytest.raises(InputFull, match="send more slowly"):
        recording.run.push_input("x", 1)
    recording.run.end_input("x")
    await recording.execute()


async def test_an_open_input_without_readers_does_not_keep_the_run():
    done = await run(
        {"x": "StreamInput", "f": "Fail", "s": "Output"},
        "x.chunk -> f",
        "f -> s",
        params={"x": 1},
    )

    assert str(done.error) == "boom"
    assert done.edge("e0")[-1] == ("drained", 1)


async def test_branches_of_one_streaming_input_join_by_item():
    recording = Recording(
        graph(
            {"x": "StreamInput", "s": "Slow", "p": "P", "r": "Output"},
            "x.chunk -> p.a",
            "x.chunk -> s",
            "s -> p.b",
            "p -> r",
        )
    )
    for number in range(5):
        recording.run.push_input("x", number)
    recording.run.end_input("x")
    await recording.execute()

    assert recording.values == {"r": [f"{n}-{n}" for n in range(5)]}
