"""An agent that plans: an objective becomes steps, each of which has tools."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Literal

import msgspec

from workflows.agents.loop import AgentLoop, ToolEnded, ToolStarted
from workflows.agents.structured import ask_structured
from workflows.agents.telling import Teller
from workflows.agents.tools import Tool
from workflows.agents.type_schemas import check_fields, fields_schema
from workflows.engine.context import NodeContext, ReachedModel
from workflows.engine.errors import ValueMisfit, describe
from workflows.engine.events import PlanningUpdate, StepResult, TaskUpdate
from workflows.engine.type_specs import TypeSpec, parse_type
from workflows.providers.messages import ChatRequest, Message, TextPart

MAX_STEPS = 8

_PLAN = {"title": parse_type("str"), "steps": parse_type("list[str]")}

TaskEvent = Literal[
    "task_created",
    "step_started",
    "entered_conclusion_stage",
    "step_completed",
    "step_failed",
    "task_completed",
]


class Step(msgspec.Struct, tag="step"):
    """One step of a task, as watchers see it."""

    id: str
    instructions: str
    logs: list[Any] = []
    completed: bool = False
    start_time: int = 0
    end_time: int = 0
    depends_on: list[str] = []
    tools: list[str] | None = None
    tool_name: str | None = None

    def document(self) -> dict[str, Any]:
        """Return it as events carry it."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Task(msgspec.Struct, tag="task"):
    """What an agent works at, as watchers see it."""

    id: str
    title: str
    description: str
    steps: list[Step]

    def document(self) -> dict[str, Any]:
        """Return it as events carry it."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class TaskAgent:
    """Plans an objective, does one step after the other, and concludes.

    A step knows what those before it have found. Watchers are told of the plan, of each
    step and of its tools.
    """

    def __init__(
        self,
        context: NodeContext,
        reached: ReachedModel,
        *,
        system: str,
        tools: Sequence[Tool],
        max_tokens: int,
    ) -> None:
        self._context = context
        self._reached = reached
        self._system = system
        self._tools = tools
        self._max_tokens = max_tokens
        self._findings: list[str] = []

    async def work(self, objective: str, fields: dict[str, TypeSpec]) -> dict[str, Any]:
        """Return the fields that were asked for.

        Raises:
            ProviderError: a call of the model failed.
            AgentError: the model came to no plan, no answer or no result.
        """
        task = await self._plan(objective)
        await self._tell(task, "task_created")
        for step in task.steps:
            await self._do(task, step)
        await self._tell(task, "entered_conclusion_stage")
        result = await self._conclude(objective, fields)
        await self._context.emit(
            StepResult(
                step=task.steps[-1].document(), result=result, is_task_result=True
            )
        )
        await self._tell(task, "task_completed")
        return result

    async def _plan(self, objective: str) -> Task:
        await self._tell_planning("running")
        names = ", ".join(tool.name for tool in self._tools) or "none"
        request = self._request(
            f"Objective: {objective}\n\nTools: {names}\n\nPlan how to reach the "
            f"objective in at most {MAX_STEPS} steps. Answer with a title, and with "
            "the instructions of each step."
        )
        try:
            plan = await ask_structured(
                self._reached,
                request,
                fields_schema(_PLAN),
                _checked_plan,
                usage=self._context.run.usage,
            )
        except Exception as error:
            await self._tell_planning("failed", describe(error))
            raise
        await self._tell_planning("completed", plan["title"])
        node_id = self._context.node_id
        steps = [
            Step(f"{node_id}-step-{number}", instructions)
            for number, instructions in enumerate(plan["steps"], 1)
        ]
        for before, step in itertools.pairwise(steps):
            step.depends_on = [before.id]
        for step in steps:
            step.tools = [tool.name for tool in self._tools]
        return Task(f"{node_id}-task", plan["title"], objective, steps)

    async def _do(self, task: Task, step: Step) -> None:
        step.start_time = int(time.time())
        await self._tell(task, "step_started", step)
        request = self._request(
            f"Objective: {task.description}\n\n{self._found()}"
            f"Do this step now, and answer with what you found: {step.instructions}"
        )
        try:
            text = await self._answer(request, step)
        except Exception as error:
            step.end_time = int(time.time())
            await self._context.emit(
                StepResult(step=step.document(), error=describe(error))
            )
            await self._tell(task, "step_failed", step)
            raise
        step.end_time = int(time.time())
        step.completed = True
        self._findings.append(f"{step.instructions}\n{text}")
        await self._context.emit(StepResult(step=step.document(), result=text))
        await self._tell(task, "step_completed", step)

    async def _answer(self, request: ChatRequest, step: Step) -> str:
        loop = AgentLoop(
            self._reached, request, usage=self._context.run.usage, tools=self._tools
        )
        teller = Teller(self._context, step_id=step.id)
        async with aclosing(loop.run()) as happenings:
            async for happening in happenings:
                if isinstance(happening, ToolStarted | ToolEnded):
                    await teller.tell(happening)
        loop.check()
        return loop.text

    async def _conclude(
        self, objective: str, fields: dict[str, TypeSpec]
    ) -> dict[str, Any]:
        request = self._request(
            f"Objective: {objective}\n\n{self._found()}All steps are done: answer with "
            "the result."
        )
        return await ask_structured(
            self._reached,
            request,
            fields_schema(fields),
            lambda value: check_fields(fields, value),
            usage=self._context.run.usage,
        )

    def _request(self, text: str) -> ChatRequest:
        asked = Message("user", (TextPart(text),))
        system = (Message("system", (TextPart(self._system),)),) if self._system else ()
        return ChatRequest(
            model=self._reached.model,
            messages=(*system, asked),
            max_tokens=self._max_tokens,
        )

    def _found(self) -> str:
        if not self._findings:
            return ""
        return "Found so far:\n\n" + "\n\n".join(self._findings) + "\n\n"

    async def _tell(
        self, task: Task, event: TaskEvent, step: Step | None = None
    ) -> None:
        await self._context.emit(
            TaskUpdate(
                node_id=self._context.node_id,
                task=task.document(),
                step=step.document() if step is not None else None,
                event=event,
            )
        )

    async def _tell_planning(self, status: str, content: str | None = None) -> None:
        await self._context.emit(
            PlanningUpdate(
                node_id=self._context.node_id,
                phase="planning",
                status=status,
                content=content,
            )
        )


def _checked_plan(value: Any) -> dict[str, Any]:
    plan = check_fields(_PLAN, value)
    if not 1 <= len(plan["steps"]) <= MAX_STEPS:
        raise ValueMisfit(f"it does not have 1 to {MAX_STEPS} steps")
    return plan
