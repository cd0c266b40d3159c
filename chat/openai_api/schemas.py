"""What OpenAI's clients read: completions, their chunks, models."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from workflows.providers.messages import FinishReason, Usage

AnyFinishReason: TypeAlias = FinishReason | Literal["function_call"]
"""The last one only where a request speaks of functions: see ``Completion``."""


class Emitted(msgspec.Struct, forbid_unknown_fields=True):
    """Base of what is sent; the order of the members is that of OpenAI."""


class FunctionCall(Emitted, kw_only=True):
    """The function of a tool call; in a stream, its next piece."""

    name: str | UnsetType = UNSET
    arguments: str = ""


class CallPiece(Emitted, kw_only=True):
    """A piece of a tool call; the first has ``id``, ``type`` and the name."""

    index: int
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET
    function: FunctionCall


class Call(Emitted, kw_only=True):
    """A whole tool call."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class Delta(Emitted, kw_only=True):
    """What a chunk adds to a message."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    refusal: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[CallPiece] | UnsetType = UNSET
    function_call: FunctionCall | UnsetType = UNSET


class Logprobs(Emitted, kw_only=True):
    """Log probabilities of the tokens of ``content``."""

    content: list[dict[str, Any]]
    refusal: None = None


class ChunkChoice(Emitted, kw_only=True):
    """One answer's part of a chunk."""

    index: int
    delta: Delta
    logprobs: Logprobs | None = None
    finish_reason: AnyFinishReason | None = None


class UsageDetails(Emitted, kw_only=True):
    """A part of the prompt's, or of the answer's, tokens."""

    cached_tokens: int | UnsetType = UNSET
    reasoning_tokens: int | UnsetType = UNSET


class CompletionUsage(Emitted, kw_only=True):
    """Tokens of a completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: UsageDetails | UnsetType = UNSET
    completion_tokens_details: UsageDetails | UnsetType = UNSET


class CompletionChunk(Emitted, kw_only=True):
    """One event of a stream. ``usage`` is there only if it was asked for."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: None = None
    choices: list[ChunkChoice]
    usage: CompletionUsage | UnsetType | None = UNSET


class AnswerMessage(Emitted, kw_only=True):
    """The message of an answer."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[Call] | UnsetType = UNSET
    function_call: FunctionCall | UnsetType = UNSET


class AnswerChoice(Emitted, kw_only=True):
    """One answer of a completion."""

    index: int
    message: AnswerMessage
    logprobs: Logprobs | None = None
    finish_reason: AnyFinishReason


class ChatCompletion(Emitted, kw_only=True):
    """A whole completion."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[AnswerChoice]
    usage: CompletionUsage
    system_fingerprint: None = None


class DeletedCompletion(Emitted, kw_only=True):
    """The answer to who has stopped a completion."""

    id: str
    object: Literal["chat.completion.deleted"] = "chat.completion.deleted"
    deleted: bool = True


class Model(Emitted, kw_only=True):
    """A model in a list."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(Emitted, kw_only=True):
    """All models."""

    object: Literal["list"] = "list"
    data: list[Model]


encode = msgspec.json.Encoder().encode


def usage_document(usages: list[Usage]) -> CompletionUsage:
    """Return the usage of some calls, added up."""
    prompt = sum(max(0, usage.prompt_tokens) for usage in usages)
    answer = sum(max(0, usage.completion_tokens) for usage in usages)
    cached = [u.cached_tokens for u in usages if u.cached_tokens is not None]
    reasoned = [u.reasoning_tokens for u in usages if u.reasoning_tokens is not None]
    return CompletionUsage(
        prompt_tokens=prompt,
        completion_tokens=answer,
        total_tokens=prompt + answer,
        prompt_tokens_details=UsageDetails(cached_tokens=sum(cached))
        if cached
        else UNSET,
        completion_tokens_details=UsageDetails(reasoning_tokens=sum(reasoned))
        if reasoned
        else UNSET,
    )
