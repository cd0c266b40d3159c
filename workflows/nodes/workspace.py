"""The user's workspace: a folder of files that workflows share."""

import base64
import binascii
from collections.abc import AsyncIterator
from typing import Annotated, Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.engine.values import ImageRef, VideoRef, is_blank
from workflows.nodes import registry
from workflows.nodes.image_files import dated, holds_bytes, save_in_workspace
from workflows.nodes.structured import no_asset

MP4 = "video/mp4"

WorkspacePath = Annotated[str, Meta(description="A path in the workspace.")]
Encoding = Annotated[str, Meta(description="How text is written, as utf-8.")]


@registry.register("nodetool.workspace.GetWorkspaceDir")
class GetWorkspaceDir(Node):
    """Tells where the workspace is."""

    outputs = {"output": "str"}

    async def process(self, context: NodeContext) -> Any:
        return context.workspace.location


@registry.register("nodetool.workspace.ListWorkspaceFiles")
class ListWorkspaceFiles(Node):
    """Streams the paths of files and folders that match a pattern."""

    outputs = {"file": "str"}
    streaming_output = True

    path: WorkspacePath = "."
    pattern: Annotated[str, Meta(description="Which of them, as *.txt.")] = "*"
    recursive: Annotated[bool, Meta(description="Also what folders hold.")] = False

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        found = await context.workspace.list(
            self.path, self.pattern, recursive=self.recursive
        )
        for path in found:
            yield {"file": path}


@registry.register("nodetool.workspace.ReadTextFile")
class ReadTextFile(Node):
    """Reads a text."""

    outputs = {"output": "str"}

    path: WorkspacePath = ""
    encoding: Encoding = "utf-8"

    async def process(self, context: NodeContext) -> Any:
        data = await context.workspace.read(self.path)
        try:
            return data.decode(_known(self.encoding))
        except UnicodeError as error:
            raise ValueError(
                f"'{self.path}' is not {self.encoding} text ({error}): choose another "
                "encoding, or read it as a binary file"
            ) from None


@registry.register("nodetool.workspace.WriteTextFile")
class WriteTextFile(Node):
    """Writes a text, or adds it to one."""

    outputs = {"output": "str"}

    path: WorkspacePath = ""
    content: str = ""
    encoding: Encoding = "utf-8"
    append: Annotated[bool, Meta(description="Add it to what is there.")] = False

    async def process(self, context: NodeContext) -> Any:
        try:
            content: str = context.run.mask.value(self.content)  # of secrets
            data = content.encode(_known(self.encoding))
        except UnicodeError as error:
            raise ValueError(
                f"content cannot be written as {self.encoding} ({error}): use utf-8"
            ) from None
        await context.workspace.write(self.path, data, append=self.append)
        return self.path


@registry.register("nodetool.workspace.ReadBinaryFile")
class ReadBinaryFile(Node):
    """Reads a file, as base64."""

    outputs = {"output": "str"}

    path: WorkspacePath = ""

    async def process(self, context: NodeContext) -> Any:
        data = await context.workspace.read(self.path)
        return base64.b64encode(data).decode("ascii")


@registry.register("nodetool.workspace.WriteBinaryFile")
class WriteBinaryFile(Node):
    """Writes a file of which base64 gives the bytes."""

    outputs = {"output": "str"}

    path: WorkspacePath = ""
    content: Annotated[str, Meta(description="The bytes, as base64.")] = ""

    async def process(self, context: NodeContext) -> Any:
        try:
            data = base64.b64decode("".join(self.content.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"content is not base64 ({error})") from None
        await context.workspace.write(self.path, data)
        return self.path


@registry.register("nodetool.workspace.DeleteWorkspaceFile")
class DeleteWorkspaceFile(Node):
    """Deletes a file or a folder."""

    outputs = {"output": "none"}

    path: WorkspacePath = ""
    recursive: Annotated[
        bool, Meta(description="Delete a folder with all that it holds.")
    ] = False

    async def process(self, context: NodeContext) -> Any:
        await context.workspace.delete(self.path, recursive=self.recursive)


@registry.register("nodetool.workspace.CreateWorkspaceDirectory")
class CreateWorkspaceDirectory(Node):
    """Makes a folder."""

    outputs = {"output": "str"}

    path: WorkspacePath = ""

    async def process(self, context: NodeContext) -> Any:
        await context.workspace.make_folder(self.path)
        return self.path


@registry.register("nodetool.workspace.WorkspaceFileExists")
class WorkspaceFileExists(Node):
    """Tells whether there is a file or a folder."""

    outputs = {"output": "bool"}

    path: WorkspacePath = ""

    async def process(self, context: NodeContext) -> Any:
        return await context.workspace.info(self.path) is not None


@registry.register("nodetool.workspace.GetWorkspaceFileInfo")
class GetWorkspaceFileInfo(Node):
    """Tells size, times and kind of a file or a folder."""

    outputs = {"output": "dict"}

    path: WorkspacePath = ""

    async def process(self, context: NodeContext) -> Any:
        return {"output": await _info(context, self.path)}


@registry.register("nodetool.workspace.GetWorkspaceFileSize")
class GetWorkspaceFileSize(Node):
    """Tells how many bytes a file has."""

    outputs = {"output": "int"}

    path: WorkspacePath = ""

    async def process(self, context: NodeContext) -> Any:
        info = await _info(context, self.path)
        if not info["is_file"]:
            raise ValueError(f"'{self.path}' is a folder")
        return info["size"]


@registry.register("nodetool.workspace.IsWorkspaceFile")
class IsWorkspaceFile(Node):
    """Tells whether a path is that of a file."""

    outputs = {"output": "bool"}

    path: WorkspacePath = ""

    async def process(self, context: NodeContext) -> Any:
        info = await context.workspace.info(self.path)
        return info is not None and info["is_file"]


@registry.register("nodetool.workspace.IsWorkspaceDirectory")
class IsWorkspaceDirectory(Node):
    """Tells whether a path is that of a folder."""

    outputs = {"output": "bool"}

    path: WorkspacePath = ""

    async def process(self, context: NodeContext) -> Any:
        info = await context.workspace.info(self.path)
        return info is not None and info["is_directory"]


@registry.register("nodetool.workspace.CopyWorkspaceFile")
class CopyWorkspaceFile(Node):
    """Copies a file, or a folder with all that it holds."""

    outputs = {"output": "str"}

    source: WorkspacePath = ""
    destination: WorkspacePath = ""

    async def process(self, context: NodeContext) -> Any:
        await context.workspace.copy(self.source, self.destination)
        return self.destination


@registry.register("nodetool.workspace.MoveWorkspaceFile")
class MoveWorkspaceFile(Node):
    """Moves or renames a file or a folder."""

    outputs = {"output": "str"}

    source: WorkspacePath = ""
    destination: WorkspacePath = ""

    async def process(self, context: NodeContext) -> Any:
        await context.workspace.move(self.source, self.destination)
        return self.destination


@registry.register("nodetool.workspace.JoinWorkspacePaths")
class JoinWorkspacePaths(Node):
    """Makes one path of several parts."""

    outputs = {"output": "str"}

    paths: Annotated[list[str], Meta(description="The parts, in order.")] = []

    async def process(self, context: NodeContext) -> Any:
        if not self.paths:
            raise ValueError("paths is empty: give at least one part")
        return context.workspace.join(self.paths)


@registry.register("nodetool.workspace.SaveImageFile")
class SaveImageFile(Node):
    """Writes a picture into a folder of the workspace."""

    outputs = {"output": "image"}

    image: ImageRef = no_asset("image")
    folder: WorkspacePath = "."
    filename: str = "image.png"
    overwrite: Annotated[bool, Meta(description="Replace a file that is there.")] = (
        False
    )

    async def process(self, context: NodeContext) -> Any:
        return await save_in_workspace(context, self, numbered=True)


@registry.register("nodetool.workspace.SaveVideoFile")
class SaveVideoFile(Node):
    """Writes a video into a folder of the workspace, as it is."""

    outputs = {"output": "video"}

    video: VideoRef = no_asset("video")
    folder: WorkspacePath = "."
    filename: str = "video.mp4"
    overwrite: Annotated[bool, Meta(description="Replace a file that is there.")] = (
        False
    )

    async def process(self, context: NodeContext) -> Any:
        if is_blank(self.video):
            raise ValueError("video is empty: connect or choose a video")
        name = dated(self.filename, "filename")
        path = context.workspace.join([self.folder or ".", name])
        data = await context.assets.read(self.video)
        await context.workspace.write(path, data, replace=self.overwrite)
        video = self.video
        if holds_bytes(video):
            video = await context.write_asset(data, content_type=MP4, name=name)
        await context.saved(path, video)
        return video


async def _info(context: NodeContext, path: str) -> dict[str, Any]:
    info = await context.workspace.info(path)
    if info is None:
        raise ValueError(f"'{path}' is not in the workspace")
    return info


def _known(encoding: str) -> str:
    """Return the encoding if text can be written in it.

    Raises:
        ValueError: it is none.
    """
    try:
        "".encode(encoding)
    except (LookupError, UnicodeError, ValueError):
        raise ValueError(f"'{encoding}' is no text encoding: use utf-8") from None
    return encoding
