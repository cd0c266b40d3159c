"""The outputs of a run that is not over, from its stored events."""

from __future__ import annotations

from typing import Any

import msgspec
from django.conf import settings

from jobs import feed
from jobs.api.documents import Json, text_of_chunk

_MARK = b'"type":"output_update"'


class _Output(msgspec.Struct):
    type: str
    output_name: str = ""
    value: Any = None
    disposition: str = ""


_decode = msgspec.json.Decoder(_Output).decode


class _Folding:
    """One output as far as it has come: its last value, or the text so far."""

    def __init__(self) -> None:
        self.last: Any = None
        self.text: list[str] | None = []
        self.size = 0

    def add(self, output: _Output) -> None:
        self.last = output.value
        piece = _piece(output)
        if self.text is None or piece is None:
            self.text = None
            return
        self.text.append(piece)
        self.size += len(piece)
        if self.size > settings.INLINE_ASSET_LIMIT:
            self.text = None

    @property
    def value(self) -> Any:
        return self.last if self.text is None else "".join(self.text)


def outputs_so_far(job_id: str) -> Json:
    """Output name -> folded value, of what has been stored.

    Reads one page of events at a time. A streamed text over ``INLINE_ASSET_LIMIT`` is
    given by its last piece: the whole belongs into the result, which is an asset then.
    """
    found: dict[str, _Folding] = {}
    after = 0
    while (page := feed.read_page(job_id, after)) is not None:
        after = page.last_seq
        for line in page.lines:
            if _MARK in line and (output := _decode(line)).type == "output_update":
                found.setdefault(output.output_name, _Folding()).add(output)
    return {name: folding.value for name, folding in found.items()}


def _piece(output: _Output) -> str | None:
    if output.disposition == "append" and isinstance(output.value, str):
        return output.value
    return text_of_chunk(output.value)
