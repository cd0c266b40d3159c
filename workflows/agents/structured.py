"""Answers that have to have a given shape, such as JSON of a schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from workflows.agents.answers import AgentError, whole_answer
from workflows.agents.context_window import fitted
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
    """Return what ``check`` makes of the JSON value that the model answers with.

    ``schema`` is for the model, which may not keep to it; see `ask_checked`. It is told
    in words, too: not every model behind a vendor knows of formats.
    """
    wanted = ResponseFormat(
        "json_schema", name="answer", schema=schema, is_explained=True
    )
    *earlier, asked = request.messages
    content = (*asked.content, TextPart(_schema_text(schema)))
    messages = (*earlier, msgspec.structs.replace(asked, content=content))
    return await ask_checked(
        reached,
        msgspec.structs.replace(request, messages=messages, response_format=wanted),
        lambda text: check(json_in(text)),
        usage=usage,
    )


async def ask_checked(
    reached: ReachedModel,
    request: ChatRequest,
    check: Callable[[str], T],
    *,
    usage: UsageTally,
) -> T:
    """Return what ``check`` makes of the text of the model's answer.

    It raises `ValueMisfit` for one that does not fit: the model is told why, and tries
    again, once.

    Raises:
        ProviderError: a call of the model failed.
        AgentError: the second answer does not fit either, or one was cut off.
    """
    messages = list(request.messages)
    fault = ""
    for _ in range(ATTEMPTS):
        attempt = msgspec.structs.replace(
            request,
            messages=fitted(
                messages,
                context_tokens=reached.context_tokens,
                answer_tokens=request.max_tokens,
            ),
        )
        answer = await whole_answer(reached, attempt, usage)
        try:
            return check(answer.text)
        except ValueMisfit as misfit:
            fault = str(misfit)
        if answer.finish_reason == "length":
            fault = "it was cut off at the limit of tokens"
            break
        # A message without a word is refused by some.
        messages += [answer.message()] if answer.text else []
        messages.append(_correction(fault))
    raise AgentError(f"The model's answer does not have the shape asked for: {fault}")


def _schema_text(schema: dict[str, Any]) -> str:
    text = msgspec.json.encode(schema).decode()
    return (
        "\n\nAnswer with JSON that fits this schema, and with nothing else.\n"
        f"<JSON_SCHEMA>\n{text}\n</JSON_SCHEMA>"
    )


def json_in(text: str) -> Any:
    """Return the JSON value of an answer, also out of a fenced block or amid prose.

    Raises:
        ValueMisfit: there is none.
    """
    # Some servers leave in what the model thought before.
    said = text.rpartition("</think>")[2]
    candidates = (text, said, *_braced(said, "{", "}"), *_braced(said, "[", "]"))
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
        f"That answer cannot be used: {fault}. Answer again as you were asked to, and "
        "with nothing else."
    )
    return Message("user", (TextPart(text),))
