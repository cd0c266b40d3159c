"""What OpenAI's clients read of ``/v1/responses``: a response and its items."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from chat.openai_api.schemas import Emitted

ItemStatus = Literal["in_progress", "completed", "incomplete"]
ResponseStatus = Literal["in_progress", "completed", "incomplete", "failed"]


class OutputText(Emitted, kw_only=True):
    """The text of a message."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[Any] = []
    logprobs: list[dict[str, Any]] = []


class Refusal(Emitted, kw_only=True):
    """Why a model does not answer, in the place of a text."""

    type: Literal["refusal"] = "refusal"
    refusal: str


class ReasoningText(Emitted, kw_only=True):
    """The text of a model's thoughts."""

    type: Literal["reasoning_text"] = "reasoning_text"
    text: str


class MessageItem(Emitted, kw_only=True):
    """What a model says."""

    id: str
    type: Literal["message"] = "message"
    status: ItemStatus
    role: Literal["assistant"] = "assistant"
    content: list[OutputText | Refusal]


class ReasoningItem(Emitted, kw_only=True):
    """What a model thinks, where its provider tells."""

    id: str
    type: Literal["reasoning"] = "reasoning"
    status: ItemStatus
    summary: list[Any] = []
    content: list[ReasoningText]


class FunctionCallItem(Emitted, kw_only=True):
    """A tool that a model wants to have called."""

    id: str
    type: Literal["function_call"] = "function_call"
    status: ItemStatus
    call_id: str
    name: str
    arguments: str


ContentPart: TypeAlias = OutputText | Refusal | ReasoningText
OutputItem: TypeAlias = MessageItem | ReasoningItem | FunctionCallItem


class InputTokensDetails(Emitted, kw_only=True):
    """Parts of the tokens that went in."""

    cached_tokens: int
    cache_write_tokens: int = 0


class OutputTokensDetails(Emitted, kw_only=True):
    """Parts of the tokens that came out."""

    reasoning_tokens: int


class ResponseUsage(Emitted, kw_only=True):
    """Tokens of a response."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseFailure(Emitted, kw_only=True):
    """Why there is no whole response."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class IncompleteDetails(Emitted, kw_only=True):
    """Why a response ends early."""

    reason: Literal["max_output_tokens", "content_filter"]


class ResponseDocument(Emitted, kw_only=True):
    """A response, whole or under way; what the request said is repeated in it."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: ResponseStatus = "in_progress"
    background: Literal[False] = False
    error: ResponseFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    model: str
    output: list[OutputItem] = msgspec.field(default_factory=list)
    parallel_tool_calls: bool
    previous_response_id: None = None
    reasoning: dict[str, Any]
    store: Literal[False] = False
    temperature: float | None
    text: dict[str, Any]
    tool_choice: Any
    tools: list[dict[str, Any]]
    top_logprobs: int | None
    top_p: float | None
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsage | None = None
    user: str | None
