"""Build a graph from a few words, run it, keep all that it told."""

import asyncio
from typing import Any

import msgspec

from tests.engine.sample_nodes import registry
from workflows.engine.context import Mask, NothingToMask, RunContext
from workflows.engine.errors import EngineError
from workflows.engine.events import EdgeUpdate, Event, LogUpdate, NodeUpdate
from workflows.engine.graph import Graph, load_graph
from workflows.engine.runner import GraphRun

Nodes = dict[str, str | tuple[str, dict[str, Any]]]


def document(nodes: Nodes, *edges: str, **fields: dict[str, Any]) -> dict[str, Any]:
    """Return a graph document.

    ``document({"k": ("K", {"value": 7}), "r": "Output"}, "k -> r.value")``. An output
    gets its id as its name; ``c => k`` is a control edge. ``fields`` add to the node of
    that id.
    """
    return {
        "nodes": [_node(i, what, fields.get(i, {})) for i, what in nodes.items()],
        "edges": [_edge(number, text) for number, text in enumerate(edges)],
    }


def _node(
    node_id: str, what: str | tuple[str, dict[str, Any]], more: dict[str, Any]
) -> dict[str, Any]:
    kind, data = (what, {}) if isinstance(what, str) else what
    if kind.endswith(("Output", "Input")):
        data = {"name": node_id, **data}
    return {"id": node_id, "type": f"test.{kind}", "data": data, **more}


def _edge(number: int, text: str) -> dict[str, Any]:
    if " => " in text:
        source, target = text.split(" => ")
        handles = {"sourceHandle": "__control__", "targetHandle": "__control__"}
        ends = {"source": source, "target": target, **handles}
        return {"id": f"e{number}", "edge_type": "control", **ends}
    source, target = text.split(" -> ")
    source, _, output = source.partition(".")
    target, _, handle = target.partition(".")
    return {
        "id": f"e{number}",
        "source": source,
        "sourceHandle": output or "output",
        "target": target,
        "targetHandle": handle or "value",
    }


def graph(nodes: Nodes, *edges: str, **fields: dict[str, Any]) -> Graph:
    return load_graph(document(nodes, *edges, **fields))


class Recorder:
    """A sink that keeps everything; full when the test says so."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.room = asyncio.Event()
        self.room.set()
        self.waits = 0

    @property
    def is_full(self) -> bool:
        return not self.room.is_set()

    def emit(self, event: Event) -> None:
        self.events.append(event)

    async def wait_ready(self) -> None:
        self.waits += 1
        await self.room.wait()


class MemorySpill:
    def __init__(self, store: "MemoryAssets", name: str) -> None:
        self._store, self._name = store, name
        self._parts: list[bytes] = []

    async def append(self, data: bytes) -> None:
        await asyncio.sleep(0)
        self._parts.append(data)
        self._store.largest = max(self._store.largest, len(data))

    async def finish(self) -> dict[str, Any]:
        self._store.files[self._name] = b"".join(self._parts)
        return {"type": "json", "uri": f"asset://{self._name}", "asset_id": self._name}

    def discard(self) -> None:
        self._store.discarded.append(self._name)


class MemoryAssets:
    """An asset store in memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.discarded: list[str] = []
        self.largest = 0

    async def write(
        self, data: bytes, *, content_type: str, name: str
    ) -> dict[str, Any]:
        self.files[name] = data
        return {"type": "text", "uri": f"asset://{name}", "asset_id": name}

    async def read(self, value: dict[str, Any]) -> bytes:
        return self.files[value["asset_id"]]

    def open_spill(self, *, content_type: str, name: str) -> MemorySpill:
        return MemorySpill(self, name)


class NoSecrets:
    async def get(self, name: str) -> str | None:
        return None


class NoBlocking:
    async def run(self, fn: Any, *args: Any, **limits: Any) -> Any:
        return fn(*args)


class Recording:
    """A run and what it told."""

    def __init__(
        self,
        what: Graph | dict[str, Any],
        params: dict[str, Any] | None = None,
        *,
        blocking: Any = None,
        mask: Mask = NothingToMask(),  # noqa: B008 - it has no state
    ) -> None:
        self.sink = Recorder()
        self.assets = MemoryAssets()
        context = RunContext(
            job_id="job",
            user_id="1",
            nodes=registry,
            sink=self.sink,
            assets=self.assets,
            secrets=NoSecrets(),
            blocking=blocking or NoBlocking(),
            mask=mask,
            images=None,
            workspace=None,
            models=None,
            threads=None,
            workflows=None,
        )
        self.run = GraphRun(
            load_graph(what) if isinstance(what, dict) else what,
            context=context,
            params=params or {},
        )
        self.error: EngineError | None = None
        self.result: dict[str, Any] = {}

    async def execute(self) -> "Recording":
        """Run to the end; an error of the graph is kept, not raised."""
        try:
            await self.run.execute()
        except EngineError as error:
            self.error = error
        self.result = await self.run.outputs.result()
        return self

    @property
    def events(self) -> list[Event]:
        return self.sink.events

    @property
    def values(self) -> dict[str, list[Any]]:
        """The lists of the outputs."""
        return self.result["outputs"]

    def of(self, kind: type[Event], **fields: Any) -> list[Any]:
        """The events of a type with these fields."""
        return [
            event
            for event in self.events
            if isinstance(event, kind)
            and all(getattr(event, name) == value for name, value in fields.items())
        ]

    def statuses(self, node_id: str) -> list[str]:
        return [event.status for event in self.of(NodeUpdate, node_id=node_id)]

    def edge(self, edge_id: str) -> list[tuple[str, int | None]]:
        events = self.of(EdgeUpdate, edge_id=edge_id)
        return [(event.status, event.counter) for event in events]

    def warnings(self) -> list[str]:
        return [event.content for event in self.of(LogUpdate, severity="warning")]

    def story(self, *kinds: type[Event]) -> list[str]:
        """Which event came when, in a few words each."""
        return [
            " ".join(str(part) for part in _words(event))
            for event in self.events
            if not kinds or isinstance(event, kinds)
        ]


def _words(event: Event) -> list[Any]:
    fields = msgspec.structs.asdict(event)
    names = ("node_id", "edge_id", "status", "value", "content")
    return [fields[name] for name in names if fields.get(name) is not None]


async def run(
    nodes: Nodes,
    *edges: str,
    params: dict[str, Any] | None = None,
    **fields: dict[str, Any],
) -> Recording:
    """Run a graph to its end."""
    return await Recording(graph(nodes, *edges, **fields), params).execute()


async def settle(rounds: int = 60) -> None:
    """Let the loop do whatever it can do without anything from outside."""
    for _ in range(rounds):
        await asyncio.sleep(0)
