"""Pictures, sounds and documents on their way to a model."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from workflows.agents.conversation import read_conversation
from workflows.engine.context import NodeContext
from workflows.engine.errors import UnusableMedia
from workflows.engine.values import is_blank
from workflows.providers.messages import (
    AudioPart,
    FilePart,
    Message,
    Part,
    TextPart,
)

Json = Mapping[str, Any]

PDF = b"%PDF-"


async def read_stored(stored: Sequence[Json], context: NodeContext) -> list[Message]:
    """Return a stored conversation with what its messages refer to.

    Of an earlier message, what cannot be read any more is only mentioned.

    Raises:
        UnusableMedia: the last message refers to something that cannot be read.
    """
    return await read_conversation(stored, partial(_stored_part, context))


async def attached(context: NodeContext, *references: Json) -> tuple[Part, ...]:
    """Return the pictures and sounds that a node was given, without the empty ones.

    Raises:
        UnusableMedia: one is not there, or of a kind that models do not take.
    """
    given = [each for each in references if not is_blank(each)]
    return tuple([await _attached(context, reference) for reference in given])


async def _attached(context: NodeContext, reference: Json) -> Part:
    kind = reference.get("type")
    if kind == "image":
        return await context.models.image(reference)
    data = await context.assets.read(dict(reference))
    return _document(data) if kind == "document" else _sound(data)


async def _stored_part(context: NodeContext, part: Json, *, is_last: bool) -> Part:
    kind = str(part.get("type") or "").removesuffix("_url")
    reference = part.get(kind) or part.get("image_url")
    if isinstance(reference, str):
        reference = {"uri": reference}
    elif isinstance(reference, dict) and "url" in reference:
        reference = {"uri": reference["url"]}
    try:
        if kind not in ("image", "audio", "document") or not reference:
            raise UnusableMedia(f"A model cannot be given a part of type '{kind}'")
        return await _attached(context, {**_with_bytes(reference), "type": kind})
    except Exception as error:
        if not is_last:
            return TextPart(f"[{kind} that is not there any more]")
        if isinstance(error, UnusableMedia):
            raise
        raise UnusableMedia(f"The {kind} cannot be read: {error}") from error


def _with_bytes(reference: Json) -> Json:
    """Return a reference whose content came along, as bytes: stored it is base64."""
    data = reference.get("data")
    if not (isinstance(data, str) and data):
        return reference
    return {**reference, "data": base64.b64decode(data, validate=True)}


def _sound(data: bytes) -> AudioPart:
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return AudioPart(data, "wav")
    if data[:3] == b"ID3" or (data[:1] == b"\xff" and data[1:2] >= b"\xe0"):
        return AudioPart(data, "mp3")
    raise UnusableMedia("The sound is neither WAV nor MP3; models take only those")


def _document(data: bytes) -> Part:
    if data.startswith(PDF):
        return FilePart(data, "application/pdf", "document.pdf")
    try:
        return TextPart(data.decode())
    except UnicodeDecodeError as error:
        raise UnusableMedia(
            "The document is neither a PDF nor text in UTF-8; models take only those"
        ) from error
