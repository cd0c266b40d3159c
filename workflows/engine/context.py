"""What a run has, and what a node gets: the ports of the engine.

The engine writes files, reads secrets and records events only through these, so it runs
without a database, and every surface runs the same engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from workflows.engine.errors import UnknownTarget
from workflows.engine.events import (
    Chunk,
    ContentType,
    Event,
    LogUpdate,
    NodeProgress,
    Notification,
    SaveUpdate,
    Severity,
)
from workflows.engine.questions import Questions
from workflows.engine.usage import UsageTally
from workflows.engine.values import wire_type

if TYPE_CHECKING:
    from workflows.engine.plans import NodePlan
    from workflows.engine.registry import NodeRegistry
    from workflows.engine.type_specs import TypeSpec
    from workflows.providers.base import Provider
    from workflows.providers.messages import ImagePart


class EventSink(Protocol):
    """Where the events of one run go, in order."""

    @property
    def is_full(self) -> bool:
        """Whether producers must wait before they go on."""

    def emit(self, event: Event) -> None:
        """Take the event; never blocks, never fails."""

    async def wait_ready(self) -> None:
        """Return once the sink is no longer full."""


class Spill(Protocol):
    """An asset that is being written piece by piece."""

    async def append(self, data: bytes) -> None: ...

    async def finish(self) -> dict[str, Any]:
        """Close the asset and return the reference to it."""

    def discard(self) -> None:
        """Throw away what was written."""


class AssetStore(Protocol):
    """Files that belong to the user of the run."""

    async def write(
        self, data: bytes, *, content_type: str, name: str, node_id: str | None = None
    ) -> dict[str, Any]:
        """Store what goes with the job; return the reference to it."""

    async def save(
        self,
        data: bytes,
        *,
        content_type: str,
        name: str,
        folder: dict[str, Any],
        node_id: str,
    ) -> dict[str, Any]:
        """Store a file for the user to keep; return the reference to it.

        It lies in ``folder``, or in the user's root folder if that names none.
        """

    async def read(self, value: dict[str, Any]) -> bytes:
        """Return the bytes that a reference stands for."""

    def files_in(
        self, folder: dict[str, Any], kind: str
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield name and reference of the files of a kind, as ``image``, in a folder.

        By name; not of the folders in it.
        """

    def open_spill(self, *, content_type: str, name: str) -> Spill: ...


class ImageEditor(Protocol):
    """Decodes pictures, in processes with limits."""

    async def identify(self, source: bytes) -> tuple[str, str, int, int, int]:
        """Return format, mode, width, height and channels."""

    async def edit(
        self,
        fn: Callable[..., Any],
        pictures: Sequence[bytes],
        *args: Any,
        kind: str = "PNG",
    ) -> list[bytes]:
        """Call a module-level function with Pillow's images of the pictures.

        It gets them as RGB or RGBA, then ``args``, and returns an image or a list of
        them, which come back as files of ``kind``.
        """


class WorkspaceFiles(Protocol):
    """The user's folder of files. Paths are relative to it and cannot leave it."""

    @property
    def location(self) -> str:
        """Where the folder is, as far as the user may know."""

    def join(self, paths: Sequence[str]) -> str:
        """Return the path of parts that follow each other."""

    async def read(self, path: str) -> bytes: ...

    async def write(
        self, path: str, data: bytes, *, append: bool = False, replace: bool = True
    ) -> None:
        """Write a file, and the folders that it lies in."""

    async def delete(self, path: str, *, recursive: bool = False) -> None: ...

    async def make_folder(self, path: str) -> None: ...

    async def info(self, path: str) -> dict[str, Any] | None:
        """Return path, name, size, kind and times; None if there is nothing."""

    async def list(self, path: str, pattern: str, *, recursive: bool) -> list[str]:
        """Return the paths that match a pattern."""

    async def copy(self, source: str, destination: str) -> None: ...

    async def move(self, source: str, destination: str) -> None: ...


class SecretReader(Protocol):
    """The user's secrets. What is read is masked in all that the run tells."""

    async def get(self, name: str) -> str | None:
        """Return a value, for a node that uses it itself and passes it to no other."""

    async def share(self, name: str) -> str | None:
        """Return what may travel along edges: the value, or a handle of this run."""

    async def resolve(self, text: str) -> str:
        """Return a text with the handles of this run replaced by their values.

        For nodes that take a secret, just before they use it.
        """


class Mask(Protocol):
    """Hides the secrets that a run has read."""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to hide: else nothing is looked through."""

    def value(self, value: Any) -> Any:
        """Return a value without the secrets."""

    def piece(self, stream: str, text: str) -> str:
        """Return the next piece of a text, whose secrets may be spread over several."""


class NothingToMask:
    """The mask of a run that reads no secrets."""

    is_needed = False

    def value(self, value: Any) -> Any:
        return value

    def piece(self, stream: str, text: str) -> str:
        return text


class ReachedModel(msgspec.Struct, frozen=True):
    """A model that can be called: its provider, and the provider's own id of it.

    ``context_tokens``: how much it can be given, where that is known.
    """

    provider: Provider
    provider_id: str
    model: str
    context_tokens: int | None = None


class Models(Protocol):
    """The models that the user of the run may call, with the user's keys."""

    async def find(self, model: str, provider: str | None = None) -> ReachedModel:
        """Return where an id leads; ``provider`` if the id alone does not decide.

        Raises:
            ProviderError: it leads nowhere, or its provider has no key or address; the
                message names the cure.
        """

    async def image(self, value: Mapping[str, Any]) -> ImagePart:
        """Return a picture as models get it.

        ``value``: a reference to one, also by an address of the web.

        Raises:
            UnusableMedia: it is not there, or none that models take.
        """


class Threads(Protocol):
    """The stored conversations of the user of the run."""

    async def history(
        self, thread_id: str, *, until: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest messages of a thread, the oldest of them first.

        As the API shows a message. ``until``: the id of the last one wanted. Empty if
        the user has no such thread.
        """

    async def ensure(self, thread_id: str = "", *, title: str | None = None) -> str:
        """Return the id of a thread of the user's; one that nobody has is made.

        Raises:
            Exception: no thread can have the id, or it is somebody else's.
        """

    async def add(self, thread_id: str, messages: Sequence[dict[str, Any]]) -> None:
        """Store messages at the end of a thread, each ``id`` once.

        Raises:
            Exception: the user has no such thread.
        """


class SavedWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """A stored workflow that may be run inside another run.

    ``graph`` as it is stored; ``input_schema``: the JSON schema of its parameters.
    """

    id: str
    name: str
    description: str
    tool_name: str
    run_mode: str
    graph: bytes
    input_schema: dict[str, Any]


class SavedWorkflows(Protocol):
    """The stored workflows that the user of the run may run."""

    async def get(self, workflow_id: str) -> SavedWorkflow | None:
        """Return a workflow; None if there is none that the user may run."""

    async def tools(self) -> list[SavedWorkflow]:
        """Return those that are meant to be tools of an agent (``run_mode: tool``)."""


class BlockingRunner(Protocol):
    """Where code runs that would block the loop."""

    async def run(
        self,
        fn: Callable[..., Any],
        *args: Any,
        time_limit_s: float | None = None,
        memory_limit_bytes: int | None = None,
    ) -> Any:
        """Call a module-level function elsewhere; cancelling the call ends it.

        Raises:
            TimeoutError: it has used more processor time than it may.
            MemoryError: it wanted more memory than it may have.
            ChildProcessError: the process that it ran in has died.
            TypeError: something cannot cross the border of a process.
        """


class RunContext(msgspec.Struct, frozen=True, kw_only=True):
    """The ports and the identity of one run.

    ``nodes``: the node types that it may use, also in runs inside of it. ``depth``: how
    many runs this one is inside of, as a workflow that is a tool.
    """

    job_id: str
    user_id: str
    nodes: NodeRegistry
    sink: EventSink
    assets: AssetStore
    secrets: SecretReader
    blocking: BlockingRunner
    images: ImageEditor
    workspace: WorkspaceFiles
    mask: Mask = NothingToMask()
    models: Models
    threads: Threads
    workflows: SavedWorkflows
    usage: UsageTally = msgspec.field(default_factory=UsageTally)
    questions: Questions = msgspec.field(default_factory=Questions)
    depth: int = 0


class ControlTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A node as one sees it that controls it.

    ``values``: what a run would have that sets nothing, by property, without the
    secrets that the run has read. Which properties there are tells ``plan.settable``.
    """

    id: str
    title: str
    plan: NodePlan
    values: dict[str, Any]


class Control(Protocol):
    """The nodes that a node controls."""

    @property
    def target_ids(self) -> Sequence[str]: ...

    async def targets(self, *, settled: bool = True) -> list[ControlTarget]:
        """Return what there is to know of each.

        ``settled``: once their inputs have arrived, except those that only come later.
        """

    async def run(
        self, target_id: str, properties: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run a node once, with these properties over its own; return its outputs.

        Those are the values by output, of a stream the last one.

        Raises:
            UnknownTarget: it is not controlled by this one.
            TargetFailed: it has failed or ended, or cannot run before this one ends.
        """


class NothingToControl:
    """What a node without control edges controls."""

    target_ids: Sequence[str] = ()

    async def targets(self, *, settled: bool = True) -> list[ControlTarget]:
        return []

    async def run(
        self, target_id: str, properties: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        raise UnknownTarget(target_id)


_NOTHING = NothingToControl()


class NodeContext:
    """What a node may use during one activation.

    ``outputs``: what it can send, with what the user has added.

    The sending methods wait while the sink is full. After the activation they do
    nothing, so a task that a node left behind cannot speak after the job's end.
    """

    __slots__ = (
        "_progress",
        "closed",
        "control",
        "node_id",
        "node_name",
        "on_use",
        "outputs",
        "run",
    )

    def __init__(
        self,
        run: RunContext,
        node_id: str,
        node_name: str,
        outputs: Mapping[str, TypeSpec] | None = None,
    ) -> None:
        self.run = run
        self.node_id = node_id
        self.node_name = node_name
        self.outputs = outputs or {}
        self.closed = False
        self.control: Control = _NOTHING
        self.on_use: Callable[[], None] | None = None
        self._progress = 0

    def touch(self) -> None:
        """Call ``on_use``, once: the node is doing something."""
        if self.on_use is not None:
            use, self.on_use = self.on_use, None
            use()

    @property
    def assets(self) -> AssetStore:
        return self.run.assets

    @property
    def secrets(self) -> SecretReader:
        return self.run.secrets

    @property
    def images(self) -> ImageEditor:
        return self.run.images

    @property
    def workspace(self) -> WorkspaceFiles:
        return self.run.workspace

    @property
    def models(self) -> Models:
        return self.run.models

    async def emit(self, event: Event) -> None:
        """Record an event of this node."""
        if self.closed:
            return
        self.touch()
        sink = self.run.sink
        sink.emit(event)
        if sink.is_full:
            await sink.wait_ready()

    async def progress(self, done: int, total: int, chunk: str = "") -> None:
        """Tell how far the node is; it never goes back within an activation."""
        self._progress = max(self._progress, min(max(done, 0), total))
        await self.emit(
            NodeProgress(
                node_id=self.node_id,
                node_name=self.node_name,
                progress=min(self._progress, total),
                total=total,
                chunk=chunk,
            )
        )

    async def chunk(
        self,
        content: str,
        *,
        done: bool = False,
        content_type: ContentType = "text",
        content_metadata: dict[str, Any] | None = None,
        thinking: bool = False,
    ) -> None:
        """Send one piece of what the node is producing."""
        await self.emit(
            Chunk(
                node_id=self.node_id,
                content_type=content_type,
                content=content,
                content_metadata=content_metadata or {},
                done=done,
                thinking=thinking,
            )
        )

    async def log(self, content: str, severity: Severity = "info") -> None:
        """Write a line of the node's log."""
        await self.emit(
            LogUpdate(
                node_id=self.node_id,
                node_name=self.node_name,
                content=content,
                severity=severity,
            )
        )

    async def notify(self, content: str, severity: Severity = "info") -> None:
        """Show the user a message."""
        await self.emit(
            Notification(node_id=self.node_id, content=content, severity=severity)
        )

    async def write_asset(
        self, data: bytes, *, content_type: str, name: str
    ) -> dict[str, Any]:
        """Store a value that is a file; it goes with the job. Return the reference."""
        return await self.assets.write(
            data, content_type=content_type, name=name, node_id=self.node_id
        )

    async def save_asset(
        self, data: bytes, *, content_type: str, name: str, folder: dict[str, Any]
    ) -> dict[str, Any]:
        """Store a file for the user, tell of it and return the reference to it."""
        value = await self.assets.save(
            data,
            content_type=content_type,
            name=name,
            folder=folder,
            node_id=self.node_id,
        )
        await self.saved(name, value)
        return value

    async def saved(self, name: str, value: Any) -> None:
        """Tell that the node has saved an asset."""
        await self.emit(
            SaveUpdate(
                node_id=self.node_id,
                name=name,
                value=value,
                output_type=wire_type(value),
            )
        )

    async def run_blocking(
        self,
        fn: Callable[..., Any],
        *args: Any,
        time_limit_s: float | None = None,
        memory_limit_bytes: int | None = None,
    ) -> Any:
        """Call a module-level function in a process of its own.

        Function, arguments and result cross a process border. Cancelling the node kills
        the process. Raises what `BlockingRunner.run` does.
        """
        return await self.run.blocking.run(
            fn,
            *args,
            time_limit_s=time_limit_s,
            memory_limit_bytes=memory_limit_bytes,
        )


class NodeInputs(Protocol):
    """What a streaming-input node reads; every iteration ends with the stream."""

    def any(self) -> AsyncIterator[tuple[str, Any]]:
        """Yield handle and value in the order of arrival."""

    def each(self, handle: str) -> AsyncIterator[Any]:
        """Yield the values of one handle."""

    def sets(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the sets a node without a stream of its own would get, by handle.

        Values that belong together come together; a constant is held for all. Without
        any connected input there is one empty set.
        """

    async def first(self, handle: str, default: Any = None) -> Any:
        """Take the next value of a handle, or the default when there is none."""

    def is_connected(self, handle: str) -> bool: ...


class NodeOutputs(Protocol):
    """Where a streaming-input node sends its values."""

    async def emit(self, handle: str, value: Any) -> None:
        """Send a value; it belongs to the item that was last taken from the inputs."""
