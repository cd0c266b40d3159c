"""Texts from and into asset folders and the workspace."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.engine.values import FolderRef
from workflows.nodes import registry
from workflows.nodes.image_files import NAME, chosen, dated, files_in
from workflows.nodes.structured import no_asset

ENDINGS = (".txt", ".csv", ".json", ".xml", ".md", ".html", ".pdf")


def written(context: NodeContext, text: str) -> bytes:
    """Return a text as it is kept: in UTF-8, without the secrets that the run knows."""
    masked: str = context.run.mask.value(text)
    return masked.encode("utf-8", "replace")


@registry.register("nodetool.text.SaveText")
class SaveText(Node):
    """Keeps a text as an asset."""

    outputs = {"output": "text"}

    text: str = ""
    folder: FolderRef = no_asset("folder")
    name: Annotated[str, Meta(description=NAME)] = "%Y-%m-%d-%H-%M-%S.txt"

    async def process(self, context: NodeContext) -> Any:
        return await context.save_asset(
            written(context, self.text),
            content_type="text/plain",
            name=dated(self.name),
            folder=self.folder,
        )


@registry.register("nodetool.text.SaveTextFile")
class SaveTextFile(Node):
    """Writes a text into a folder of the workspace."""

    outputs = {"output": "text"}

    text: str = ""
    folder: Annotated[str, Meta(description="The folder in the workspace.")] = ""
    name: Annotated[str, Meta(description=NAME)] = "%Y-%m-%d-%H-%M-%S.txt"

    async def process(self, context: NodeContext) -> Any:
        path = context.workspace.join([self.folder or ".", dated(self.name)])
        data = written(context, self.text)
        await context.workspace.write(path, data)
        name = path.rpartition("/")[2]
        value = await context.write_asset(data, content_type="text/plain", name=name)
        await context.saved(path, value)
        return value


@registry.register("nodetool.text.LoadTextAssets")
class LoadTextAssets(Node):
    """Streams the texts of an asset folder."""

    title = "Load Text Assets"
    outputs = {"text": "text", "name": "str"}
    streaming_output = True

    folder: FolderRef = no_asset("folder")

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        async for name, value in context.assets.files_in(chosen(self.folder), "text"):
            yield {"name": name, "text": {**value, "type": "text"}}


@registry.register("nodetool.text.LoadTextFolder")
class LoadTextFolder(Node):
    """Streams the texts of a folder in the workspace."""

    title = "Load Text Folder"
    outputs = {"text": "str", "path": "str"}
    streaming_output = True

    folder: Annotated[str, Meta(description="The folder in the workspace.")] = ""
    include_subdirectories: bool = False
    extensions: list[str] = msgspec.field(default_factory=lambda: [*ENDINGS])
    pattern: Annotated[str, Meta(description="Which of them, as *.txt.")] = ""

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        for path in await files_in(context, self):
            data = await context.workspace.read(path)
            yield {"path": path, "text": data.decode("utf-8", "replace")}
