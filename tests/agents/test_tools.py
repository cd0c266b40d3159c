"""Tools: nodes, stored workflows, and those of the client."""

import asyncio
from typing import Any

import pytest

from tests.agents.graphs import adder, single
from tests.nodes.harness import (
    PickledCalls,
    Recorder,
    StoredWorkflows,
    registry_for_tests,
    run_context,
    saved_workflow,
    workspace_of,
)
from workflows.agents import client_tools as module
from workflows.agents.client_tools import ClientTool, client_tools
from workflows.agents.tool_names import UnknownTool, tools_named
from workflows.agents.tools import AskedCall, Outcome, perform, tool_name
from workflows.agents.type_schemas import schema_of
from workflows.engine.context import NodeContext, RunContext
from workflows.engine.errors import NodeTypeOff
from workflows.engine.events import ClientToolCall, LogUpdate
from workflows.engine.type_specs import TypeSpec


def run_of(*workflows, **ports: Any) -> RunContext:
    stored = StoredWorkflows(*workflows)
    return run_context(Recorder(), PickledCalls(), workflows=stored, **ports)


def context_of(run: RunContext) -> NodeContext:
    return NodeContext(run, "agent", "Agent")


async def call(run: RunContext, name: str, **arguments: Any) -> Outcome:
    (tool,) = await tools_named([name], context_of(run))
    return await perform(tool, AskedCall("c1", tool.name, arguments))


async def test_a_workflow_takes_its_inputs_and_gives_its_outputs():
    run = run_of(saved_workflow(adder()))
    (tool,) = await tools_named(["adder"], context_of(run))

    outcome = await perform(tool, AskedCall("c1", "adder", {"a": 2, "b": 3}))

    assert (tool.name, tool.description) == ("adder", "Adds.")
    assert tool.parameters["properties"]["a"]["type"] == "integer"
    assert "label" not in tool.parameters["properties"]["a"]
    assert outcome == Outcome('{"sum":5}', {"sum": 5})


async def test_inputs_with_names_that_vendors_refuse_have_others_for_the_model():
    graph = adder()
    graph["nodes"][0]["data"]["name"] = "Größe in m"
    graph["nodes"][1]["data"]["name"] = "Gr_e_in_m"
    run = run_of(saved_workflow(graph))
    (tool,) = await tools_named(["adder"], context_of(run))

    properties = tool.parameters["properties"]
    outcome = await perform(
        tool, AskedCall("c1", "adder", {"Gr_e_in_m": 2, "Gr_e_in_m_2": 3})
    )

    assert list(properties) == ["Gr_e_in_m", "Gr_e_in_m_2"]
    assert properties["Gr_e_in_m"]["description"].startswith("Größe in m: ")
    assert properties["Gr_e_in_m_2"]["description"].startswith("Gr_e_in_m: ")
    assert outcome.value == {"sum": 5}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("lib.math.Add", "lib_math_Add"),
        ("2nd step", "_2nd_step"),
        ("-x", "_-x"),
        ("1" * 80, "_" + "1" * 63),
        ("_x", "_x"),
        ("", ""),
    ],
)
def test_the_name_of_a_tool_is_one_that_every_vendor_takes(text, name):
    assert tool_name(text) == name


async def test_watchers_of_the_job_do_not_see_the_nodes_of_a_tool():
    run = run_of(saved_workflow(adder()))

    await call(run, "adder", a=2, b=3, c=4)

    (log,) = run.sink.events
    assert isinstance(log, LogUpdate)
    assert (log.node_id, log.node_name, log.severity) == ("agent", "Agent", "warning")
    assert log.content.startswith("Adder: Parameter 'c' was ignored")


async def test_streamed_text_of_a_workflow_is_one_text():
    graph = single("demo.StreamText", "chunk", text="abcdefgh")

    outcome = await call(run_of(saved_workflow(graph)), "adder")

    assert outcome.value == {"result": "abcdefgh"}


async def test_the_model_is_told_which_node_of_a_workflow_failed():
    graph = single("demo.Fail", message="no luck")

    outcome = await call(run_of(saved_workflow(graph)), "adder")

    assert outcome.text == "Error: 'Adder' failed at 'Fail': no luck"


async def test_the_model_is_told_which_argument_of_a_workflow_is_refused():
    outcome = await call(run_of(saved_workflow(adder())), "adder", a="two")

    assert outcome.is_error
    assert outcome.text.startswith("Error: Invalid value for input 'a'")


async def test_workflows_run_inside_each_other_eight_deep_at_most():
    workflow = saved_workflow(adder())

    deep = await call(run_of(workflow, depth=7), "adder")
    too_deep = await call(run_of(workflow, depth=8), "adder")

    assert deep.value == {"sum": 0}
    assert too_deep.text == (
        "Error: 'Adder' was not run: workflows run inside each other 8 deep already"
    )


@pytest.mark.parametrize(
    "name", ["lib.math.Add", "lib_math_Add", "nodetool.lib.math.Add"]
)
async def test_a_node_takes_its_properties_and_gives_its_output(name):
    assert await call(run_of(), name, a=2, b=0.5) == Outcome("2.5", 2.5)


async def test_the_schema_of_a_node_tells_types_and_bounds():
    (tool,) = await tools_named(["lib.math.Add"], context_of(run_of()))

    assert tool.name == "lib_math_Add"
    assert tool.description
    assert tool.parameters["additionalProperties"] is False
    kinds = tool.parameters["properties"]["a"]["anyOf"]
    assert kinds == [{"type": "integer"}, {"type": "number"}]


@pytest.mark.parametrize(
    ("values", "kind"),
    [(("a", "b"), "string"), ((1, 2), "integer"), (("a", 1), None), ((True,), None)],
)
def test_a_choice_tells_its_type_where_it_has_one(values, kind):
    schema = schema_of(TypeSpec("enum", values=values))

    assert schema["enum"] == list(values)
    assert schema.get("type") == kind


async def test_the_items_that_a_node_streams_are_a_list():
    with workspace_of({"a.txt": b"a", "b.txt": b"b"}) as workspace:
        outcome = await call(run_of(workspace=workspace), "list_directory", path=".")

    assert sorted(outcome.value) == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"z": 1}, "Error: No argument is called 'z'; known: a, b"),
        ({"a": "two"}, "Error: [Add] Invalid value for property 'a': expected"),
    ],
)
async def test_the_model_is_told_which_argument_of_a_node_is_wrong(arguments, text):
    outcome = await call(run_of(), "lib.math.Add", **arguments)

    assert outcome.text.startswith(text)


@pytest.mark.parametrize("name", ["nothing", "nodetool.text.Concat", "demo.Fail"])
async def test_a_name_without_a_tool_is_an_error_that_lists_some(name):
    run = run_of(saved_workflow(adder()))

    with pytest.raises(UnknownTool, match=f"'{name}'.* adder, list_directory"):
        await tools_named([name], context_of(run))


async def test_what_the_mode_of_the_server_leaves_out_is_no_tool():
    nodes = registry_for_tests().narrowed(
        lambda cls: "is off" if cls.node_type == "lib.math.Add" else None
    )
    run = run_of(nodes=nodes)

    with pytest.raises(NodeTypeOff, match="is off"):
        await tools_named(["lib.math.Add"], context_of(run))
    with pytest.raises(UnknownTool):
        await tools_named(["lib_math_Add"], context_of(run))


DECLARED = {"name": "ask", "description": "Asks.", "parameters": {"type": "object"}}
CALL = AskedCall("c1", "ask", {"q": "?"})


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"ok": True, "result": [1]}, Outcome("[1]", [1])),
        ({"result": "x", "error": None}, Outcome("x", "x")),
        ({"ok": False, "error": "no"}, Outcome("Error: no", "no", is_error=True)),
        (
            {"ok": False},
            Outcome(
                "Error: The client's tool failed",
                "The client's tool failed",
                is_error=True,
            ),
        ),
        (
            7,
            Outcome(
                "Error: The client's answer is no object",
                "The client's answer is no object",
                is_error=True,
            ),
        ),
    ],
)
async def test_a_client_is_told_of_the_call_and_its_answer_is_the_result(
    answer, outcome
):
    run = run_of()
    tool = ClientTool(DECLARED, context_of(run), "t1")

    calling = asyncio.create_task(perform(tool, CALL))
    await asyncio.sleep(0)

    assert run.sink.events == [
        ClientToolCall(tool_call_id="c1", name="ask", args={"q": "?"}, thread_id="t1")
    ]
    assert run.questions.give("c1", answer)
    assert await calling == outcome


async def test_a_client_that_is_silent_fails_the_call_with_a_text(monkeypatch):
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.01)

    outcome = await perform(ClientTool(DECLARED, context_of(run_of()), None), CALL)

    assert outcome.text == "Error: The client has not answered within 0.01 s"


def test_a_declared_tool_without_a_name_is_left_out():
    tools = client_tools([DECLARED, {"description": "?"}], context_of(run_of()), None)

    assert [(each.name, each.parameters) for each in tools] == [
        ("ask", {"type": "object"})
    ]
