"""What a run of a workflow says to whoever chats with it, told from its events.

The outputs speak one after the other, in the order of the graph's output nodes, with a
blank line between them. The same events give the same text, whoever reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec

from chat.errors import WorkflowFailed
from jobs.api.documents import text_of_chunk
from workflows.engine.errors import UnknownNodeType
from workflows.engine.events import encode_value
from workflows.engine.graph import Edge, Graph, GraphNode
from workflows.engine.node import OutputNode
from workflows.engine.values import ASSET_TYPES, is_chunk
from workflows.nodes import registry
from workflows.providers.messages import Chunk

SEPARATOR = "\n\n"
MAX_HELD = 8 * 1024**2
"""Characters that are kept until their turn comes, or to be compared."""

_MARKS = (
    b'"type":"chunk"',
    b'"type":"output_update"',
    b'"type":"node_update"',
    b'"status":"drained"',
)
# Outputs of a node that its ``chunk`` messages may be the pieces of. What comes as
# pieces itself, of the type ``chunk``, needs no such guess.
_TEXTS = frozenset({"str", "text", "any"})
_OVER = frozenset({"completed", "error"})
_URL_SAFE = ":/?#[]@!$&'*+,;=%~"


class _Event(msgspec.Struct):
    type: str
    node_id: str | None = None
    status: str = ""
    content: str = ""
    content_type: str = ""
    thinking: bool = False
    value: Any = None
    disposition: str = ""
    edge_id: str = ""
    counter: int | None = None


_decode = msgspec.json.Decoder(_Event).decode


class _Output:
    """One output: what has come of it, and what of that has been said.

    ``told``: what the node before it has told in ``chunk`` messages. ``pieces``: the
    pieces of text that have arrived; None once something else has, which is ``last``.
    """

    def __init__(self, node: GraphNode, edges: Iterable[Edge], graph: Graph) -> None:
        self.id = node.id
        self.name = _name(node)
        self.edges = {edge.id for edge in edges}
        self.sources = {e.source for e in edges if _is_text(e, graph)}
        self.told: list[str] = []
        self.pieces: list[str] | None = []
        self.last: Any = None
        self.is_running = self.is_over = self.has_spoken = False

    def whole(self) -> str:
        """Return what the output is in the end."""
        if self.pieces is not None:
            return "".join(self.pieces)
        return shown(self.last, self.name)


class Narration:
    """Turns the events of a run into what is said; ``take`` each, then ``end``.

    Events come as JSON, with links in the place of references. Memory is bounded: of
    what has been said at once nothing is kept but what is needed for comparing.
    """

    def __init__(self, graph: Graph) -> None:
        self._waiting = outputs_of(graph)
        self._held = 0
        self._has_spoken = False

    def take(self, line: bytes) -> list[Chunk]:
        """Return what an event adds.

        Raises:
            WorkflowFailed: what waits for its turn is too long.
        """
        if not (self._waiting and any(mark in line for mark in _MARKS)):
            return []
        event = _decode(line)
        said: list[Chunk] = []
        if event.type == "chunk":
            self._tell(event, said)
        elif event.type == "output_update":
            self._arrive(event, said)
        elif event.type in ("node_update", "edge_update"):
            self._note(event)
            self._go_on(said)
        return said

    def end(self) -> list[Chunk]:
        """Return what is left to say when the run has completed."""
        said: list[Chunk] = []
        for output in self._waiting:
            output.is_over = True
        self._go_on(said)
        return said

    def _tell(self, event: _Event, said: list[Chunk]) -> None:
        if event.content_type != "text" or not event.content:
            return
        for output in self._waiting:
            if output.is_over or event.node_id not in output.sources:
                continue
            is_current = output is self._waiting[0]
            if event.thinking:
                if is_current:
                    said.append(Chunk(reasoning=event.content))
            elif output.told or not output.has_spoken:
                self._hold(event.content)
                output.told.append(event.content)
                if is_current:
                    self._say(output, event.content, said)

    def _arrive(self, event: _Event, said: list[Chunk]) -> None:
        output = next((o for o in self._waiting if o.id == event.node_id), None)
        if output is None:
            return
        piece = _piece(event)
        if piece is None or output.pieces is None:
            output.pieces, output.last = None, event.value
        elif output is self._waiting[0] and not output.told:
            self._say(output, piece, said)
        else:
            self._hold(piece)
            output.pieces.append(piece)

    def _note(self, event: _Event) -> None:
        for output in self._waiting:
            if event.type == "node_update" and event.node_id == output.id:
                output.is_running = True
                output.is_over = output.is_over or event.status in _OVER
            elif event.edge_id in output.edges and not event.counter:
                # Drained without an item: with the last of its edges nothing will come.
                output.edges.discard(event.edge_id)
                output.is_over |= not (output.edges or output.is_running)

    def _go_on(self, said: list[Chunk]) -> None:
        """Let the outputs whose turn it is say what they have."""
        while self._waiting and self._waiting[0].is_over:
            self._finish(self._waiting.pop(0), said)
            if self._waiting:
                self._begin(self._waiting[0], said)

    def _begin(self, output: _Output, said: list[Chunk]) -> None:
        if output.told:
            self._say(output, "".join(output.told), said)
        elif output.pieces:
            self._say(output, "".join(output.pieces), said)
            output.pieces = []

    def _finish(self, output: _Output, said: list[Chunk]) -> None:
        """Say what has not been said of an output that is over."""
        whole, told = output.whole(), "".join(output.told)
        if whole.startswith(told):
            is_new = bool(output.has_spoken and output.pieces is None and not told)
            self._say(output, whole[len(told) :], said, is_new=is_new)
        elif not told.endswith(whole):
            self._say(output, whole, said, is_new=True)

    def _say(
        self, output: _Output, text: str, said: list[Chunk], *, is_new: bool = False
    ) -> None:
        """Add a text; a blank line before it where something else begins."""
        if not text:
            return
        if self._has_spoken and (is_new or not output.has_spoken):
            text = SEPARATOR + text
        self._has_spoken = output.has_spoken = True
        said.append(Chunk(text=text))

    def _hold(self, text: str) -> None:
        self._held += len(text)
        if self._held > MAX_HELD:
            raise WorkflowFailed("The outputs are too long to be put in order")


def outputs_of(graph: Graph) -> list[_Output]:
    """Return the outputs of a graph, in its order."""
    return [
        _Output(node, [e for e in graph.edges if e.target == node.id], graph)
        for node in graph.nodes
        if _is_output(node)
    ]


def shown(value: Any, name: str) -> str:
    """Return a value as text: media as links, what is no text as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return SEPARATOR.join(filter(None, (shown(part, name) for part in value)))
    if is_chunk(value):
        return text_of_chunk(value) or ""
    if isinstance(value, dict) and value.get("type") in ASSET_TYPES and "uri" in value:
        return _link(value, name)
    return encode_value(value).decode()


def _link(value: dict[str, Any], name: str) -> str:
    uri = value["uri"]
    if not isinstance(uri, str) or not uri:
        return ""
    label = " ".join(name.translate({ord(c): f"\\{c}" for c in "[]\\"}).split())
    mark = "!" if value["type"] == "image" else ""
    return f"{mark}[{label}]({quote(uri, safe=_URL_SAFE)})"


def _piece(event: _Event) -> str | None:
    """Return the text of a value that is one piece of a stream; None if it is none."""
    if event.disposition == "append" and isinstance(event.value, str):
        return event.value
    return text_of_chunk(event.value)


def _is_output(node: GraphNode) -> bool:
    try:
        return issubclass(registry.get(node.type), OutputNode)
    except UnknownNodeType:
        return False


def _is_text(edge: Edge, graph: Graph) -> bool:
    """Tell whether an edge leaves an output that is a text as a whole."""
    source = next((node for node in graph.nodes if node.id == edge.source), None)
    try:
        outputs = registry.get(source.type).outputs if source is not None else {}
    except UnknownNodeType:
        return False
    return str(outputs.get(edge.source_handle, "")) in _TEXTS


def _name(node: GraphNode) -> str:
    name = (node.data or {}).get("name")
    return name if isinstance(name, str) and name else node.id
