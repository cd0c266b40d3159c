"""Providers and tools that do as a test says."""

from typing import Any

import msgspec

from workflows.agents.loop import AgentLoop, Happening
from workflows.engine.context import ReachedModel
from workflows.engine.usage import UsageTally
from workflows.providers.base import ProviderError
from workflows.providers.fake import FakeProvider
from workflows.providers.messages import (
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Message,
    Moderation,
    TextPart,
)


def said(role: str, text: str, **fields: Any) -> Message:
    return Message(role, (TextPart(text),), **fields)


def script(*steps: dict[str, Any]) -> str:
    """Return the text that makes ``scripted`` answer with these steps."""
    return msgspec.json.encode(steps).decode()


def fake(model: str = "scripted", **fields: Any) -> ReachedModel:
    provider = FakeProvider(api_key=None, base_url="", timeout_s=5)
    return ReachedModel(provider, "fake", model, **fields)


class Played:
    """A provider whose model id is the script of all its answers; keeps requests.

    A model with another id says the last message of the user. Each conversation begins
    with the script's first step; ``in_turn``: all of them together have one step each.
    """

    def __init__(self, *, in_turn: bool = False) -> None:
        self._in_turn = in_turn
        self.requests: list[ChatRequest] = []
        self._fake = FakeProvider(api_key=None, base_url="", timeout_s=5)

    async def stream(self, request: ChatRequest):
        self.requests.append(request)
        messages = request.messages
        if request.model.startswith("["):
            answered = [m for m in messages if m.role == "assistant"]
            if self._in_turn:
                answered = [said("assistant", "")] * (len(self.requests) - 1)
            messages = (said("user", request.model), *answered)
        played = msgspec.structs.replace(request, model="scripted", messages=messages)
        async for chunk in self._fake.stream(played):
            yield chunk

    async def embed(self, request: EmbeddingRequest):
        return await self._fake.embed(
            msgspec.structs.replace(request, model="embedding")
        )

    async def moderate(self, text: str, model: str) -> Moderation:
        return Moderation("bad" in text, {"violence": False}, {"violence": 0.25})


class Answers:
    """A provider that gives chunks, or raises, as it is told; keeps the requests."""

    def __init__(self, *answers: list[Chunk | ProviderError]) -> None:
        self.requests: list[ChatRequest] = []
        self._answers = list(answers)

    async def stream(self, request: ChatRequest):
        self.requests.append(request)
        for chunk in self._answers.pop(0):
            if isinstance(chunk, ProviderError):
                raise chunk
            yield chunk

    def reached(self) -> ReachedModel:
        return ReachedModel(self, "vendor", "model")


class Adder:
    """Adds two numbers."""

    name = "add"
    description = "Adds a and b."
    parameters: dict[str, Any] = {"type": "object", "properties": {}}

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    async def call(self, call):
        self.calls.append(call.arguments)
        return {"sum": call.arguments["a"] + call.arguments["b"]}


class Returns:
    """Returns one value whatever it is given."""

    description = ""
    parameters: dict[str, Any] = {}

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self._value = value

    async def call(self, call):
        return self._value


class Loop:
    """A loop that has run, or failed, and all that happened."""

    def __init__(
        self, what: str, *tools: Any, given=(), form=None, reached=None, **fields: Any
    ) -> None:
        reached = reached or fake()
        self.usage = UsageTally()
        self.loop = AgentLoop(
            reached,
            ChatRequest(
                model=reached.model,
                messages=(said("user", what),),
                tools=given,
                response_format=form,
            ),
            usage=self.usage,
            tools=tools,
            **fields,
        )
        self.happenings: list[Happening] = []

    async def run(self) -> "Loop":
        async for happening in self.loop.run():
            self.happenings.append(happening)
        return self

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.happenings if isinstance(each, kind)]
