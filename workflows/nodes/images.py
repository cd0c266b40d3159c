"""Pictures: their size, their parts, one on another.

The functions beside the classes get Pillow's images, in a process with limits: only
there is Pillow imported.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.engine.values import ImageRef, is_blank
from workflows.nodes import registry
from workflows.nodes.structured import no_asset

MAX_PIXELS = 50_000_000
IMAGE_TYPES = {
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
}

Side = Annotated[int, Meta(description="Pixels.", min=0, max=4096)]
Length = Annotated[int, Meta(description="Pixels.", min=1, max=4096)]


async def bytes_of(context: NodeContext, image: dict[str, Any], name: str) -> bytes:
    """Return the file of a picture.

    Raises:
        ValueError: none is connected or chosen.
    """
    if is_blank(image):
        raise ValueError(f"{name} is empty: connect or choose an image")
    return await context.assets.read(image)


async def edited(
    context: NodeContext,
    fn: Callable[..., Any],
    images: Sequence[dict[str, Any]],
    *args: Any,
) -> list[dict[str, Any]]:
    """Return the references to what ``fn`` makes of the pictures."""
    pictures = [await bytes_of(context, image, "image") for image in images]
    made = await context.images.edit(fn, pictures, *args)
    return [
        await context.write_asset(data, content_type="image/png", name="image.png")
        for data in made
    ]


async def stored(context: NodeContext, data: bytes, name: str) -> dict[str, Any]:
    """Store a picture that was read from elsewhere; return the reference to it."""
    kind = (await context.images.identify(data))[0]
    return await context.write_asset(data, content_type=IMAGE_TYPES[kind], name=name)


@registry.register("nodetool.image.Resize")
class Resize(Node):
    """Gives a picture another size. A side of 0 follows from the other one."""

    outputs = {"output": "image"}
    pure = True

    image: ImageRef = no_asset("image")
    width: Side = 512
    height: Side = 512

    async def process(self, context: NodeContext) -> Any:
        if not self.width and not self.height:
            raise ValueError("width and height are 0: set one of them")
        args = (self.width, self.height)
        [made] = await edited(context, resized, [self.image], *args)
        return made


def resized(image: Any, width: int, height: int) -> Any:
    """Return the picture in another size."""
    width = width or max(1, round(image.width * height / image.height))
    height = height or max(1, round(image.height * width / image.width))
    return _in_size(image, width, height)


@registry.register("nodetool.image.Scale")
class Scale(Node):
    """Makes a picture larger or smaller by a factor."""

    outputs = {"output": "image"}
    pure = True

    image: ImageRef = no_asset("image")
    scale: Annotated[float, Meta(description="The factor.", min=0, max=10)] = 1.0

    async def process(self, context: NodeContext) -> Any:
        [made] = await edited(context, scaled, [self.image], self.scale)
        return made


def scaled(image: Any, scale: float) -> Any:
    """Return the picture, larger or smaller."""
    width, height = int(image.width * scale), int(image.height * scale)
    if not width or not height:
        raise ValueError(f"scale {scale:g} leaves nothing of the image: make it larger")
    return _in_size(image, width, height)


@registry.register("nodetool.image.Crop")
class Crop(Node):
    """Cuts a part out of a picture."""

    outputs = {"output": "image"}
    pure = True

    image: ImageRef = no_asset("image")
    left: Side = 0
    top: Side = 0
    right: Side = 512
    bottom: Side = 512

    async def process(self, context: NodeContext) -> Any:
        if self.right <= self.left or self.bottom <= self.top:
            raise ValueError("right must be more than left, and bottom more than top")
        box = (self.left, self.top, self.right, self.bottom)
        [made] = await edited(context, cropped, [self.image], box)
        return made


def cropped(image: Any, box: tuple[int, int, int, int]) -> Any:
    """Return a part of the picture; what lies outside of it is black."""
    return image.crop(box)


@registry.register("nodetool.image.Fit")
class Fit(Node):
    """Fills a size with a picture: cuts off what is too much, keeps its proportions."""

    outputs = {"output": "image"}
    pure = True

    image: ImageRef = no_asset("image")
    width: Length = 512
    height: Length = 512

    async def process(self, context: NodeContext) -> Any:
        args = (self.width, self.height)
        [made] = await edited(context, fitted, [self.image], *args)
        return made


def fitted(image: Any, width: int, height: int) -> Any:
    """Return the middle of the picture in a size."""
    from PIL import ImageOps  # in the other process only
    from PIL.Image import Resampling

    return ImageOps.fit(image, (width, height), Resampling.LANCZOS)


@registry.register("nodetool.image.Paste")
class Paste(Node):
    """Puts a picture on another; what is transparent in it lets that shine through."""

    outputs = {"output": "image"}
    pure = True

    image: ImageRef = no_asset("image")
    paste: ImageRef = no_asset("image")
    left: Side = 0
    top: Side = 0

    async def process(self, context: NodeContext) -> Any:
        position = (self.left, self.top)
        [made] = await edited(context, pasted, [self.image, self.paste], position)
        return made


def pasted(image: Any, paste: Any, position: tuple[int, int]) -> Any:
    """Return the picture with the other one on it."""
    image.paste(paste, position, mask=paste if paste.mode == "RGBA" else None)
    return image


@registry.register("nodetool.image.GetMetadata")
class GetMetadata(Node):
    """Tells format, colours and size of a picture."""

    outputs = {
        "format": "str",
        "mode": "str",
        "width": "int",
        "height": "int",
        "channels": "int",
    }
    pure = True

    image: ImageRef = no_asset("image")

    async def process(self, context: NodeContext) -> Any:
        data = await bytes_of(context, self.image, "image")
        facts = await context.images.identify(data)
        return dict(zip(type(self).outputs, facts, strict=True))


@registry.register("nodetool.image.BatchToList")
class BatchToList(Node):
    """Makes a list of the pictures in a batch."""

    outputs = {"output": "list[image]"}
    pure = True

    batch: ImageRef = no_asset("image")

    async def process(self, context: NodeContext) -> Any:
        pictures = self.batch.get("data")
        if not isinstance(pictures, list) or not pictures:
            raise ValueError("batch holds no list of images: connect a batch")
        blank = {"type": "image", "uri": "", "asset_id": None, "data": None}
        return {
            "output": [
                await stored(context, await self._read(context, blank, each), "image")
                for each in pictures
            ]
        }

    @staticmethod
    async def _read(context: NodeContext, blank: dict[str, Any], each: Any) -> bytes:
        if isinstance(each, dict):
            return await bytes_of(context, each, "batch")
        name = "uri" if isinstance(each, str) else "data"
        return await context.assets.read({**blank, name: each})


@registry.register("nodetool.image.ImagesToList")
class ImagesToList(Node):
    """Makes a list of pictures that arrive at inputs of the user's own."""

    outputs = {"output": "list[image]"}
    dynamic = True

    async def process(self, context: NodeContext) -> Any:
        given = self.dynamic_properties.items()
        for name, value in given:
            if not isinstance(value, dict) or value.get("type") != "image":
                raise ValueError(f"{name} is no image")
        return {"output": [value for _, value in given if not is_blank(value)]}


def _in_size(image: Any, width: int, height: int) -> Any:
    from PIL.Image import Resampling  # in the other process only

    if width * height > MAX_PIXELS:
        raise ValueError(
            f"the image would have {width} x {height} pixels: at most "
            f"{MAX_PIXELS // 1_000_000} megapixels are allowed"
        )
    return image.resize((width, height), Resampling.LANCZOS)
