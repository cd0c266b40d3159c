"""Drawings that a model has written as SVG, taken apart and made harmless."""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

from workflows.engine.errors import ValueMisfit

MAX_ELEMENTS = 5_000
MAX_DEPTH = 32

_DRAWING = re.compile(r"<svg\b.*</svg\s*>", re.DOTALL | re.IGNORECASE)
# They run code, or hold a page of their own.
_LEFT_OUT = frozenset(["script", "foreignobject", "iframe", "style", "link", "handler"])
_REFERENCES = ("href", "src")

Element = dict[str, Any]


def elements_in(text: str) -> list[Element]:
    """Return the drawing in a text, as one element with all that is in it.

    Scripts, styles, handlers of events and references to anything outside the drawing
    are left out.

    Raises:
        ValueMisfit: there is no drawing, or it is broken, or too large.
    """
    found = _DRAWING.search(text)
    if found is None:
        raise ValueMisfit("there is no <svg> element")
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    # A document of its own making could name files, and entities that explode.
    parser.StartDoctypeDeclHandler = _refuse_declarations
    try:
        parser.Parse(found[0], True)  # noqa: FBT003 - the argument has no name
    except expat.ExpatError as error:
        raise ValueMisfit(f"the SVG is broken: {error}") from error
    return builder.drawn


class _Builder:
    """Puts elements together from what the parser tells."""

    def __init__(self) -> None:
        root = _element("", {})
        self.drawn: list[Element] = root["children"]
        self._open = [root]
        self._count = 0
        self._left_out = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) > MAX_DEPTH:
            raise ValueMisfit(
                f"the SVG has more than {MAX_ELEMENTS} elements or {MAX_DEPTH} levels"
            )
        if self._left_out or _local(name) in _LEFT_OUT:
            self._left_out += 1
            return
        element = _element(name, attributes)
        self._open[-1]["children"].append(element)
        self._open.append(element)

    def end(self, name: str) -> None:
        if self._left_out:
            self._left_out -= 1
        else:
            self._open.pop()

    def text(self, data: str) -> None:
        if not self._left_out and (data.strip() or self._open[-1]["content"]):
            self._open[-1]["content"] = (self._open[-1]["content"] or "") + data


def _element(name: str, attributes: dict[str, str]) -> Element:
    return {
        "type": "svg_element",
        "name": name,
        "attributes": {
            key: value for key, value in attributes.items() if _is_harmless(key, value)
        },
        "content": None,
        "children": [],
    }


def _is_harmless(key: str, value: str) -> bool:
    local, told = _local(key), "".join(value.split()).lower()
    if key.lower().startswith("xmlns"):
        return True
    if local.startswith("on") or told.startswith("//") or "://" in told:
        return False
    if "javascript:" in told:
        return False
    if local in _REFERENCES:
        return told.startswith("#")
    return "url(" not in told or "url(#" in told


def _local(name: str) -> str:
    return name.rpartition(":")[2].lower()


def _refuse_declarations(*_: Any) -> None:
    raise ValueMisfit("the SVG has a document type of its own")
