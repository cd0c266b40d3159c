"""Keeps the secrets that a job has read out of everything that it tells.

A job that has read none pays nothing: ``is_needed`` is all that is asked.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec

from nodetool_site.lib.known_values import WINDOW, KnownValues
from workflows.engine.events import Chunk, Event, encode_value

MAX_STREAMS = 1_000


class JobMask:
    """The mask of one job. Belongs to the loop that the job runs on."""

    def __init__(self) -> None:
        self.is_needed = False
        self._known = KnownValues()
        # The end of what each stream has told: a secret may go on in its next piece.
        self._ends: OrderedDict[str, bytes] = OrderedDict()

    def learn(self, value: str) -> None:
        """Hide this value from now on."""
        self._known.learn(value)
        self.is_needed = bool(self._known)

    def event(self, event: Event) -> Event:
        """Return an event without the secrets; the same one if it holds none."""
        changes = {}
        for name in event.__struct_fields__:
            value = getattr(event, name)
            if type(event) is Chunk and name == "content":
                shown = self.piece(f"chunk {event.node_id}", value)
            else:
                shown = self.value(value)
            if shown is not value:
                changes[name] = shown
        return msgspec.structs.replace(event, **changes) if changes else event

    def value(self, value: Any) -> Any:
        """Return a value without the secrets; the same object if it holds none."""
        if isinstance(value, str):
            return self._known.mask(value)
        if value is None or isinstance(value, bool | float):
            return value
        body = bytes(value) if type(value) is msgspec.Raw else encode_value(value)
        if not self._known.is_in(body):
            return value
        shown = self._plain(msgspec.json.decode(body))
        return msgspec.Raw(encode_value(shown)) if type(value) is msgspec.Raw else shown

    def piece(self, stream: str, text: str) -> str:
        """Return the next piece of a text.

        Of a secret that is spread over pieces eleven characters may have been told
        before it shows itself; of those no window is whole.
        """
        before = self._ends.pop(stream, b"")
        data = text.encode(errors="surrogatepass")
        self._ends[stream] = (before + data)[1 - WINDOW :]
        if len(self._ends) > MAX_STREAMS:
            self._ends.popitem(last=False)
        masked = self._known.mask_bytes(before + data, shown=len(before))
        return masked.decode(errors="replace")

    def _plain(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._known.mask(value)
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        if isinstance(value, dict):
            return {self._plain(k): self._plain(each) for k, each in value.items()}
        return value
