"""Nodes whose agents work through a task of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from workflows.agents.loop import AgentLoop
from workflows.agents.tasks import TaskAgent
from workflows.agents.tool_names import UnknownTool, tools_named
from workflows.agents.tools import Tool
from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.nodes import registry
from workflows.nodes.llm import (
    NO_PROVIDER,
    instructed,
    question,
    reach,
    request_to,
    streamed,
    wanted_fields,
)
from workflows.nodes.llm_prompts import RESEARCHER
from workflows.nodes.structured import (
    LanguageModel,
    ToolName,
    choice,
    no_model,
    texts,
    tool_names,
)

# The default of the property, which editors know.
OF_THE_WEB = ("google_search", "browser")


@registry.register("nodetool.agents.ResearchAgent")
class ResearchAgent(Node):
    """Plans how to reach an objective and works through the plan with tools.

    It gives a value for each output that was added, of the output's type. A tool is a
    workflow with run mode ``tool``, by its tool name, or a node that may be one, by its
    type. Without such workflows the agent does without ``google_search`` and
    ``browser``, and says so in its log.
    """

    outputs = {}
    dynamic_outputs = True

    objective: Annotated[str, Meta(description="What is to be found out.")] = ""
    model: Annotated[LanguageModel, Meta(description="The model that works at it.")] = (
        no_model("language_model")
    )
    system_prompt: Annotated[str, Meta(description="What the model is told first.")] = (
        RESEARCHER
    )
    tools: Annotated[
        list[ToolName], Meta(description="What the model may call meanwhile.")
    ] = tool_names(*OF_THE_WEB)
    max_tokens: Annotated[
        int, Meta(description="The longest answer, in tokens.", min=1, max=100000)
    ] = 8192

    async def process(self, context: NodeContext) -> dict[str, Any]:
        if not self.objective.strip():
            raise ValueError("The objective is empty: say what is to be found out")
        fields = wanted_fields(context, self)
        reached = await reach(context, self.model)
        agent = TaskAgent(
            context,
            reached,
            system=self.system_prompt,
            tools=await self._tools(context),
            max_tokens=self.max_tokens,
        )
        return await agent.work(self.objective, fields)

    async def _tools(self, context: NodeContext) -> list[Tool]:
        """Return the tools; without those that only a workflow here may stand in for.

        Raises:
            UnknownTool: there is none of another name.
        """
        found: list[Tool] = []
        missing: list[str] = []
        for name in [str(tool.get("name")) for tool in self.tools]:
            try:
                found += await tools_named([name], context)
            except UnknownTool:
                if name not in OF_THE_WEB:
                    raise
                missing.append(name)
        if missing:
            await context.log(
                f"The agent works without the tools {', '.join(missing)}: this server "
                "has none of them, but a workflow with run mode 'tool' and such a tool "
                "name takes the place of one",
                "warning",
            )
        return found


PermissionMode = Literal["default", "acceptEdits", "plan", "bypassPermissions"]

# What Claude calls its tools, and what does the same here, within the workspace.
READING = {"Read": "read_file", "Glob": "list_directory", "LS": "list_directory"}
WRITING = {"Write": "write_file"}
WRITING_MODES = ("acceptEdits", "bypassPermissions")


@registry.register("anthropic.agents.ClaudeAgent")
class ClaudeAgent(Node):
    """Lets Claude work at a prompt, with files of the workspace.

    Of Claude's own tools there are ``Read``, ``Write``, ``Glob`` and ``LS``; none runs
    a program. It writes only in the modes that ask nobody: ``acceptEdits`` and
    ``bypassPermissions``.
    """

    outputs = {"text": "str", "chunk": "chunk"}
    streaming_output = True

    prompt: Annotated[str, Meta(description="What Claude shall do.")] = ""
    model: Annotated[LanguageModel, Meta(description="A model of Anthropic.")] = (
        no_model("language_model")
    )
    system_prompt: Annotated[str, Meta(description="What it is told first.")] = ""
    max_turns: Annotated[
        int, Meta(description="How often the model is called.", min=1, max=100)
    ] = 20
    allowed_tools: Annotated[
        list[str], Meta(description="Of Claude's tools, those that it may use.")
    ] = texts("Read", "Write", "Bash")
    permission_mode: Annotated[
        PermissionMode,
        choice(PermissionMode, "nodetool.nodes.anthropic.agents.PermissionMode"),
    ] = "acceptEdits"
    use_claude_credentials: Annotated[
        bool, Meta(description="Not possible here: store a key as a secret.")
    ] = False

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        self._check()
        asked = await question(context, self.prompt)
        reached = await reach(context, {**self.model, "provider": "anthropic"})
        loop = AgentLoop(
            reached,
            request_to(reached, instructed(self.system_prompt, asked)),
            usage=context.run.usage,
            tools=await tools_named(await self._tools(context), context),
            max_rounds=self.max_turns - 1,
        )
        async for item in streamed(context, loop):
            yield item
        yield {"text": loop.text}

    def _check(self) -> None:
        if self.use_claude_credentials:
            raise ValueError(
                "Claude's own credentials cannot be used here: turn "
                "use_claude_credentials off, and store the secret ANTHROPIC_API_KEY"
            )
        if self.model.get("provider") not in ("anthropic", NO_PROVIDER, "", None):
            raise ValueError("The model is not Claude: choose one of Anthropic")

    async def _tools(self, context: NodeContext) -> list[str]:
        known = dict(READING)
        if self.permission_mode in WRITING_MODES:
            known.update(WRITING)
        missing = [name for name in self.allowed_tools if name not in known]
        if missing:
            names = ", ".join(missing)
            await context.log(f"Claude works without the tools {names}", "warning")
        return [known[name] for name in self.allowed_tools if name in known]
