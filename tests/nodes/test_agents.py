"""What agents are given, what they tell, and how they use tools."""

import json
import struct
from typing import Any

from tests.agents.graphs import adder
from tests.agents.scripted import said
from tests.nodes.cases.llm import model
from tests.nodes.harness import (
    OfflineModels,
    Outcome,
    Recorder,
    StoredThreads,
    StoredWorkflows,
    reference,
    run_node,
    saved_workflow,
)
from workflows.engine.context import Mask, NothingToMask
from workflows.engine.events import (
    Chunk,
    LogUpdate,
    NodeUpdate,
    PlanningUpdate,
    StepResult,
    TaskUpdate,
    ToolCallUpdate,
    ToolResultUpdate,
)
from workflows.providers.messages import AudioPart, ImagePart, TextPart

AGENT = "nodetool.agents.Agent"
ADD = {"name": "adder", "arguments": {"a": 2, "b": 3}}
WAV = b"RIFF" + struct.pack("<I", 4) + b"WAVE"


async def run_agent(
    *steps: dict[str, Any],
    threads: Any = None,
    mask: Mask = NothingToMask(),  # noqa: B008 - it has no state
    **data: Any,
) -> Outcome:
    workflows = StoredWorkflows(saved_workflow(adder()))
    ports = {"workflows": workflows, "threads": threads, "mask": mask}
    return await run_node(
        AGENT, {"model": model(*steps), "prompt": "2+3?", **data}, **ports
    )


async def test_an_agent_uses_a_workflow_as_a_tool():
    outcome = await run_agent(
        {"text": "Let me see.", "tool_calls": [ADD]},
        {"text": "Five."},
        tools=[{"type": "tool_name", "name": "adder"}],
    )

    recorder = outcome.recorder
    (asked,), (result,) = recorder.of(ToolCallUpdate), recorder.of(ToolResultUpdate)
    assert (asked.node_id, asked.name, asked.args) == (
        "node",
        "adder",
        {"a": 2, "b": 3},
    )
    assert result.result == {"result": {"sum": 5}}
    assert outcome.outputs["text"] == ["Let me see.\n\nFive."]
    told = [chunk.content for chunk in recorder.of(Chunk)]
    assert "".join(told) == "Let me see.\n\nFive."
    assert recorder.of(Chunk)[-1].done
    assert {update.node_id for update in recorder.of(NodeUpdate)} == {
        "node",
        "out text",
        "out chunk",
    }


async def test_all_calls_of_a_run_are_in_its_usage():
    outcome = await run_agent(
        {"tool_calls": [ADD]},
        {"text": "5"},
        tools=[{"type": "tool_name", "name": "adder"}],
    )

    assert outcome.usage["completion_tokens"] > 0
    assert outcome.usage["total_tokens"] == sum(
        outcome.usage[name] for name in ("prompt_tokens", "completion_tokens")
    )


async def test_an_agent_that_is_its_own_tool_stops_eight_deep():
    call = {"name": "again", "arguments": {}}
    data = {
        "model": model({"tool_calls": [call]}, {"text": "done"}),
        "prompt": "Go on",
        "tools": [{"type": "tool_name", "name": "again"}],
    }
    graph = {"nodes": [{"id": "agent", "type": AGENT, "data": data}], "edges": []}
    itself = saved_workflow(graph, name="Again", tool_name="again")
    recorder = Recorder()

    outcome = await run_node(
        AGENT, data, recorder=recorder, workflows=StoredWorkflows(itself)
    )

    assert outcome.outputs["text"] == ["done"]
    results = [event.result for event in recorder.of(ToolResultUpdate)]
    assert len(results) == 9
    assert "8 deep already" in results[0]["error"]
    assert results[1:] == [{"result": {}}] * 8


async def test_a_tool_that_is_not_there_fails_the_agent_with_the_cure():
    outcome = await run_agent({}, tools=[{"type": "tool_name", "name": "nothing"}])

    assert str(outcome.error).startswith("There is no tool 'nothing'. Name the tool of")


async def test_the_model_gets_instructions_history_thread_and_media_in_this_order():
    models = OfflineModels()
    threads = StoredThreads({"t1": [{"id": "1", "role": "user", "content": "Hi"}]})

    await run_node(
        AGENT,
        {
            "model": model({"text": "ok"}),
            "system": "Be brief.",
            "prompt": "And now?",
            "thread_id": "t1",
            "history": [{"type": "message", "role": "assistant", "content": "Hello"}],
            "image": reference(b"png"),
            "audio": reference(WAV, "audio/wav"),
            "max_tokens": 7,
        },
        models=models,
        threads=threads,
    )

    (request,) = models.played.requests
    *earlier, last = request.messages
    assert earlier == [
        said("system", "Be brief."),
        said("user", "Hi"),
        said("assistant", "Hello"),
    ]
    assert last.content == (
        TextPart("And now?"),
        ImagePart(b"png", "image/png"),
        AudioPart(WAV, "wav"),
    )
    assert request.max_tokens == 7


async def test_outputs_that_were_added_are_said_to_be_no_tools():
    graph_node = {"model": model({"text": "ok"}), "prompt": "Hi"}

    outcome = await run_node(AGENT, graph_node, added={"search": "str"})

    (log,) = outcome.recorder.of(LogUpdate)
    assert log.severity == "warning"
    assert log.content.startswith("Nothing is sent on the outputs search:")


async def test_a_structured_answer_is_asked_for_with_its_schema_and_once_corrected():
    models = OfflineModels()
    first = {"text": "Ada, I think"}

    outcome = await run_node(
        "nodetool.agents.Extractor",
        {"model": model(first, {"text": '{"name": "Ada"}'}), "text": "Ada"},
        added={"name": "str"},
        models=models,
    )

    assert outcome.outputs == {"name": ["Ada"]}
    asked, corrected = models.played.requests
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    assert asked.response_format.schema == schema
    told = asked.messages[-1].text.partition("<JSON_SCHEMA>")[2]
    assert json.loads(told.removesuffix("</JSON_SCHEMA>")) == schema
    assert asked.response_format.instruction == ""
    *_, answer, correction = corrected.messages
    assert answer.text == first["text"]
    assert correction.text.startswith("That answer cannot be used: it is no JSON.")
    assert outcome.usage["completion_tokens"] == 3 + 4


async def run_research(
    *steps: dict[str, Any], tools: Any = None, **fields: Any
) -> Outcome:
    data = {
        "model": {**model(*steps), "provider": "in_turn"},
        "objective": "How high?",
        "system_prompt": "",
        "tools": tools or [{"type": "tool_name", "name": "adder"}],
    }
    return await run_node(
        "nodetool.agents.ResearchAgent",
        data,
        added={"metres": "int"},
        workflows=StoredWorkflows(saved_workflow(adder())),
        **fields,
    )


PLAN = {"text": '{"title": "Measure", "steps": ["Look", "Add"]}'}


async def test_research_tells_of_its_plan_each_step_and_the_result():
    outcome = await run_research(
        PLAN,
        {"text": "two"},
        {"tool_calls": [ADD]},
        {"text": "5"},
        {"text": '{"metres": 5}'},
    )

    events = outcome.recorder.events
    planning = [(e.status, e.content) for e in events if isinstance(e, PlanningUpdate)]
    assert planning == [("running", None), ("completed", "Measure")]
    tasks = [
        (e.event, e.step and e.step["id"]) for e in events if isinstance(e, TaskUpdate)
    ]
    assert tasks == [
        ("task_created", None),
        ("step_started", "node-step-1"),
        ("step_completed", "node-step-1"),
        ("step_started", "node-step-2"),
        ("step_completed", "node-step-2"),
        ("entered_conclusion_stage", None),
        ("task_completed", None),
    ]
    (call,) = [e for e in events if isinstance(e, ToolCallUpdate)]
    assert call.step_id == "node-step-2"
    results = [
        (e.result, e.is_task_result) for e in events if isinstance(e, StepResult)
    ]
    assert results[0] == ("two", False)
    assert results[-1] == ({"metres": 5}, True)
    last = [e for e in events if isinstance(e, TaskUpdate)][-1].task
    assert [step["completed"] for step in last["steps"]] == [True, True]
    assert last["steps"][1]["depends_on"] == ["node-step-1"]
    assert outcome.outputs == {"metres": [5]}


async def test_research_does_without_the_tools_of_the_web_and_says_so():
    outcome = await run_node(
        "nodetool.agents.ResearchAgent",
        {
            "model": {
                **model(PLAN, {"text": "a"}, {"text": "b"}, {"text": '{"metres": 5}'}),
                "provider": "in_turn",
            },
            "objective": "How high?",
        },
        added={"metres": "int"},
        workflows=StoredWorkflows(saved_workflow(adder(), tool_name="browser")),
    )

    assert outcome.outputs == {"metres": [5]}
    (log,) = outcome.recorder.of(LogUpdate)
    assert log.content.startswith("The agent works without the tools google_search:")
    (task, *_) = [e.task for e in outcome.recorder.of(TaskUpdate)]
    assert task["steps"][0]["tools"] == ["browser"]


async def test_research_fails_without_another_tool_that_it_names():
    outcome = await run_research(PLAN, tools=[{"type": "tool_name", "name": "adder2"}])

    assert str(outcome.error).startswith("There is no tool 'adder2'")


async def test_a_summary_is_asked_for_without_a_placeholder():
    models = OfflineModels()

    await run_node(
        "nodetool.agents.Summarizer",
        {"model": model({"text": "ok"}), "text": "Long"},
        models=models,
    )

    (request,) = models.played.requests
    assert "approximately 300 tokens" in request.messages[0].text


async def test_categories_are_offered_once_and_none_is_empty():
    models = OfflineModels()

    await run_node(
        "nodetool.agents.Classifier",
        {
            "model": model({"text": '{"category": "a"}'}),
            "categories": ["a", "", "b", "a"],
        },
        models=models,
    )

    (request,) = models.played.requests
    schema = request.response_format.schema["properties"]["category"]
    assert schema == {"type": "string", "enum": ["a", "b"]}


async def test_a_step_of_research_that_fails_is_told_before_the_node_fails():
    failing = {"error": {"status": 400, "message": "too much"}}

    outcome = await run_research(PLAN, failing)

    events = outcome.recorder.events
    assert [e.error for e in events if isinstance(e, StepResult)] == ["too much"]
    assert [e.event for e in events if isinstance(e, TaskUpdate)][-1] == "step_failed"
    assert str(outcome.error) == "too much"


async def test_later_steps_of_research_know_what_earlier_ones_found():
    models = OfflineModels()

    await run_research(
        PLAN, {"text": "two"}, {"text": "3"}, {"text": '{"metres": 5}'}, models=models
    )

    asked = [request.messages[-1].text for request in models.in_turn.requests]
    assert "Found so far:\n\nLook\ntwo" in asked[2]
    assert "Add\n3" in asked[3]


async def claude(mode: str, **data: Any) -> tuple[Outcome, list[str]]:
    """Run Claude; return the names of the tools that it was offered, too."""
    models = OfflineModels("anthropic")
    data = {"model": {**model({"text": "ok"}), "provider": "anthropic"}, **data}
    outcome = await run_node(
        "anthropic.agents.ClaudeAgent",
        {"prompt": "Hi", "permission_mode": mode, **data},
        models=models,
    )
    (request,) = models.played.requests
    return outcome, [tool.name for tool in request.tools]


async def test_claude_writes_only_where_nobody_has_to_be_asked_and_runs_nothing():
    _, accepting = await claude("acceptEdits")
    outcome, planning = await claude("plan")

    assert accepting == ["read_file", "write_file"]
    assert planning == ["read_file"]
    (log,) = outcome.recorder.of(LogUpdate)
    assert log.content == "Claude works without the tools Write, Bash"


async def test_prompt_and_answer_are_added_to_the_thread_without_secrets():
    threads = StoredThreads({"t1": [{"id": "1", "role": "user", "content": "Hi"}]})

    class Hides(NothingToMask):
        is_needed = True

        def value(self, value):
            return json.loads(json.dumps(value).replace("s3cret", "***"))

    await run_agent(
        {"text": "It is s3cret."},
        prompt="Say it",
        thread_id="t1",
        image=reference(b"png"),
        threads=threads,
        mask=Hides(),
    )

    _, asked, answered = await threads.history("t1")
    assert (asked["role"], asked["content"]) == (
        "user",
        [
            {"type": "text", "text": "Say it"},
            {"type": "image_url", "image": reference(b"png")},
        ],
    )
    assert (answered["role"], answered["content"]) == ("assistant", "It is ***.")
    assert answered["provider"] == "played"
