"""Runs one node in a graph of its own: values in, values and events out."""

import base64
import contextlib
import pickle
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from storage.images import Images
from storage.job_assets import decode_data_uri
from storage.job_workspace import JobWorkspace
from tests.agents.scripted import Played
from workflows.engine.context import (
    NodeContext,
    ReachedModel,
    RunContext,
    SavedWorkflow,
)
from workflows.engine.errors import EngineError
from workflows.engine.events import Event, OutputUpdate
from workflows.engine.graph import load_graph
from workflows.engine.node import InputNode, Node, OutputNode
from workflows.engine.plans import plan_of
from workflows.engine.registry import NodeRegistry
from workflows.engine.runner import GraphRun
from workflows.io_schemas import input_schema
from workflows.nodes import registry
from workflows.providers.base import ProviderError
from workflows.providers.fake import FakeProvider
from workflows.providers.messages import ImagePart

registry.load_package("workflows.nodes")


def shipped() -> list[type[Node]]:
    """The node classes that the product offers, whatever tests have registered."""
    return [
        cls
        for cls in registry
        if not (cls.hidden or cls.node_type.startswith("tests."))
    ]


class Emit(Node):
    """A stream of the given values."""

    streaming_output = True
    sends_null = True

    values: list[Any] = []

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        for value in self.values:
            yield {"output": value}


class Give(Node):
    """One value, or nothing."""

    values: list[Any] = []

    async def process(self, context: NodeContext) -> Any:
        return {"output": self.values[0]} if self.values else None


def registry_for_tests() -> NodeRegistry:
    """Return all nodes of the product, and the sources of these tests."""
    everything = NodeRegistry()
    for cls in registry:
        everything.register(cls.node_type)(cls)
    everything.register("test.Emit")(Emit)
    everything.register("test.Give")(Give)
    return everything


class Recorder:
    """Keeps the events of a run; is never full."""

    is_full = False

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    async def wait_ready(self) -> None:
        return

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class PickledCalls:
    """Calls in place, but only what could cross the border of a process."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def run(self, fn: Callable[..., Any], *args: Any, **limits: Any) -> Any:
        self.calls.append(fn.__name__)
        called, given = pickle.loads(pickle.dumps((fn, args)))  # noqa: S301
        return pickle.loads(pickle.dumps(called(*given)))  # noqa: S301


def reference(data: bytes, content_type: str = "image/png") -> dict[str, Any]:
    """Return a reference to a file that holds the file itself."""
    uri = f"data:{content_type};base64,{base64.b64encode(data).decode()}"
    kind = content_type.partition("/")[0]
    return {"type": kind, "uri": uri, "asset_id": None, "data": None, "metadata": None}


class InlineAssets:
    """Assets of which each is in the reference to it."""

    def __init__(self, folders: dict[str, dict[str, Any]]) -> None:
        self.folders = folders
        self.saved: list[tuple[str, str, str | None]] = []

    async def write(
        self, data: bytes, *, content_type: str, name: str, node_id: str | None = None
    ) -> dict[str, Any]:
        assert node_id == "node"
        return reference(data, content_type)

    async def save(
        self,
        data: bytes,
        *,
        content_type: str,
        name: str,
        folder: dict[str, Any],
        node_id: str,
    ) -> dict[str, Any]:
        self.saved.append((name, content_type, folder["asset_id"]))
        return await self.write(
            data, content_type=content_type, name=name, node_id=node_id
        )

    async def read(self, value: dict[str, Any]) -> bytes:
        return decode_data_uri(value["uri"])

    async def files_in(
        self, folder: dict[str, Any], kind: str
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        for name, value in self.folders[folder["asset_id"]].items():
            if value["type"] == kind:
                yield name, value


@contextlib.contextmanager
def workspace_of(files: dict[str, bytes]) -> Iterator[JobWorkspace]:
    """Yield a workspace that holds these files."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = JobWorkspace("owner")
        workspace._workspace.folder = Path(folder) / "workspace"
        for path, data in files.items():
            workspace._workspace.write(path, data)
        yield workspace


def contents(workspace: JobWorkspace) -> dict[str, bytes]:
    """Return the files of a workspace."""
    files = workspace._workspace
    found = files.list(".", "*", recursive=True)
    return {path: files.read(path) for path in found if files.info(path).is_file}


# Given as a constant: a source that is connected and sends nothing.
NOTHING = object()


class Outcome(msgspec.Struct):
    """What came out of a run."""

    outputs: dict[str, list[Any]]
    recorder: Recorder
    blocking: Any
    error: EngineError | None
    saved: list[tuple[str, str, str | None]] = []
    files: dict[str, bytes] = {}
    usage: dict[str, int] | None = None


class Case(msgspec.Struct, kw_only=True):
    """What a node is given, and what must come out.

    ``data`` are properties; ``dynamic`` inputs of the user's own, ``added`` outputs of
    the user's own with their types; ``constants`` arrive once by an edge, ``streams``
    item by item; ``param`` is for input nodes. ``expect`` holds the values by output,
    in order; an output that is not named gets none. ``keys``: the providers that there
    are keys of. ``files`` is what the workspace holds, ``folders`` what asset folders
    do, by id and name; ``leaves`` is what the workspace must hold in the end, ``saves``
    name, type and folder of what must have become an asset.
    """

    node_type: str
    data: dict[str, Any] = {}
    dynamic: dict[str, Any] = {}
    added: dict[str, str] = {}
    constants: dict[str, Any] = {}
    streams: dict[str, list[Any]] = {}
    param: Any = None
    expect: dict[str, list[Any]] = {}
    error: str = ""
    files: dict[str, bytes] = {}
    folders: dict[str, dict[str, Any]] = {}
    keys: list[str] = []
    leaves: dict[str, Any] | None = None
    saves: list[tuple[Any, str, str | None]] = []


class Where:
    """Equals every value that satisfies a test."""

    def __init__(self, test: Callable[[Any], bool]) -> None:
        self.test = test

    def __eq__(self, value: object) -> bool:
        return self.test(value)

    __hash__ = None


class StoredSecrets:
    """The secrets of a user who has stored one."""

    async def share(self, name: str) -> str | None:
        return {"TOKEN": "stored"}.get(name)

    get = share

    async def resolve(self, text: str) -> str:
        return text


class OfflineModels:
    """The models of a user without any key.

    Those of the provider ``played`` say what their ids are the script of, those of
    ``in_turn`` too, one step a call. So do those of the providers that are named, as if
    there were a key.
    """

    NO_KEY = "OpenAI has no key: store the secret OPENAI_API_KEY"

    def __init__(self, *plays: str) -> None:
        self._plays = ("played", *plays)
        self.played = Played()
        self.in_turn = Played(in_turn=True)

    async def find(self, model: str, provider: str | None = None) -> ReachedModel:
        if provider == "in_turn":
            return ReachedModel(self.in_turn, provider, model)
        if provider in self._plays:
            return ReachedModel(self.played, provider, model)
        if provider not in (None, "", "fake"):
            raise ProviderError(self.NO_KEY, status=400, code="provider_not_configured")
        fake = FakeProvider(api_key=None, base_url="", timeout_s=5)
        return ReachedModel(fake, "fake", model.removeprefix("fake/"))

    async def image(self, value: Mapping[str, Any]) -> ImagePart:
        return ImagePart(decode_data_uri(value["uri"]), "image/png")


class StoredThreads:
    """Conversations by id, the oldest message first."""

    def __init__(self, threads: dict[str, list[dict[str, Any]]]) -> None:
        self._threads = threads
        self.titles: list[str | None] = []

    async def history(
        self, thread_id: str, *, until: str | None = None
    ) -> list[dict[str, Any]]:
        messages = self._threads.get(thread_id, [])
        ids = [message["id"] for message in messages]
        return messages[: ids.index(until) + 1] if until else list(messages)

    async def ensure(self, thread_id: str = "", *, title: str | None = None) -> str:
        self.titles.append(title)
        self._threads.setdefault(thread_id or "new", [])
        return thread_id or "new"

    async def add(self, thread_id: str, messages: list[dict[str, Any]]) -> None:
        self._threads[thread_id] += messages


class StoredWorkflows:
    """The workflows of a user."""

    def __init__(self, *workflows: SavedWorkflow) -> None:
        self._workflows = workflows

    async def get(self, workflow_id: str) -> SavedWorkflow | None:
        found = (each for each in self._workflows if each.id == workflow_id)
        return next(found, None)

    async def tools(self) -> list[SavedWorkflow]:
        return [each for each in self._workflows if each.run_mode == "tool"]


def saved_workflow(graph: dict[str, Any], **fields: Any) -> SavedWorkflow:
    """Return a stored workflow that is meant to be a tool called ``adder``."""
    return SavedWorkflow(
        **{
            "id": "w1",
            "name": "Adder",
            "description": "Adds.",
            "tool_name": "adder",
            "run_mode": "tool",
            "graph": msgspec.json.encode(graph),
            "input_schema": input_schema(graph),
            **fields,
        }
    )


def run_context(
    recorder: Recorder,
    blocking: Any,
    *,
    folders: dict[str, dict[str, Any]] | None = None,
    **ports: Any,
) -> RunContext:
    """Return what a run needs; ``ports`` are those that a test has made itself."""
    return RunContext(
        **{
            "job_id": "job",
            "user_id": "1",
            "nodes": registry_for_tests(),
            "sink": recorder,
            "assets": InlineAssets(folders or {}),
            "secrets": StoredSecrets(),
            "blocking": blocking,
            "images": Images(blocking),
            "workspace": None,
            "models": OfflineModels(),
            "threads": None,
            "workflows": StoredWorkflows(),
            **ports,
        }
    )


def _source(handle: str, kind: str, values: list[Any]) -> tuple[dict, dict]:
    node = {"id": handle, "type": kind, "data": {"values": values}}
    edge = {"source": handle, "sourceHandle": "output", "target": "node"}
    return node, {**edge, "targetHandle": handle}


def graph_of(case: Case) -> dict[str, Any]:
    """Return the node of a case between sources and output nodes."""
    cls = registry.get(case.node_type)
    is_input, is_output = issubclass(cls, InputNode), issubclass(cls, OutputNode)
    data = {"name": "node", **case.data} if is_input or is_output else case.data
    node = {"id": "node", "type": case.node_type, "data": data}
    added = {"dynamic_properties": case.dynamic, "dynamic_outputs": case.added}
    nodes, edges = [{**node, **added}], []
    for handle, value in case.constants.items():
        values = [] if value is NOTHING else [value]
        source, edge = _source(handle, "test.Give", values)
        nodes.append(source)
        edges.append(edge)
    for handle, values in case.streams.items():
        source, edge = _source(handle, "test.Emit", values)
        nodes.append(source)
        edges.append(edge)
    for name in () if is_output else [*plan_of(cls).outputs, *case.added]:
        out = {"id": f"out {name}", "type": "nodetool.output.Output"}
        nodes.append({**out, "data": {"name": f"out {name}"}})
        edge = {"source": "node", "sourceHandle": name, "target": f"out {name}"}
        edges.append({**edge, "targetHandle": "value"})
    return {"nodes": nodes, "edges": edges}


async def run_case(case: Case, *, blocking: Any = None) -> Outcome:
    """Run the node of a case to its end."""
    params = {} if case.param is None else {"node": case.param}
    with workspace_of(case.files) as workspace:
        context = run_context(
            Recorder(),
            blocking or PickledCalls(),
            workspace=workspace,
            folders=case.folders,
            models=OfflineModels(*case.keys),
            threads=StoredThreads({}),
        )
        outcome = await _run(graph_of(case), params, context)
        outcome.files = contents(workspace)
    return outcome


async def run_node(
    node_type: str,
    data: dict[str, Any],
    *,
    added: dict[str, str] | None = None,
    recorder: Recorder | None = None,
    **ports: Any,
) -> Outcome:
    """Run one node by itself, with ports of the test's own."""
    case = Case(node_type=node_type, data=data, added=added or {})
    context = run_context(recorder or Recorder(), PickledCalls(), **ports)
    return await _run(graph_of(case), {}, context)


async def run_graph(
    graph: dict[str, Any],
    *,
    params: dict[str, Any],
    blocking: Any = None,
    **ports: Any,
) -> Outcome:
    """Run a graph to its end, with ports of the test's own."""
    context = run_context(Recorder(), blocking or PickledCalls(), **ports)
    return await _run(graph, params, context)


async def _run(
    graph: dict[str, Any], params: dict[str, Any], context: RunContext
) -> Outcome:
    run = GraphRun(
        load_graph(graph),
        context=context,
        params=params,
    )
    error = None
    try:
        await run.execute()
    except EngineError as raised:
        error = raised
    outputs: dict[str, list[Any]] = {}
    for update in context.sink.of(OutputUpdate):
        name = update.output_name.removeprefix("out ")
        outputs.setdefault(name, []).append(update.value)
    return Outcome(
        outputs,
        context.sink,
        context.blocking,
        error,
        saved=context.assets.saved,
        usage=context.usage.document(),
    )
