"""What a workflow says in a conversation: its outputs that are text."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

BETWEEN = "\n\n"


class WorkflowAnswer:
    """Makes one text of the outputs of a run, in the order in which they come.

    The pieces of a stream follow each other; texts that are whole are apart.
    """

    def __init__(self) -> None:
        self._open = ""
        self._has_spoken = False

    def pieces(self, event: Json) -> list[str]:
        """Return what an event of the run adds to the text."""
        if event["type"] != "output_update":
            return []
        text = _text(event["value"])
        if not text:
            return []
        is_piece = event["output_type"] == "chunk" or (
            event.get("disposition") == "append"
        )
        name = event["output_name"] if is_piece else ""
        goes_on = bool(name) and name == self._open
        is_apart = self._has_spoken and not goes_on
        self._open, self._has_spoken = name, True
        return [BETWEEN, text] if is_apart else [text]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or value.get("type") != "chunk":
        return ""
    is_text = value.get("content_type", "text") == "text" and not value.get("thinking")
    content = value.get("content")
    return content if is_text and isinstance(content, str) else ""
