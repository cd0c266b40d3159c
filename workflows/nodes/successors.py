"""Models that nodes are bound to and their vendors have switched off since."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from workflows.engine.context import NodeContext
from workflows.providers.base import ProviderError

T = TypeVar("T")

# Editors know the old names, and so do stored graphs; the new ones are the vendors'.
SUCCESSORS = {
    "gpt-4o-search-preview": "gpt-5-search-api",
    "gemini-2.0-flash": "gemini-flash-latest",
    "gemini-2.5-flash": "gemini-flash-latest",
    "gemini-2.5-pro": "gemini-pro-latest",
    "text-embedding-004": "gemini-embedding-001",
    "pixtral-12b-2409": "ministral-14b-latest",
    "pixtral-large-latest": "mistral-medium-latest",
}


async def ask_or_successor(
    context: NodeContext, model: str, ask: Callable[[str], Awaitable[T]]
) -> T:
    """Return what a model answers, or its successor where it is not to be had any more.

    Raises:
        ProviderError: the model cannot be called, or its successor cannot.
    """
    try:
        return await ask(model)
    except ProviderError as error:
        later = SUCCESSORS.get(model)
        if later is None or not _is_gone(error):
            raise
    await context.log(
        f"The model {model} is not to be had any more: {later} answers in its place",
        "warning",
    )
    return await ask(later)


def _is_gone(error: ProviderError) -> bool:
    if error.code == "model_not_found":
        return True
    # Mistral's word for it.
    return error.vendor_status == 400 and "invalid model" in error.message.lower()
