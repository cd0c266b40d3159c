"""Pictures from and into asset folders and the workspace."""

import fnmatch
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.engine.values import FolderRef, ImageRef, is_blank
from workflows.nodes import registry
from workflows.nodes.images import bytes_of, stored
from workflows.nodes.structured import no_asset

KINDS = {
    "bmp": "BMP",
    "gif": "GIF",
    "jpeg": "JPEG",
    "jpg": "JPEG",
    "png": "PNG",
    "tif": "TIFF",
    "tiff": "TIFF",
    "webp": "WEBP",
}
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tiff")
NAME = "Its name. %Y, %m, %d, %H, %M and %S stand for the time."
MAX_TRIES = 1_000


def dated(name: str, name_of_it: str = "name") -> str:
    """Return a name with the present time in the place of its % signs.

    Raises:
        ValueError: nothing is left of it.
    """
    made = time.strftime(name).strip()
    if not made:
        raise ValueError(f"{name_of_it} is empty: name the file")
    return made


async def free_path(context: NodeContext, path: str) -> str:
    """Return the path, or one with a number where there is a file already."""
    stem, dot, suffix = path.rpartition(".")
    for number in range(MAX_TRIES):
        tried = f"{stem}_{number}{dot}{suffix}" if number else path
        if await context.workspace.info(tried) is None:
            return tried
    raise ValueError(f"'{path}' and {MAX_TRIES} names like it are there already")


def chosen(folder: dict[str, Any]) -> dict[str, Any]:
    """Return the asset folder.

    Raises:
        ValueError: none is chosen.
    """
    if is_blank(folder):
        raise ValueError("folder is empty: choose an asset folder")
    return folder


def holds_bytes(value: dict[str, Any]) -> bool:
    """Tell whether a value is a file rather than refers to one."""
    return bool(value.get("data")) or str(value.get("uri")).startswith("data:")


def as_it_is(image: Any) -> Any:
    """Return the picture."""
    return image


@registry.register("nodetool.image.LoadImageAssets")
class LoadImageAssets(Node):
    """Streams the pictures of an asset folder."""

    title = "Load Image Assets"
    outputs = {"image": "image", "name": "str"}
    streaming_output = True

    folder: FolderRef = no_asset("folder")

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        files = context.assets.files_in(chosen(self.folder), "image")
        async for name, value in files:
            yield {"name": name, "image": value}


@registry.register("nodetool.image.LoadImageFile")
class LoadImageFile(Node):
    """Reads a picture from the workspace."""

    outputs = {"output": "image"}

    path: Annotated[str, Meta(description="Where it is in the workspace.")] = ""

    async def process(self, context: NodeContext) -> Any:
        data = await context.workspace.read(self.path)
        return await stored(context, data, self.path.rpartition("/")[2])


@registry.register("nodetool.image.LoadImageFolder")
class LoadImageFolder(Node):
    """Streams the pictures of a folder in the workspace."""

    title = "Load Image Folder"
    outputs = {"image": "image", "path": "str"}
    streaming_output = True

    folder: Annotated[str, Meta(description="The folder in the workspace.")] = ""
    include_subdirectories: bool = False
    extensions: list[str] = msgspec.field(default_factory=lambda: [*ENDINGS])
    pattern: Annotated[str, Meta(description="Which of them, as *.png.")] = ""

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        for path in await files_in(context, self):
            data = await context.workspace.read(path)
            try:
                image = await stored(context, data, path.rpartition("/")[2])
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
            yield {"path": path, "image": image}


async def files_in(context: NodeContext, node: Any) -> list[str]:
    """Return the files that a node which reads a folder asks for."""
    paths = await context.workspace.list(
        node.folder or ".", "*", recursive=node.include_subdirectories
    )
    endings = tuple(ending.lower() for ending in node.extensions)
    return [
        path
        for path in paths
        if path.lower().endswith(endings)
        and (not node.pattern or _is_like(path, node.pattern))
        and await _is_file(context, path)
    ]


def _is_like(path: str, pattern: str) -> bool:
    name = path.rpartition("/")[2]
    return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(name, pattern)


async def _is_file(context: NodeContext, path: str) -> bool:
    info = await context.workspace.info(path)
    return info is not None and bool(info["is_file"])


@registry.register("nodetool.image.SaveImage")
class SaveImage(Node):
    """Keeps a picture as an asset, as PNG."""

    title = "Save Image Asset"
    outputs = {"output": "image"}

    image: ImageRef = no_asset("image")
    folder: FolderRef = no_asset("folder")
    name: Annotated[str, Meta(description=NAME)] = "%Y-%m-%d_%H-%M-%S.png"

    async def process(self, context: NodeContext) -> Any:
        name = dated(self.name)
        data = await bytes_of(context, self.image, "image")
        if (await context.images.identify(data))[0] != "PNG":
            [data] = await context.images.edit(as_it_is, [data])
        return await context.save_asset(
            data, content_type="image/png", name=name, folder=self.folder
        )


async def save_in_workspace(
    context: NodeContext, node: Any, *, numbered: bool
) -> dict[str, Any]:
    """Write the picture of a node into its folder; the ending tells the format.

    A file of that name is replaced, or the new one gets a number, or it is an error.
    """
    name = dated(node.filename, "filename")
    path = context.workspace.join([node.folder or ".", name])
    ending = name.rpartition(".")[2].lower()
    if ending not in KINDS:
        raise ValueError(f"filename must end in one of {', '.join(sorted(KINDS))}")
    data = await bytes_of(context, node.image, "image")
    [made] = await context.images.edit(as_it_is, [data], kind=KINDS[ending])
    if numbered and not node.overwrite:
        path = await free_path(context, path)
    await context.workspace.write(path, made, replace=node.overwrite)
    image: dict[str, Any] = node.image
    if holds_bytes(image):
        image = await stored(context, data, name)
    await context.saved(path, image)
    return image


@registry.register("nodetool.image.SaveImageFile")
class SaveImageFile(Node):
    """Writes a picture into a folder of the workspace."""

    outputs = {"output": "image"}

    image: ImageRef = no_asset("image")
    folder: Annotated[str, Meta(description="The folder in the workspace.")] = ""
    filename: Annotated[str, Meta(description=NAME)] = ""
    overwrite: Annotated[
        bool, Meta(description="Off: a file that is there stays, this one is numbered.")
    ] = False

    async def process(self, context: NodeContext) -> Any:
        return await save_in_workspace(context, self, numbered=True)
