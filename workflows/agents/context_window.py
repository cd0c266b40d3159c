"""How much of a conversation a model can be given."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from workflows.providers.messages import Message, TextPart, estimate_tokens

DEFAULT_CONTEXT_TOKENS = 100_000
ANSWER_TOKENS = 4_096
# A picture or a page takes about so much with the vendors that count them.
MEDIA_TOKENS = 1_000
MESSAGE_TOKENS = 4
LEFT_OUT = "[left out: the conversation would be too long]"


def fitted(
    messages: Sequence[Message],
    *,
    context_tokens: int | None = None,
    answer_tokens: int | None = None,
) -> tuple[Message, ...]:
    """Return the messages without the oldest exchanges, if they are too many.

    An exchange is a message of the user with all that follows it, so no tool's result
    loses its call. Instructions and the last exchange always stay; where that alone is
    too long, the results of its tools are left out, the oldest first.
    """
    room = (context_tokens or DEFAULT_CONTEXT_TOKENS) - (answer_tokens or ANSWER_TOKENS)
    instructions = [m for m in messages if m.role in ("system", "developer")]
    room -= sum(map(tokens_of, instructions))
    kept: list[list[Message]] = []
    for exchange in reversed(_exchanges(messages)):
        room -= sum(map(tokens_of, exchange))
        if kept and room < 0:
            break
        kept.append(_shortened(exchange, -room))
    rest = [message for exchange in reversed(kept) for message in exchange]
    return (*instructions, *rest)


def tokens_of(message: Message) -> int:
    """Return about how many tokens a message takes."""
    texts = [message.text, *(call.arguments for call in message.tool_calls)]
    media = sum(not isinstance(part, TextPart) for part in message.content)
    said = sum(map(estimate_tokens, texts))
    return MESSAGE_TOKENS + said + media * MEDIA_TOKENS


def _shortened(exchange: list[Message], excess: int) -> list[Message]:
    """Return an exchange without the oldest results, until it has this much less."""
    found = []
    for message in exchange:
        if excess > 0 and message.role == "tool":
            short = msgspec.structs.replace(message, content=(TextPart(LEFT_OUT),))
            saved = tokens_of(message) - tokens_of(short)
            found.append(short if saved > 0 else message)
            excess -= max(saved, 0)
        else:
            found.append(message)
    return found


def _exchanges(messages: Sequence[Message]) -> list[list[Message]]:
    exchanges: list[list[Message]] = []
    for message in messages:
        if message.role in ("system", "developer"):
            continue
        if message.role == "user" or not exchanges:
            exchanges.append([])
        exchanges[-1].append(message)
    return exchanges
