"""A provider without a network: the same request always gets the same answer.

For examples, tests and work offline. Model ids:

- ``fake`` and ``fake-...`` say one sentence
- ``echo`` says the last message of the user
- ``scripted`` does what the last message of the user that is a script says, else what
  the instructions say, if they are one
- ``embedding`` turns texts into unit vectors: each word of a text counts in one of
  their dimensions, so the more words two texts share, the closer they are. It takes
  ``scripted`` too, which first waits or fails as its first text says

A script is JSON: one step, or a list with a step for each answer that follows it. A
step has ``text``, ``refusal``, ``reasoning``, ``tool_calls`` (``name``, ``arguments``),
``finish_reason``, ``delay_s`` of silence before each piece, and ``error`` (a vendor's
``status``, ``message``, ``code``, ``retry_after_s``; ``after``: the number of pieces
before it). Behind its last step, and without one, ``scripted`` says the last message.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import math
import re
from array import array
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING

import msgspec

from workflows.providers.base import ProviderError, ProviderTimeout, error_for_status
from workflows.providers.messages import (
    CHARACTERS_PER_TOKEN,
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Embeddings,
    FinishReason,
    Message,
    ModelInfo,
    NamedTool,
    ToolCallDelta,
    Usage,
    Vector,
    estimate_tokens,
)

if TYPE_CHECKING:
    from workflows.providers.registry import ProviderSpec

PIECE = 10
GREETING = "Hello! This is a fake answer, made without any model."
MODELS = ("fake", "fake/echo", "fake/scripted")
EMBEDDING_MODELS = ("fake/embedding",)
DIMENSIONS = 256
MAX_DIMENSIONS = 4096


class ScriptedCall(msgspec.Struct, frozen=True):
    """A tool call to make."""

    name: str
    arguments: dict[str, object] = {}


class ScriptedError(msgspec.Struct, frozen=True):
    """A failure to have; ``status`` is a vendor's."""

    status: int
    message: str = "scripted failure"
    code: str | None = None
    retry_after_s: float | None = None
    after: int = 0


class Step(msgspec.Struct, frozen=True):
    """One answer of a script."""

    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    tool_calls: list[ScriptedCall] = []
    finish_reason: FinishReason | None = None
    delay_s: float = 0.0
    error: ScriptedError | None = None


_SCRIPT = msgspec.json.Decoder(Step | list[Step])


class FakeProvider:
    """Answers at once, in pieces of ten characters, and counts its tokens."""

    def __init__(
        self,
        *,
        api_key: str | None,
        base_url: str,
        timeout_s: float,
        spec: ProviderSpec | None = None,
    ) -> None:
        """Take what every provider takes; all but the time is not used."""
        self._timeout_s = timeout_s

    async def models(self) -> list[ModelInfo]:
        """Return the ids that are worth a line in a list."""
        chat = [ModelInfo(id=name) for name in MODELS]
        return chat + [
            ModelInfo(id=name, kind="embedding") for name in EMBEDDING_MODELS
        ]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Return the answer in pieces.

        Raises:
            ProviderError: the script says so, or there is no such model.
        """
        step = _step(request)
        delay_s = max(step.delay_s, 0.0)
        fails_after = step.error.after if step.error is not None else None
        said: list[str] = []
        for count, chunk in enumerate(_chunks(step, request)):
            if count == fails_after:
                break
            if delay_s:
                await self._wait(delay_s)
            said.append(chunk.text or chunk.reasoning)
            said.extend(call.arguments for call in chunk.tool_calls)
            yield chunk
        if step.error is not None:
            raise _error(step.error)
        yield Chunk(usage=_usage(request, "".join(said)))

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Return a vector for each text.

        Raises:
            ProviderError: the script says so, or there is no such model.
        """
        texts = _texts(request)
        model = request.model.removeprefix("fake/").removeprefix("fake-")
        if model == "scripted":
            await self._perform(_script(texts[0], "input") or [])
        elif model != "embedding":
            raise _no_model(request.model, EMBEDDING_MODELS)
        length = request.dimensions or DIMENSIONS
        if length > MAX_DIMENSIONS:
            raise _unsupported("dimensions", f"has at most {MAX_DIMENSIONS} dimensions")
        vectors = await asyncio.to_thread(
            lambda: [_vector(text, length) for text in texts]
        )
        return Embeddings(
            vectors, Usage(prompt_tokens=sum(map(estimate_tokens, texts)))
        )

    async def _perform(self, steps: list[Step]) -> None:
        """Wait and fail as the first step says."""
        for step in steps[:1]:
            if step.delay_s > 0:
                await self._wait(step.delay_s)
            if step.error is not None:
                raise _error(step.error)

    async def _wait(self, delay_s: float) -> None:
        await asyncio.sleep(min(delay_s, self._timeout_s))
        if delay_s >= self._timeout_s:
            raise ProviderTimeout(f"The provider was silent for {self._timeout_s:g} s.")


def _step(request: ChatRequest) -> Step:
    model = request.model.removeprefix("fake/")
    forced = _forced_call(request)
    if forced is not None:
        return forced
    if model == "echo":
        return Step(text=_last_said(request.messages, "user"))
    if model == "scripted":
        return _scripted(request.messages)
    if model == "fake" or model.startswith("fake-"):
        return Step(text=GREETING)
    raise _no_model(model, MODELS)


def _no_model(model: str, among: tuple[str, ...]) -> ProviderError:
    return ProviderError(
        f"The fake provider has no model '{model}'; it has {', '.join(among)}.",
        status=404,
        code="model_not_found",
        param="model",
    )


def _texts(request: EmbeddingRequest) -> list[str]:
    texts = [text for text in request.inputs if isinstance(text, str)]
    if len(texts) == len(request.inputs):
        return texts
    raise _unsupported("input", "takes no tokens, only texts")


def _unsupported(param: str, what: str) -> ProviderError:
    return ProviderError(
        f"The fake provider {what}.", status=400, code="unsupported_value", param=param
    )


def _vector(text: str, length: int) -> Vector:
    """Return a unit vector; a text without words counts as one word."""
    vector = array("d", bytes(8 * length))
    for word in re.findall(r"\w+", text.lower()) or [text]:
        digest = hashlib.blake2b(word.encode(errors="replace"), digest_size=8).digest()
        vector[int.from_bytes(digest, "big") % length] += 1.0
    norm = math.hypot(*vector)
    return array("d", (number / norm for number in vector))


def _forced_call(request: ChatRequest) -> Step | None:
    """Return the call that ``tool_choice`` demands, once its result is not there."""
    choice = request.tool_choice
    is_forced = choice == "required" or isinstance(choice, NamedTool)
    if not is_forced or not request.tools or request.messages[-1].role == "tool":
        return None
    if request.model.endswith("scripted"):
        return None
    name = choice.name if isinstance(choice, NamedTool) else request.tools[0].name
    return Step(tool_calls=[ScriptedCall(name)])


def _last_said(messages: tuple[Message, ...], role: str | None = None) -> str:
    found = (m.text for m in reversed(messages) if role is None or m.role == role)
    return next(found, "")


def _scripted(messages: tuple[Message, ...]) -> Step:
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        is_asked = message.role in ("user", "system")
        steps = _script(message.text) if is_asked else None
        if steps is not None:
            answers = sum(m.role == "assistant" for m in messages[index + 1 :])
            if answers < len(steps):
                return steps[answers]
            break
    return Step(text=_last_said(messages))


def _script(text: str, param: str = "messages") -> list[Step] | None:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        steps = _SCRIPT.decode(text)
    except msgspec.DecodeError as error:
        raise ProviderError(
            f"The script of the fake provider is not understood: {error}",
            status=400,
            code=None,
            param=param,
        ) from error
    return steps if isinstance(steps, list) else [steps]


def _chunks(step: Step, request: ChatRequest) -> Iterator[Chunk]:
    text, finish = step.text, step.finish_reason
    if request.max_tokens is not None:
        room = request.max_tokens * CHARACTERS_PER_TOKEN
        if len(text) > room:
            text, finish = text[:room], "length"
    yield from (Chunk(reasoning=piece) for piece in _pieces(step.reasoning))
    yield from (Chunk(text=piece, is_refusal=True) for piece in _pieces(step.refusal))
    yield from (Chunk(text=piece) for piece in _pieces(text))
    turn = sum(m.role == "assistant" for m in request.messages)
    for index, call in enumerate(step.tool_calls):
        call_id = f"call_fake_{turn}_{index}"
        head = ToolCallDelta(index=index, id=call_id, name=call.name)
        yield Chunk(tool_calls=(head,))
        arguments = msgspec.json.encode(call.arguments).decode()
        for piece in _pieces(arguments):
            delta = ToolCallDelta(index=index, arguments=piece)
            yield Chunk(tool_calls=(delta,))
    yield Chunk(finish_reason=finish or ("tool_calls" if step.tool_calls else "stop"))


def _pieces(text: str) -> Iterator[str]:
    characters = iter(text)
    while piece := "".join(itertools.islice(characters, PIECE)):
        yield piece


def _error(scripted: ScriptedError) -> ProviderError:
    return error_for_status(
        scripted.status,
        scripted.message,
        code=scripted.code,
        retry_after_s=scripted.retry_after_s,
    )


def _usage(request: ChatRequest, said: str) -> Usage:
    asked = sum(estimate_tokens(message.text) for message in request.messages)
    return Usage(prompt_tokens=asked, completion_tokens=estimate_tokens(said))
