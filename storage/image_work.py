"""Pictures decoded, which only a process that can be killed may do.

This module and Pillow are imported there; it knows nothing of Django. A picture is what
its bytes say, whatever it is called, and only what is needed is decoded: of an
animation the first frame.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image

Source = bytes | Path

# Formats without programs and references in them: no EPS, no PDF, no SVG.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
FORMAT_NAMES = "PNG, JPEG, WebP, GIF, BMP or TIFF"
MAX_PIXELS = 50_000_000
JPEG_QUALITY = 85
# Of PNG's levels the one from which on files hardly shrink and time grows.
PNG_LEVEL = 3
_MANY_PIXELS = 12_000_000
_MAX_PROFILE_BYTES = 64 * 1024
_ORIENTATION = 0x0112
# What stands a picture upright, by its EXIF orientation: names of Pillow's.
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_SIDEWAYS = 5  # from here on the sides are swapped


class UnreadableImage(ValueError):
    """It is no picture that is decoded here, or it breaks a limit; the text says so."""


class ImageFacts(NamedTuple):
    """What a picture's header says. ``format`` is one of `FORMATS`; sizes in pixels."""

    format: str
    mode: str
    width: int
    height: int
    channels: int


def identify(source: Source) -> ImageFacts:
    """Read the header alone.

    Raises:
        UnreadableImage: it is no picture that may be decoded.
    """
    with _opened(source) as image:
        width, height = image.size
        channels = len(image.getbands())
        kind = {"MPO": "JPEG"}.get(image.format or "", image.format or "")
        return ImageFacts(kind, image.mode, width, height, channels)


def thumbnail(source: Source, width: int, height: int) -> bytes:
    """Return a JPEG that fits into ``width`` and ``height``, upright, on white.

    Raises:
        UnreadableImage: it is no picture that may be decoded, or it is damaged.
    """
    with _opened(source) as image, _decoding():
        side = 2 * max(width, height)
        image.draft("RGB", (side, side))  # JPEG: decodes fewer pixels
        orientation = _orientation(image)
        box = (height, width) if orientation >= _SIDEWAYS else (width, height)
        small = _in_colour(_thinned_out(image, box))
        small.thumbnail(box)
        page = _on_white(_upright(small, orientation))
        profile = small.info.get("icc_profile")
        file = io.BytesIO()
        page.save(file, "JPEG", quality=JPEG_QUALITY, icc_profile=profile)
        return file.getvalue()


def edit(
    fn: Callable[..., Any],
    sources: Sequence[Source],
    args: Sequence[Any],
    kind: str = "PNG",
) -> list[bytes]:
    """Call ``fn`` with the pictures and ``args``; return what it makes as files.

    It gets each picture upright, as RGB or RGBA, and returns one or a list of them.

    Raises:
        UnreadableImage: a source is no picture that may be decoded, or it is damaged.
    """
    with _quiet():
        made = fn(*[_decoded(source) for source in sources], *args)
        pictures = made if isinstance(made, list) else [made]
        return [_file_of(image, kind) for image in pictures]


def _decoded(source: Source) -> Image:
    with _opened(source) as image, _decoding():
        orientation = _orientation(image)
        return _upright(_in_colour(image), orientation)


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[Image]:
    """Yield the picture with its header read and found harmless."""
    # In this process only: see the module's text.
    from PIL import Image, UnidentifiedImageError

    # Checked below, before anything is decoded; Pillow's own check would only warn.
    Image.MAX_IMAGE_PIXELS = None
    file: Any = io.BytesIO(source) if isinstance(source, bytes) else source
    with _quiet():
        try:
            image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError:
            raise UnreadableImage(_what_instead(source)) from None
        except FileNotFoundError:
            raise
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - decoders raise whatever they like
            raise UnreadableImage(f"The image is damaged: {error}") from None
        with image:
            _check_size(*image.size)
            yield image


@contextlib.contextmanager
def _decoding() -> Iterator[None]:
    """Say that the picture is to blame for whatever its decoder raises."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise whatever they like
        raise UnreadableImage(f"The image is damaged: {error}") from None


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise UnreadableImage("The image is empty")
    if width * height > MAX_PIXELS:
        raise UnreadableImage(
            f"The image has {width} x {height} pixels, more than "
            f"{MAX_PIXELS // 1_000_000} megapixels: make it smaller"
        )


def _what_instead(source: Source) -> str:
    if isinstance(source, bytes):
        head = source[:1024]
    else:
        with source.open("rb") as file:
            head = file.read(1024)
    if not head:
        return "The image is empty"
    if b"<svg" in head.lower():
        return "SVG images are not turned into pixels here"
    return f"This is no {FORMAT_NAMES} image"


def _orientation(image: Image) -> int:
    """Return how the picture is to be turned; damaged EXIF spoils no picture."""
    image.load()  # what follows might do it, and its failure is not that of the EXIF
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - its parser raises whatever it likes
        return 1
    return found if isinstance(found, int) else 1


def _upright(image: Image, orientation: int) -> Image:
    from PIL.Image import Transpose

    turn = _UPRIGHT.get(orientation)
    return image.transpose(Transpose[turn]) if turn else image


def _thinned_out(image: Image, box: tuple[int, int]) -> Image:
    """Return a very large picture with some of its pixels only, to save memory."""
    from PIL.Image import Resampling

    if image.width * image.height <= _MANY_PIXELS:
        return image
    ratio = min(image.width / box[0], image.height / box[1])
    factor = min(int(ratio / 2), int((image.width * image.height / 4e6) ** 0.5))
    if factor < 2:
        return image
    size = (max(1, image.width // factor), max(1, image.height // factor))
    small = image.resize(size, Resampling.NEAREST)
    small.info = image.info
    return small


def _in_colour(image: Image) -> Image:
    """Return the picture as RGB, or as RGBA where parts of it are transparent.

    Of what came with the pixels only their colour profile is kept.
    """
    if image.mode.startswith("I;16"):
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    profile = image.info.get("icc_profile") if image.mode == mode else None
    image.load()
    made = image.copy() if image.mode == mode else image.convert(mode)
    fits = isinstance(profile, bytes) and len(profile) <= _MAX_PROFILE_BYTES
    made.info = {"icc_profile": profile} if fits else {}
    return made


def _on_white(image: Image) -> Image:
    if image.mode != "RGBA":
        return image
    from PIL import Image

    page = Image.new("RGB", image.size, "white")
    page.paste(image, mask=image.getchannel("A"))
    return page


def _file_of(image: Image, kind: str) -> bytes:
    _check_size(*image.size)
    if kind in ("JPEG", "BMP"):
        image = _on_white(image).convert("RGB")
    options: dict[str, Any] = {"compress_level": PNG_LEVEL} if kind == "PNG" else {}
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what decoders print about a hostile picture out of the server's log."""
    logging.getLogger("PIL").propagate = False
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    nowhere, stderr = os.open(os.devnull, os.O_WRONLY), os.dup(2)
    os.dup2(nowhere, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(nowhere)
        os.close(stderr)
