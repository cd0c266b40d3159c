"""Titles of conversations, by a model."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import msgspec
from django.conf import settings

from chat import providers
from chat.documents import text_of
from chat.errors import ModelFailed
from chat.reads import read_history
from chat.services import short_title
from nodetool_site.lib.db import db

MAX_TOLD = 8_000
"""Characters of a conversation that the model is told: its beginning."""

MAX_ANSWER = 1_000
TIME_LIMIT_S = 60.0
ASK = (
    "Give this conversation a title of at most 60 characters. "
    "Answer with the title alone, without quotes.\n\n"
)


async def title_for(
    owner_id: str,
    thread_id: str,
    *,
    model: str | None = None,
    provider: str | None = None,
    content: str | None = None,
) -> str:
    """Return a title of at most 60 characters for the owner's thread.

    ``content``: what it is about, if not what was said in it.

    Raises:
        ModelNotFound, ProviderNotConfigured, UnknownProvider: see ``providers.find``.
        ModelFailed: the model gives none; the text says why.
    """
    if content is None:
        content = await db(_conversation, owner_id, thread_id)
    found = await providers.find(
        owner_id, model or settings.DEFAULT_MODEL, provider=provider
    )
    title = short_title(await _ask(found, ASK + content[:MAX_TOLD]))
    if not title:
        raise ModelFailed
    return title


async def _ask(found: providers.Found, question: str) -> str:
    # Here, because most servers never speak to a model.
    from workflows.providers.base import ProviderError
    from workflows.providers.messages import ChatRequest, Message, TextPart

    messages = (Message("user", (TextPart(question),)),)
    request = ChatRequest(model=found.model, messages=messages)
    answer = ""
    try:
        async with (
            asyncio.timeout(TIME_LIMIT_S),
            aclosing(found.access.connect().stream(request)) as chunks,
        ):
            async for chunk in chunks:
                answer += chunk.text
                if len(answer) > MAX_ANSWER:
                    break
    except ProviderError as error:
        raise ModelFailed(error.message) from error
    except TimeoutError as error:
        raise ModelFailed(f"No title within {TIME_LIMIT_S:g} s") from error
    return answer


def _conversation(owner_id: str, thread_id: str) -> str:
    """What was said in the thread, a line for each message."""
    said = []
    for document in read_history(owner_id, thread_id):
        message = msgspec.json.decode(document)
        text = text_of(message["content"])
        if text and message["role"] in ("user", "assistant"):
            said.append(f"{message['role']}: {text}")
    return "\n".join(said)
