"""What a workflow says in a conversation: what comes out of it."""

from __future__ import annotations

from typing import Any

from jobs.models import Status
from workflows.engine.events import encode_value

Json = dict[str, Any]

BETWEEN = "\n\n"
MAX_FILES = 100


class WorkflowAnswer:
    """Makes one text of the outputs of a run, in the order in which they come.

    The pieces of a stream follow each other; texts that are whole are apart. Of an
    output that gives neither texts nor files the last value counts, at the end, as
    JSON. ``files``: the pictures, sounds and other files that have come, as references.
    """

    def __init__(self) -> None:
        self.files: list[Json] = []
        self._open = ""
        self._has_spoken = False
        self._values: dict[str, Any] = {}  # what is no text, by output

    def pieces(self, event: Json) -> list[str]:
        """Return what an event of the run adds to the text."""
        if event["type"] == "job_update" and event["status"] == Status.COMPLETED:
            return self._rest()
        if event["type"] != "output_update":
            return []
        value = event["value"]
        text = _text(value)
        if text is None:
            self._keep(event["output_name"], value)
        if not text:
            return []
        is_piece = event["output_type"] == "chunk" or (
            event.get("disposition") == "append"
        )
        return self._said(text, event["output_name"] if is_piece else "")

    def _keep(self, output: str, value: Any) -> None:
        values = value if isinstance(value, list) else [value]
        if value and all(map(_is_file, values)):
            self.files += values[: MAX_FILES - len(self.files)]
        else:
            self._values[output] = value

    def _rest(self) -> list[str]:
        values, self._values = self._values, {}
        texts = [encode_value(value).decode() for value in values.values()]
        return [piece for text in texts for piece in self._said(text)]

    def _said(self, text: str, stream: str = "") -> list[str]:
        goes_on = bool(stream) and stream == self._open
        is_apart = self._has_spoken and not goes_on
        self._open, self._has_spoken = stream, True
        return [BETWEEN, text] if is_apart else [text]


def _text(value: Any) -> str | None:
    """Return the text that a value is; empty if it is to be left out, None if none."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or value.get("type") != "chunk":
        return None
    is_text = value.get("content_type", "text") == "text" and not value.get("thinking")
    content = value.get("content")
    return content if is_text and isinstance(content, str) else ""


def _is_file(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("type"), str)
        and isinstance(value.get("uri"), str)
        and value["uri"] != ""
    )
