"""Agents that control other nodes of their graph."""

import json
from typing import Any

import pytest

from tests.agents.graphs import edge, output
from tests.nodes.cases.llm import MISFIT, answers, model
from tests.nodes.harness import OfflineModels, Outcome, run_graph
from workflows.engine.events import NodeUpdate, ToolResultUpdate

Json = dict[str, Any]
REPLACE = "nodetool.text.Replace"


def node(node_id: str, node_type: str, title: str = "", **data: Any) -> Json:
    shown = {"ui_properties": {"title": title}} if title else {}
    return {"id": node_id, "type": node_type, "data": data, **shown}


def control(source: str, target: str) -> Json:
    ends = edge(source, "__control__", target, "__control__")
    return {**ends, "edge_type": "control"}


async def run_nodes(nodes: list[Json], *edges: Json, **ports: Any) -> Outcome:
    return await run_graph({"nodes": nodes, "edges": edges}, params={}, **ports)


async def controlling(answer: Json, **ports: Any) -> Outcome:
    """Run an agent that controls a node, whose text comes by an edge."""
    return await run_nodes(
        [
            node("agent", "nodetool.agents.ControlAgent", model=answer),
            node("text", "nodetool.constant.String", value="cat and cat"),
            node("target", REPLACE, "Swap", new="nothing"),
            output("result"),
            output("chosen"),
        ],
        edge("text", "output", "target", "text"),
        edge("target", "output", "result", "value"),
        edge("agent", "__control_output__", "chosen", "value"),
        control("agent", "target"),
        **ports,
    )


@pytest.mark.parametrize(
    "answer",
    [{"old": "cat", "new": "dog"}, {"target": {"old": "cat", "new": "dog"}}],
    ids=["properties", "by node"],
)
async def test_r61_a_model_chooses_properties_for_a_run(answer):
    outcome = await controlling(answers(answer))

    assert outcome.error is None
    assert outcome.outputs == {
        "result": ["dog and dog"],
        "chosen": [{"old": "cat", "new": "dog"}],
    }
    assert outcome.usage["completion_tokens"] > 0
    told = outcome.recorder.of(NodeUpdate)
    (done,) = (t for t in told if t.node_id == "agent" and t.status == "completed")
    assert done.result == {}


async def test_r61_the_model_is_told_of_the_node_and_its_present_values():
    models = OfflineModels()

    await controlling(answers({"old": "a"}), models=models)

    (request,) = models.played.requests
    told = request.messages[-1].text
    assert told.startswith("_control_context:\n")
    context, _ = json.JSONDecoder().raw_decode(told.removeprefix("_control_context:\n"))
    seen = context["target"]
    assert seen["node_id"] == "target"
    assert seen["node_type"] == REPLACE
    assert seen["node_title"] == "Swap"
    assert seen["node_description"]
    assert seen["properties"]["text"]["value"] == "cat and cat"
    assert seen["properties"]["new"]["value"] == "nothing"
    assert seen["properties"]["new"]["default"] == ""
    assert seen["properties"]["new"]["type"] == "str"
    action = seen["control_actions"]["run"]
    assert action["properties"]["old"]["type"] == "string"
    assert request.response_format.schema["properties"] == action["properties"]
    assert request.messages[0].text.startswith("You are a control flow agent")
    assert request.max_tokens == 2048


async def test_an_answer_that_does_not_fit_is_corrected_once():
    outcome = await controlling(answers({"size": 1}, {"old": "cat", "new": "dog"}))

    assert outcome.outputs["result"] == ["dog and dog"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([1], "it is no object"),
        ({"old": 7}, "[Replace] Invalid value for property 'old': expected str, got"),
        ({"size": 1}, "'Swap' has no property 'size'; it has: text, old, new"),
    ],
)
async def test_an_answer_that_never_fits_fails_the_agent(answer, reason):
    outcome = await controlling(answers(answer, answer))

    assert str(outcome.error).startswith(f"{MISFIT}{reason}")
    assert "result" not in outcome.outputs
    assert not [t for t in outcome.recorder.of(NodeUpdate) if t.node_id == "target"]


@pytest.mark.parametrize(
    ("answer", "results"),
    [
        ({"a": {"text": "X"}, "b": {"old": "b", "new": "d"}}, ["X", "d"]),
        ({"b": {"old": "b", "new": "d"}}, [None, "d"]),
        ({"old": "b", "new": "d"}, [None, "d"]),
        ({"text": "X"}, ["X", "X"]),
        ({}, [None, None]),
    ],
    ids=["each", "one", "those that know", "all", "none"],
)
async def test_of_several_nodes_those_run_that_the_model_names(answer, results):
    outcome = await run_nodes(
        [
            node("agent", "nodetool.agents.ControlAgent", model=answers(answer)),
            node("a", "nodetool.text.ToUppercase", text="a"),
            node("b", REPLACE, text="b"),
            output("ra"),
            output("rb"),
        ],
        edge("a", "output", "ra", "value"),
        edge("b", "output", "rb", "value"),
        control("agent", "a"),
        control("agent", "b"),
    )

    assert outcome.error is None
    found = [outcome.outputs.get(name, [None]) for name in ("ra", "rb")]
    assert [values[0] for values in found] == results


async def test_r61_what_may_be_a_secret_is_hidden_and_what_is_long_is_cut(monkeypatch):
    monkeypatch.setattr("workflows.agents.control.MAX_VALUE", 20)
    models = OfflineModels()
    added = {"api_key": "very-secret", "note": "n" * 50, "size": 3}

    outcome = await run_nodes(
        [
            node("agent", "nodetool.agents.ControlAgent", model=answers({"size": 4})),
            {
                **node("target", "nodetool.text.FormatText", template="{{ size }}"),
                "dynamic_properties": added,
            },
            output("result"),
        ],
        edge("target", "output", "result", "value"),
        control("agent", "target"),
        models=models,
    )

    assert outcome.outputs == {"result": ["4"]}
    (request,) = models.played.requests
    told = "".join(message.text for message in request.messages)
    assert "very-secret" not in told
    assert '"api_key":{"value":"***"' in told
    assert "[cut: 52 bytes]" in told
    assert '"size":{"value":3' in told


async def test_an_agent_may_run_the_nodes_that_it_controls_as_tools():
    call = {"name": "Swap", "arguments": {"old": "cat", "new": "dog"}}
    again = {"name": "Swap_2", "arguments": {}}
    wrong = {"name": "Swap", "arguments": {"size": 1}}
    steps = [{"tool_calls": [wrong, call, again]}, {"text": "Done."}]

    outcome = await run_nodes(
        [
            node("agent", "nodetool.agents.Agent", model=model(*steps), prompt="Go"),
            node("text", "nodetool.constant.String", value="a cat"),
            node("swap", REPLACE, "Swap"),
            node("same", REPLACE, "Swap", text="same"),
            output("result"),
            output("said"),
        ],
        edge("text", "output", "swap", "text"),
        edge("swap", "output", "result", "value"),
        edge("agent", "text", "said", "value"),
        control("agent", "swap"),
        control("agent", "same"),
    )

    assert outcome.error is None
    assert outcome.outputs == {"result": ["a dog"], "said": ["Done."]}
    assert [each.result for each in outcome.recorder.of(ToolResultUpdate)] == [
        {"error": "'Swap' has no property 'size'; it has: text, old, new"},
        {"result": "a dog"},
        {"result": "same"},
    ]


async def test_a_single_node_runs_with_its_own_values_if_the_model_chooses_none():
    outcome = await run_nodes(
        [
            node("agent", "nodetool.agents.ControlAgent", model=answers({})),
            node("target", "nodetool.text.ToUppercase", text="a"),
            output("result"),
        ],
        edge("target", "output", "result", "value"),
        control("agent", "target"),
    )

    assert outcome.outputs == {"result": ["A"]}
