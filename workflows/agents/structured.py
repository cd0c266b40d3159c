"""Answers that have to be JSON of a given shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from workflows.agents.answers import whole_answer
from workflows.agents.context_window import fitted
from workflows.agents.loop import AgentError
from workflows.engine.context import ReachedModel
from workflows.engine.errors import ValueMisfit
from workflows.engine.usage import UsageTally
from workflows.providers.messages import (
    ChatRequest,
    Message,
    ResponseFormat,
    TextPart,
)

T = TypeVar("T")

ATTEMPTS = 2


async def ask_structured(
    reached: ReachedModel,
    request: ChatRequest,
    schema: dict[str, Any],
    check: Callable[[Any], T],
    *,
    usage: UsageTally,
) -> T:
    """Return what ``check`` makes of the model's answer.

    ``schema`` is for the model, which may not keep to it. ``check`` gets the JSON value
    or raises `ValueMisfit`, which tells the model what is wrong: it tries again, once.

    Raises:
        ProviderError: a call of the model failed.
        AgentError: the second answer does not fit either.
    """
    messages = list(request.messages)
    wanted = ResponseFormat("json_schema", name="answer", schema=schema)
    fault = ""
    for _ in range(ATTEMPTS):
        attempt = msgspec.structs.replace(
            request,
            messages=fitted(
                messages,
                context_tokens=reached.context_tokens,
                answer_tokens=request.max_tokens,
            ),
            response_format=wanted,
        )
        answer = await whole_answer(reached, attempt, usage)
        try:
            return check(json_in(answer.text))
        except ValueMisfit as misfit:
            fault = str(misfit)
        if answer.finish_reason == "length":
            fault = "it was cut off at the limit of tokens"
            break
        messages += [answer.message(), _correction(fault)]
    raise AgentError(f"The model's answer does not have the shape asked for: {fault}")


def json_in(text: str) -> Any:
    """Return the JSON value of an answer, also out of a fenced block or amid prose.

    Raises:
        ValueMisfit: there is none.
    """
    candidates = (text, *_braced(text, "{", "}"), *_braced(text, "[", "]"))
    for candidate in candidates:
        try:
            return msgspec.json.decode(candidate)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue
    raise ValueMisfit("it is no JSON")


def _braced(text: str, opening: str, closing: str) -> list[str]:
    start, end = text.find(opening), text.rfind(closing)
    return [text[start : end + 1]] if 0 <= start < end else []


def _correction(fault: str) -> Message:
    text = (
        f"That answer cannot be used: {fault}. Answer again with one JSON value that "
        "fits the schema, and with nothing else."
    )
    return Message("user", (TextPart(text),))
