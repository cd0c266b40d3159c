"""Nodes for what single vendors of language models offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from workflows.agents.answers import Answer, whole_answer
from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.engine.values import ImageRef, is_blank
from workflows.nodes import registry
from workflows.nodes.llm import instructed, question, request_to
from workflows.nodes.structured import choice, no_asset
from workflows.nodes.successors import ask_or_successor
from workflows.providers.messages import Message

if TYPE_CHECKING:
    from workflows.providers.base import Moderator

Prompt = Annotated[str, Meta(description="What the model shall do.")]
Picture = Annotated[ImageRef, Meta(description="The picture.")]
Query = Annotated[str, Meta(description="What to look for.")]

READ_ALL = (
    "Read all text in this picture. Answer with the text alone, laid out as it is "
    "there; answer with nothing if there is none."
)


async def _ask(
    context: NodeContext,
    provider: str,
    model: str,
    messages: Sequence[Message],
    **options: Any,
) -> Answer:
    """Return the whole answer of a vendor's model.

    Raises:
        ProviderError: it cannot be called; the text names the cure.
        AgentError: it could not say anything.
    """

    async def ask(name: str) -> Answer:
        reached = await context.models.find(name, provider)
        request = request_to(reached, messages, **options)
        return await whole_answer(reached, request, context.run.usage)

    return await ask_or_successor(context, model, ask)


def _given(image: dict[str, Any]) -> dict[str, Any]:
    if is_blank(image):
        raise ValueError("There is no image: connect one, or choose one")
    return image


MistralModel = Literal[
    "mistral-large-latest",
    "mistral-medium-latest",
    "mistral-small-latest",
    "pixtral-large-latest",
    "codestral-latest",
    "ministral-8b-latest",
    "ministral-3b-latest",
]


@registry.register("mistral.text.ChatComplete")
class MistralChatComplete(Node):
    """Answers a prompt, with a model of Mistral."""

    outputs = {"output": "str"}
    expose_as_tool = True
    required_settings = ("MISTRAL_API_KEY",)

    model: Annotated[
        MistralModel, choice(MistralModel, "nodetool.nodes.mistral.text.MistralModel")
    ] = "mistral-small-latest"
    prompt: Prompt = ""
    system_prompt: Annotated[str, Meta(description="What it is told first.")] = ""
    temperature: Annotated[
        float, Meta(description="0 for the likeliest words.", min=0.0, max=1.0)
    ] = 0.7
    max_tokens: Annotated[
        int, Meta(description="The longest answer, in tokens.", min=1, max=32768)
    ] = 1024

    async def process(self, context: NodeContext) -> str:
        asked = await question(context, self.prompt)
        answer = await _ask(
            context,
            "mistral",
            self.model,
            instructed(self.system_prompt, asked),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )
        return answer.text


@registry.register("mistral.text.CodeComplete")
class MistralCodeComplete(Node):
    """Goes on with code, up to a suffix if there is one, with a model of Mistral."""

    outputs = {"output": "str"}
    expose_as_tool = True
    required_settings = ("MISTRAL_API_KEY",)

    prompt: Annotated[str, Meta(description="The code before.")] = ""
    suffix: Annotated[str, Meta(description="The code that comes after.")] = ""
    temperature: Annotated[
        float, Meta(description="0 for the likeliest code.", min=0.0, max=1.0)
    ] = 0.0
    max_tokens: Annotated[
        int, Meta(description="The longest answer, in tokens.", min=1, max=32768)
    ] = 2048

    async def process(self, context: NodeContext) -> str:
        asked = await question(context, self.prompt)
        answer = await _ask(
            context,
            "mistral",
            "codestral-latest",
            [asked],
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            extras={"suffix": self.suffix},
        )
        return answer.text


VisionModel = Literal["pixtral-large-latest", "pixtral-12b-2409"]
VISION = choice(VisionModel, "nodetool.nodes.mistral.vision.VisionModel")


@registry.register("mistral.vision.ImageToText")
class MistralImageToText(Node):
    """Answers a question about a picture, with a model of Mistral."""

    outputs = {"output": "str"}
    expose_as_tool = True
    required_settings = ("MISTRAL_API_KEY",)

    image: Picture = no_asset("image")
    prompt: Prompt = "Describe this image in detail."
    model: Annotated[VisionModel, VISION] = "pixtral-large-latest"
    temperature: Annotated[
        float, Meta(description="0 for the likeliest words.", min=0.0, max=1.0)
    ] = 0.3
    max_tokens: Annotated[
        int, Meta(description="The longest answer, in tokens.", min=1, max=16384)
    ] = 1024

    async def process(self, context: NodeContext) -> str:
        answer = await _ask(
            context,
            "mistral",
            self.model,
            [await question(context, self.prompt, _given(self.image))],
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )
        return answer.text


@registry.register("mistral.vision.OCR")
class MistralOCR(Node):
    """Reads the text in a picture, with a model of Mistral."""

    outputs = {"output": "str"}
    expose_as_tool = True
    required_settings = ("MISTRAL_API_KEY",)

    image: Picture = no_asset("image")
    model: Annotated[VisionModel, VISION] = "pixtral-large-latest"

    async def process(self, context: NodeContext) -> str:
        asked = await question(context, READ_ALL, _given(self.image))
        answer = await _ask(context, "mistral", self.model, [asked], temperature=0.0)
        return answer.text


@registry.register("openai.text.WebSearch")
class OpenAIWebSearch(Node):
    """Answers a question with what a search of the web finds, with OpenAI."""

    outputs = {"output": "str"}
    required_settings = ("OPENAI_API_KEY",)

    query: Query = ""

    async def process(self, context: NodeContext) -> str:
        answer = await _ask(
            context,
            "openai",
            "gpt-4o-search-preview",
            [await question(context, self.query)],
            extras={"web_search_options": {}},
        )
        return answer.text


ModerationModel = Literal[
    "omni-moderation-latest",
    "omni-moderation-2024-09-26",
    "text-moderation-latest",
    "text-moderation-stable",
]


@registry.register("openai.text.Moderation")
class OpenAIModeration(Node):
    """Tells whether a text breaks OpenAI's rules for content, and which of them."""

    outputs = {
        "flagged": "bool",
        "categories": "dict[str, bool]",
        "category_scores": "dict[str, float]",
    }
    expose_as_tool = True
    required_settings = ("OPENAI_API_KEY",)

    input: Annotated[str, Meta(description="The text.")] = ""
    model: Annotated[
        ModerationModel,
        choice(ModerationModel, "nodetool.nodes.openai.text.ModerationModel"),
    ] = "omni-moderation-latest"

    async def process(self, context: NodeContext) -> dict[str, Any]:
        if not self.input:
            raise ValueError("The text is empty: there is nothing to judge")
        reached = await context.models.find(self.model, "openai")
        judge = cast("Moderator", reached.provider)
        found = await judge.moderate(self.input, reached.model)
        return {
            "flagged": found.flagged,
            "categories": found.categories,
            "category_scores": found.category_scores,
        }


GroundedModel = Literal["gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.0-flash"]


@registry.register("gemini.text.GroundedSearch")
class GeminiGroundedSearch(Node):
    """Answers a question with what Google finds, and tells the pages, with Gemini."""

    outputs = {"results": "list[str]", "sources": "list[source]"}
    expose_as_tool = True
    required_settings = ("GEMINI_API_KEY",)

    query: Query = ""
    model: Annotated[
        GroundedModel, choice(GroundedModel, "nodetool.nodes.gemini.text.GeminiModel")
    ] = "gemini-2.0-flash"

    async def process(self, context: NodeContext) -> dict[str, Any]:
        answer = await _ask(
            context,
            "gemini",
            self.model,
            [await question(context, self.query)],
            extras={"google_search": True},
        )
        sources = [
            {"type": "source", "title": source.title, "url": source.url}
            for source in answer.sources
        ]
        return {"results": [answer.text], "sources": sources}
