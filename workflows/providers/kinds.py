"""What kind of model an id names, where its vendor's list does not say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflows.providers.messages import ModelKind

MAX_NAME = 200
# The first that is found counts. None: neither talks nor makes anything.
_WORDS: tuple[tuple[re.Pattern[str], ModelKind | None], ...] = (
    (re.compile("moderation|realtime|rerank", re.IGNORECASE), None),
    (re.compile("embed", re.IGNORECASE), "embedding"),
    (re.compile("transcribe|whisper", re.IGNORECASE), "asr"),
    (re.compile("tts", re.IGNORECASE), "tts"),
    (re.compile("dall-e|image", re.IGNORECASE), "image"),
    (re.compile(r"\bsora\b|\bveo\b", re.IGNORECASE), "video"),
)


def kind_of(model_id: str) -> ModelKind | None:
    """Return what a model is for, by the words in its id; it talks if none says else.

    None for models that this server has no use for.
    """
    for pattern, kind in _WORDS:
        if pattern.search(model_id):
            return kind
    return "language"


def shown_name(entry: dict[str, Any], model_id: str, *members: str) -> str:
    """Return the name that a vendor's list gives a model; empty if that is its id."""
    found = (entry.get(member) for member in members)
    name = next((value for value in found if isinstance(value, str) and value), "")
    return "" if name == model_id else name[:MAX_NAME]
