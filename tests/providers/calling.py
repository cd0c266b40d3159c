"""Short ways to make providers and to call them."""

from collections.abc import Iterable
from typing import Any

from workflows.providers.base import ChatProvider
from workflows.providers.messages import ChatRequest, Chunk, Message, TextPart
from workflows.providers.registry import PROVIDERS, make_provider

KEY = "sk-canary-Zq8xVbT4mWc7Ls2Rd9Yk"
IDLE_S = 30.0  # nobody is to be taken for silent who is only slow
SILENT_S = 0.5


def said(role: str, *texts: str, **members: Any) -> Message:
    return Message(role, tuple(map(TextPart, texts)), **members)


def asked(*messages: Message, model: str = "model-1", **members: Any) -> ChatRequest:
    return ChatRequest(
        model=model, messages=messages or (said("user", "Hi"),), **members
    )


def provider(
    name: str, url: str, *, key: str = KEY, idle_s: float = IDLE_S
) -> ChatProvider:
    spec = PROVIDERS[name]
    key = key if spec.key_name else ""
    return make_provider(spec, api_key=key, base_url=url, timeout_s=idle_s)


async def answer(
    to: ChatProvider, request: ChatRequest | None = None, into: Any = None
) -> list[Chunk]:
    """Return all chunks; on a failure those before it are in ``into``."""
    chunks: list[Chunk] = [] if into is None else into
    async for chunk in to.stream(request or asked()):
        chunks.append(chunk)  # noqa: PERF401 - what came before a failure is kept
    return chunks


def text(chunks: Iterable[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


def summary(chunks: Iterable[Chunk]) -> dict[str, Any]:
    """What the chunks amount to, however they were cut."""
    chunks = list(chunks)
    calls: dict[int, list[str]] = {}
    for delta in (delta for chunk in chunks for delta in chunk.tool_calls):
        known = calls.setdefault(delta.index, ["", "", ""])
        known[0] += delta.id
        known[1] += delta.name
        known[2] += delta.arguments
    ends = [chunk.finish_reason for chunk in chunks if chunk.finish_reason]
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    return {
        "text": text(chunks),
        "reasoning": "".join(chunk.reasoning for chunk in chunks),
        "calls": [tuple(calls[index]) for index in sorted(calls)],
        "ends": ends,
        "usage": usages[-1] if usages else None,
    }
