"""Pictures that are damaged, lying or meant to exhaust, and those that must work."""

import gzip
import io
import random
import struct
import zipfile
import zlib
from typing import Any

from PIL import Image

PAYLOAD = b"<script>alert(1)</script><?php system($_GET[0]); ?>"


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the file of a picture."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gradient(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Return a picture with many colours."""
    grey = Image.linear_gradient("L").resize(size)
    if mode in ("RGB", "RGBA", "CMYK"):
        parts = [grey, grey.rotate(90), grey.rotate(180), grey.rotate(270)]
        return Image.merge(mode, parts[: len(mode)])
    return grey.convert(mode)


def rotated() -> bytes:
    """Return a picture of which EXIF says that it stands on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(gradient(), "JPEG", exif=exif)


def deep_grey(kind: str) -> bytes:
    deep = gradient("L").convert("I").point(lambda v: v * 257)
    return saved(deep.convert("I;16"), kind)


def animation(kind: str, frames: int) -> bytes:
    pictures = [Image.new("L", (8, 8), n * 7 % 256) for n in range(frames)]
    return saved(pictures[0], kind, save_all=True, append_images=pictures[1:])


# --- PNG by hand
def chunk(
    kind: bytes, data: bytes, *, length: int | None = None, crc: int = 0
) -> bytes:
    size = struct.pack(">I", len(data) if length is None else length)
    check = struct.pack(">I", zlib.crc32(kind + data) ^ crc)
    return size + kind + data + check


def header(width: int, height: int, *, depth: int = 8, colour: int = 0) -> bytes:
    data = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return chunk(b"IHDR", data)


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def pixels(width: int, height: int, bytes_a_pixel: int = 1) -> bytes:
    """Return the data of an all-black picture, made row by row."""
    packer = zlib.compressobj(1)
    row = bytes(1 + width * bytes_a_pixel)
    parts = [packer.compress(row) for _ in range(height)]
    return chunk(b"IDAT", b"".join(parts) + packer.flush())


SMALL = pixels(8, 8)
DOT = header(8, 8)


def controls() -> dict[str, bytes]:
    """Return what must be decoded, by name."""
    palette = gradient("RGB").quantize(16)
    found = {
        f"png {mode}": saved(gradient(mode), "PNG")
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA")
    }
    found |= {f"jpeg {mode}": saved(gradient(mode), "JPEG") for mode in ("L", "CMYK")}
    found |= {f"bmp {mode}": saved(gradient(mode), "BMP") for mode in ("1", "P", "RGB")}
    return found | {
        "jpeg": saved(gradient(), "JPEG"),
        "jpeg progressive": saved(gradient(), "JPEG", progressive=True),
        "jpeg on its side": rotated(),
        "png 16 bit": deep_grey("PNG"),
        "png interlaced by hand": png(DOT, SMALL),
        "png transparent palette": saved(palette, "PNG", transparency=0),
        "png long and thin": png(header(200_000, 1), pixels(200_000, 1)),
        "png 49 megapixels": png(header(7000, 7000), pixels(7000, 7000)),
        "png 49 megapixels rgba": png(
            header(7000, 7000, colour=6), pixels(7000, 7000, 4)
        ),
        "png twice its data": png(DOT, SMALL, SMALL),
        "webp": saved(gradient(), "WEBP"),
        "webp lossless": saved(gradient(), "WEBP", lossless=True),
        "webp alpha": saved(gradient("RGBA"), "WEBP"),
        "webp animated": animation("WEBP", 3),
        "gif": saved(palette, "GIF"),
        "gif transparent": saved(palette, "GIF", transparency=0),
        "gif animated": animation("GIF", 3),
        "tiff": saved(gradient(), "TIFF"),
        "tiff lzw": saved(gradient(), "TIFF", compression="tiff_lzw"),
        "tiff deflate": saved(gradient(), "TIFF", compression="tiff_adobe_deflate"),
        "tiff 16 bit": deep_grey("TIFF"),
        "jpeg 36 megapixels": saved(Image.new("RGB", (6000, 6000)), "JPEG"),
    }


def harmless() -> dict[str, bytes]:
    """Return pictures that carry more than a picture, which must be left behind."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("evil.html", PAYLOAD)
    text = chunk(b"tEXt", b"Comment\0" + PAYLOAD)
    return {
        "jpeg and zip": saved(gradient(), "JPEG") + archive.getvalue(),
        "jpeg with a comment": saved(gradient(), "JPEG", comment=PAYLOAD),
        "png and script": saved(gradient(), "PNG") + PAYLOAD,
        "png with a text": png(DOT, text, SMALL),
        "gif that is a script": saved(gradient("P"), "GIF", comment=PAYLOAD),
        "webp with exif": saved(gradient(), "WEBP", exif=b"Exif\0\0" + PAYLOAD),
        "gif of 3,000 frames": animation("GIF", 3_000),
        "png that says it is animated": png(
            DOT, chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)), SMALL
        ),
        "jpeg of 20,000 comments": _with_comments(20_000),
        "png of which the exif is damaged": png(
            DOT, chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"), SMALL
        ),
    }


def _with_comments(count: int) -> bytes:
    data = saved(gradient(), "JPEG")
    return data[:2] + (b"\xff\xfe\0\x12" + b"c" * 16) * count + data[2:]


def refused() -> dict[str, bytes]:
    """Return what must be refused, by name."""
    return {**_no_pictures(), **_truncated(), **_lies(), **_bombs()}


def _no_pictures() -> dict[str, bytes]:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/>'
    noise = random.Random(4).randbytes(4_000)
    magic = {
        "png": b"\x89PNG\r\n\x1a\n",
        "jpeg": b"\xff\xd8\xff\xe0",
        "gif": b"GIF89a",
        "bmp": b"BM",
        "tiff": b"II*\0",
        "tiff, other": b"MM\0*",
        "big tiff": b"II+\0\x08\0\0\0",
        "webp": b"RIFF\0\x10\0\0WEBPVP8 ",
    }
    return {
        "nothing": b"",
        "one byte": b"\x89",
        "text": b"hello",
        "html": b"<!doctype html>" + PAYLOAD,
        "svg": svg,
        "svg with a bomb": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]>' + svg,
        "svg, packed": gzip.compress(svg),
        "pdf": b"%PDF-1.7\n" + noise,
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(id) run\n",
        "zip": b"PK\x03\x04" + noise,
        "noise": noise,
        "mp4": b"\0\0\0\x20ftypisom" + noise,
        **{f"{kind}, otherwise noise": head + noise for kind, head in magic.items()},
        **{f"{kind}, no more": head for kind, head in magic.items()},
        **{
            kind: saved(gradient(), kind)
            for kind in ("ICO", "PPM", "TGA", "PCX", "JPEG2000", "AVIF", "EPS", "PDF")
        },
    }


def _truncated() -> dict[str, bytes]:
    kinds = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
    whole = {kind: saved(gradient(size=(300, 200)), kind) for kind in kinds}
    return {
        f"{kind} cut at {part:.0%}": data[: int(len(data) * part)]
        for kind, data in whole.items()
        for part in (0.1, 0.5, 0.9)
    }


def _patched(data: bytes, at: int, patch: bytes) -> bytes:
    return data[:at] + patch + data[at + len(patch) :]


def _lies() -> dict[str, bytes]:
    jpeg, tiff = saved(gradient(), "JPEG"), saved(gradient(), "TIFF")
    gif, bmp = saved(gradient("P"), "GIF"), saved(gradient(), "BMP")
    frame = jpeg.index(b"\xff\xc0") + 5
    return {
        "png of no width": png(header(0, 8), SMALL),
        "png of no data": png(DOT),
        "png of no header": png(SMALL),
        "png larger than its data": png(header(5_000, 5_000), SMALL),
        "png with a wrong check sum": png(
            chunk(b"IHDR", b"\0\0\0\x08\0\0\0\x08\x08\0\0\0\0", crc=1), SMALL
        ),
        "png with a long chunk": png(DOT, chunk(b"IDAT", b"x" * 40, length=0xFFFFFFF0)),
        "png with data that is no data": png(DOT, chunk(b"IDAT", b"no zlib at all")),
        "png of an unknown depth": png(header(8, 8, depth=7), SMALL),
        "jpeg of no width": _patched(jpeg, frame + 2, b"\0\0"),
        "jpeg without its tables": jpeg.replace(b"\xff\xdb", b"\xff\xfe"),
        "gif without a picture": gif[:13] + b";",
        "bmp with another depth": _patched(bmp, 28, b"\x07\0"),
        "bmp that begins beyond its end": _patched(bmp, 10, b"\xff\xff\xff\x7f"),
        "tiff whose directory is far away": _patched(tiff, 4, b"\xff\xff\xff\x7f"),
        "tiff whose directory is its header": _patched(tiff, 4, b"\0\0\0\0"),
    }


def _bombs() -> dict[str, bytes]:
    jpeg = saved(gradient(), "JPEG")
    gif, bmp = saved(gradient("P"), "GIF"), saved(gradient(), "BMP")
    webp = saved(gradient("RGBA"), "WEBP")
    frame = jpeg.index(b"\xff\xc0") + 5
    tiff = io.BytesIO()
    Image.new("1", (8_000, 8_000)).save(tiff, "TIFF", compression="group4")
    text = zlib.compress(bytes(200_000_000), 9)
    return {
        "png of 4 gigapixels": png(header(65_535, 65_535), SMALL),
        "png of the largest size": png(header(2**31 - 1, 2**31 - 1), SMALL),
        "png of 50.01 megapixels": png(header(7_072, 7_072), pixels(7_072, 7_072)),
        "png of 64 megapixels in bits": png(
            header(8_000, 8_000, depth=1), pixels(1_000, 8_000)
        ),
        "png 100,000 wide": png(header(100_000, 100_000, depth=1), SMALL),
        "png with a text bomb": png(DOT, chunk(b"zTXt", b"a\0\0" + text), SMALL),
        "jpeg of 4 gigapixels": _patched(jpeg, frame, b"\xff\xdc\xff\xdc"),
        "gif of 4 gigapixels": _patched(gif, 6, b"\xff\xff\xff\xff"),
        "bmp of the largest size": _patched(bmp, 18, b"\xff\xff\xff\x7f" * 2),
        "bmp upside down": _patched(bmp, 18, b"\xff\xff\0\0\0\0\0\x80"),
        "webp of 268 megapixels": _patched(webp, 24, b"\xff\x3f\0\xff\x3f\0"),
        "tiff of 64 megapixels": tiff.getvalue(),
    }
