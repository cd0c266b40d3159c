"""A completion that is answered in one piece."""

from __future__ import annotations

from msgspec import UNSET

from chat.openai_api.generation import Generation, Head
from chat.openai_api.legacy import use_old_form
from chat.openai_api.schemas import (
    AnswerChoice,
    AnswerMessage,
    ChatCompletion,
    FunctionCall,
    Logprobs,
    usage_document,
)
from chat.openai_api.schemas import Call as CallDocument
from workflows.providers.base import ProviderError
from workflows.providers.calls import Call
from workflows.providers.messages import Chunk, FinishReason, ToolCallDelta

MAX_CHARACTERS = 16 * 1024**2


class _Answer:
    """What one call has said, put together."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[int, _ToolCall] = {}
        self.logprobs: list[dict[str, object]] = []
        self.finish_reason: FinishReason = "stop"

    def add(self, chunk: Chunk, text: str) -> int:
        """Add what a chunk says; return how much that is."""
        (self.refusals if chunk.is_refusal else self.texts).append(text)
        self.reasoning.append(chunk.reasoning)
        if chunk.logprobs:
            self.logprobs.extend(chunk.logprobs)
        size = len(text) + len(chunk.reasoning)
        for piece in chunk.tool_calls:
            self.calls.setdefault(piece.index, _ToolCall()).add(piece)
            size += len(piece.arguments)
        return size

    def document(self) -> AnswerChoice:
        """Return the choice of the completion."""
        calls = [self.calls[index].document() for index in sorted(self.calls)]
        text, refusal = "".join(self.texts), "".join(self.refusals)
        message = AnswerMessage(
            content=text if text or not (calls or refusal) else None,
            refusal=refusal or None,
            reasoning_content="".join(self.reasoning) or UNSET,
            tool_calls=calls or UNSET,
        )
        return AnswerChoice(
            index=self.index,
            message=message,
            finish_reason=self.finish_reason,
            logprobs=Logprobs(content=self.logprobs) if self.logprobs else None,
        )


class _ToolCall:
    def __init__(self) -> None:
        self.id = self.name = ""
        self.arguments: list[str] = []

    def add(self, piece: ToolCallDelta) -> None:
        self.id = self.id or piece.id
        self.name = self.name or piece.name
        self.arguments.append(piece.arguments)

    def document(self) -> CallDocument:
        function = FunctionCall(
            name=self.name, arguments="".join(self.arguments) or "{}"
        )
        return CallDocument(id=self.id, function=function)


async def whole_answer(
    generation: Generation, head: Head, *, is_legacy: bool
) -> ChatCompletion:
    """Wait for all calls and return the completion.

    ``is_legacy``: in the form that knows no tools.

    Raises:
        ProviderError: one of them failed, or says more than is kept in memory.
        ThreadNotFound: see ``Generation.keep``.
    """
    answers = [_Answer(call.index) for call in generation.calls]
    left, size = len(answers), 0
    while left:
        for call, item in await generation.next():
            answer = answers[call.index]
            if call.is_cut:
                continue
            if isinstance(item, Exception):
                raise item
            if isinstance(item, Chunk):
                size += answer.add(item, call.take(item))
                if call.is_cut:
                    generation.cut(call)
                    left -= _finish(answer, call)
            else:
                left -= _finish(answer, call)
        if size > MAX_CHARACTERS:
            raise ProviderError("The answer of the provider is too long.")
    await generation.keep()
    choices = [answer.document() for answer in answers]
    if is_legacy:
        for choice in choices:
            use_old_form(choice)
    return ChatCompletion(
        **head._asdict(),
        choices=choices,
        usage=usage_document([call.usage for call in generation.calls]),
    )


def _finish(answer: _Answer, call: Call) -> int:
    rest, answer.finish_reason = call.end()
    answer.texts.append(rest)
    return 1
