"""Nodes that let a language model work on a prompt or a text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from workflows.agents.control import (
    chosen_properties,
    control_context,
    event_schema,
    target_tools,
)
from workflows.agents.loop import AgentLoop
from workflows.agents.media import read_stored
from workflows.agents.structured import ask_structured
from workflows.agents.tool_names import tools_named
from workflows.agents.type_schemas import check_fields, fields_schema
from workflows.engine.context import NodeContext
from workflows.engine.control_events import RunEvent, TargetedEvent
from workflows.engine.errors import ValueMisfit
from workflows.engine.events import encode_value
from workflows.engine.node import Meta, Node
from workflows.engine.values import AudioRef, ImageRef, MessageValue
from workflows.nodes import registry
from workflows.nodes.llm import (
    added_outputs,
    instructed,
    question,
    reach,
    request_to,
    said,
    streamed,
    tagged,
    wanted_fields,
)
from workflows.nodes.llm_prompts import CLASSIFIER, CONTROLLER, EXTRACTOR, SUMMARIZER
from workflows.nodes.llm_threads import StoredThread, stored_thread
from workflows.nodes.structured import LanguageModel, ToolName, no_asset, no_model
from workflows.providers.messages import Message

Model = Annotated[LanguageModel, Meta(description="The model that answers.")]
Instructions = Annotated[str, Meta(description="What the model is told first.")]
Picture = Annotated[ImageRef, Meta(description="A picture for the model.")]
Sound = Annotated[AudioRef, Meta(description="A sound for the model: WAV or MP3.")]
TextIn = Annotated[str, Meta(description="The text to work on.")]

SUMMARY_TOKENS = 300


@registry.register("nodetool.agents.Agent")
class Agent(Node):
    """Answers a prompt; with tools it calls them until it knows the answer.

    A tool is a workflow with run mode ``tool``, by its tool name, or a node that may be
    one, by its type, or a node that this one controls, by its title. The answer comes
    in pieces on ``chunk`` and whole on ``text``; what the model thinks before comes on
    ``thinking``. ``history`` and the messages of ``thread_id`` come before the prompt;
    prompt and answer are added to that thread.
    """

    outputs = {
        "text": "str",
        "chunk": "chunk",
        "thinking": "chunk",
        "audio": "audio",
    }
    streaming_output = True
    dynamic_outputs = True
    controls = True

    model: Model = no_model("language_model")
    system: Instructions = "You are a friendly assistant"
    prompt: Annotated[str, Meta(description="What the model shall do.")] = ""
    tools: Annotated[
        list[ToolName], Meta(description="What the model may call meanwhile.")
    ] = []
    image: Picture = no_asset("image")
    audio: Sound = no_asset("audio")
    history: Annotated[
        list[MessageValue], Meta(description="What was said before, oldest first.")
    ] = []
    thread_id: Annotated[
        str | None, Meta(description="A stored conversation to go on with.")
    ] = ""
    max_tokens: Annotated[
        int, Meta(description="The longest answer, in tokens.", min=1, max=100000)
    ] = 8192

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        reached = await reach(context, self.model)
        await self._warn_of_outputs(context)
        tools = await tools_named([str(t.get("name")) for t in self.tools], context)
        tools += await target_tools(context, [tool.name for tool in tools])
        thread = await stored_thread(context, self.thread_id)
        messages = await self._messages(context, thread)
        request = request_to(reached, messages, max_tokens=self.max_tokens)
        loop = AgentLoop(reached, request, usage=context.run.usage, tools=tools)
        async for item in streamed(context, loop, with_thinking=True):
            yield item
        if thread is not None:
            references = (self.image, self.audio)
            await thread.add_exchange(self.prompt, references, loop.text, reached)
        yield {"text": loop.text}

    async def _messages(
        self, context: NodeContext, thread: StoredThread | None
    ) -> Sequence[Message]:
        asked = await question(context, self.prompt, self.image, self.audio)
        earlier = await thread.history() if thread is not None else []
        stored = [*earlier, *self.history]
        return instructed(self.system, *await read_stored(stored, context), asked)

    async def _warn_of_outputs(self, context: NodeContext) -> None:
        added = ", ".join(added_outputs(context, self))
        if added:
            await context.log(
                f"Nothing is sent on the outputs {added}: a tool of an agent is a "
                "workflow with run mode 'tool', named in the property 'tools'",
                "warning",
            )


@registry.register("nodetool.agents.Summarizer")
class Summarizer(Node):
    """Summarises a text, a picture or a sound, piece by piece."""

    outputs = {"text": "str", "chunk": "chunk"}
    streaming_output = True

    system_prompt: Instructions = SUMMARIZER
    model: Model = no_model("language_model")
    text: TextIn = ""
    image: Picture = no_asset("image")
    audio: Sound = no_asset("audio")

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        reached = await reach(context, self.model)
        asked = await question(context, self.text, self.image, self.audio)
        # The default asks for a length that the node has no property for.
        system = self.system_prompt.replace("{self.max_tokens}", str(SUMMARY_TOKENS))
        request = request_to(reached, instructed(system, asked))
        loop = AgentLoop(reached, request, usage=context.run.usage)
        async for item in streamed(context, loop):
            yield item
        yield {"text": loop.text}


@registry.register("nodetool.agents.Classifier")
class Classifier(Node):
    """Tells which one of some categories a text, a picture or a sound belongs to."""

    outputs = {"output": "str"}

    system_prompt: Instructions = CLASSIFIER
    model: Model = no_model("language_model")
    text: TextIn = ""
    image: Picture = no_asset("image")
    audio: Sound = no_asset("audio")
    categories: Annotated[
        list[str], Meta(description="Of these one is the answer.")
    ] = []

    async def process(self, context: NodeContext) -> str:
        # Some vendors refuse a choice that is empty, or is there twice.
        categories = [each for each in dict.fromkeys(self.categories) if each.strip()]
        if not categories:
            raise ValueError("There are no categories: list those to choose from")
        reached = await reach(context, self.model)
        listed = "\n".join(f"- {each}" for each in categories)
        text = f"Categories:\n{listed}\n\n{self.text}"
        asked = await question(context, text, self.image, self.audio)
        one = {"type": "string", "enum": categories}
        return await ask_structured(
            reached,
            request_to(reached, instructed(self.system_prompt, asked)),
            {
                "type": "object",
                "properties": {"category": one},
                "required": ["category"],
                "additionalProperties": False,
            },
            self._category,
            usage=context.run.usage,
        )

    def _category(self, value: Any) -> str:
        """Return the category that an answer means; case and margins do not count."""
        named = value.get("category") if isinstance(value, dict) else value
        folded = str(named).strip().casefold()
        for category in self.categories:
            if category.strip().casefold() == folded:
                return category
        raise ValueMisfit(f"'{str(named)[:100]}' is none of the categories")


@registry.register("nodetool.agents.Extractor")
class Extractor(Node):
    """Reads fields out of a text, a picture or a sound: one for each output added."""

    outputs = {}
    dynamic_outputs = True

    system_prompt: Instructions = EXTRACTOR
    model: Model = no_model("language_model")
    text: TextIn = ""
    image: Picture = no_asset("image")
    audio: Sound = no_asset("audio")

    async def process(self, context: NodeContext) -> dict[str, Any]:
        fields = wanted_fields(context, self)
        reached = await reach(context, self.model)
        text = tagged("TEXT", self.text)
        asked = await question(context, text, self.image, self.audio)
        return await ask_structured(
            reached,
            request_to(reached, instructed(self.system_prompt, asked)),
            fields_schema(fields),
            lambda value: check_fields(fields, value),
            usage=context.run.usage,
        )


@registry.register("nodetool.agents.ControlAgent")
class ControlAgent(Node):
    """Lets a model choose properties for the nodes that it controls, and runs them.

    The model is told of each node what its properties are and hold, once the inputs
    have arrived. Of several nodes those run that it gives properties to.
    """

    outputs = {"__control_output__": "dict[str, any]"}

    model: Model = no_model("language_model")
    system: Instructions = CONTROLLER
    max_tokens: Annotated[
        int, Meta(description="The longest answer, in tokens.", min=1, max=100000)
    ] = 2048

    async def process(self, context: NodeContext) -> dict[str, Any]:
        reached = await reach(context, self.model)
        targets = await context.control.targets()
        if not targets:
            raise ValueError(
                "There is nothing to control: draw a control edge to a node"
            )
        seen = encode_value(control_context(targets)).decode()
        schemas = {target.id: event_schema(target) for target in targets}
        is_single = len(targets) == 1
        several = {
            "type": "object",
            "properties": schemas,
            "additionalProperties": False,
        }
        messages = instructed(self.system, said("user", f"_control_context:\n{seen}\n"))
        chosen = await ask_structured(
            reached,
            request_to(reached, messages, max_tokens=self.max_tokens),
            schemas[targets[0].id] if is_single else several,
            lambda answer: chosen_properties(targets, answer),
            usage=context.run.usage,
        )
        return {
            "__control_output__": chosen[targets[0].id] if is_single else chosen,
            "__control__": [
                TargetedEvent(target_id, RunEvent(properties))
                for target_id, properties in chosen.items()
            ],
        }
