"""Cases of pictures, and of texts and pictures that are kept."""

import io
import re
from typing import Any

from PIL import Image

from storage.job_assets import decode_data_uri
from tests.nodes.harness import Case, Where, reference

RED, BLUE, CLEAR = (255, 0, 0), (0, 0, 255), (0, 0, 0, 0)
NO_IMAGE = {"type": "image", "uri": "", "asset_id": None, "data": None}
PICTURES = {"type": "folder", "uri": "", "asset_id": "pictures"}


def file_of(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def plain(colour: Any = RED, size: tuple[int, int] = (8, 4)) -> Image.Image:
    return Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour)


def halves() -> Image.Image:
    """Return a picture of 8 x 4, red on the left and blue on the right."""
    image = plain(RED)
    image.paste(BLUE, (4, 0, 8, 4))
    return image


def ref(image: Image.Image, kind: str = "PNG") -> dict[str, Any]:
    return reference(file_of(image, kind), f"image/{kind.lower()}")


def shows(size: tuple[int, int], kind: str = "PNG", **colours: tuple) -> Where:
    """Equal a reference to a picture with these colours, as ``at_0_3=RED``."""

    def test(value: Any) -> bool:
        image = Image.open(io.BytesIO(decode_data_uri(value["uri"])))
        found = {
            place: image.convert("RGBA").getpixel(tuple(map(int, place.split("_")[1:])))
            for place in colours
        }
        wanted = {place: (*each, 255)[:4] for place, each in colours.items()}
        kinds = value["type"] == "image" and image.format == kind
        return kinds and image.size == size and found == wanted

    return Where(test)


def is_file(kind: str, size: tuple[int, int]) -> Where:
    """Equal the bytes of a picture."""

    def test(data: bytes) -> bool:
        image = Image.open(io.BytesIO(data))
        return (image.format, image.size) == (kind, size)

    return Where(test)


def like(pattern: str) -> Where:
    return Where(lambda text: re.fullmatch(pattern, text) is not None)


TWO = ref(halves())
A_TEXT = {**reference(b"one", "text/plain"), "type": "text"}
DAMAGED = reference(file_of(halves())[:-40])
FOLDER = {
    "pictures": {"a.png": TWO, "b.txt": A_TEXT, "c.jpg": ref(plain(), "JPEG")},
}

CASES = [
    Case(
        node_type="nodetool.image.Resize",
        constants={"image": TWO},
        data={"width": 16, "height": 2},
        expect={"output": [shows((16, 2), at_0_0=RED, at_15_1=BLUE)]},
    ),
    Case(
        node_type="nodetool.image.Resize",
        constants={"image": TWO},
        data={"width": 0, "height": 8},
        expect={"output": [shows((16, 8))]},
    ),
    Case(
        node_type="nodetool.image.Resize",
        constants={"image": ref(plain(CLEAR))},
        data={"width": 2, "height": 0},
        expect={"output": [shows((2, 1), at_0_0=CLEAR)]},
    ),
    Case(
        node_type="nodetool.image.Resize",
        constants={"image": TWO},
        data={"width": 0, "height": 0},
        error="width and height are 0: set one of them",
    ),
    Case(
        node_type="nodetool.image.Resize",
        error="image is empty: connect or choose an image",
    ),
    Case(
        node_type="nodetool.image.Resize",
        constants={"image": reference(b"<svg/>", "image/svg+xml")},
        error="SVG images are not turned into pixels here",
    ),
    Case(
        node_type="nodetool.image.Resize",
        streams={"image": [TWO, ref(plain(BLUE))]},
        data={"width": 1, "height": 1},
        expect={"output": [shows((1, 1)), shows((1, 1), at_0_0=BLUE)]},
    ),
    Case(
        node_type="nodetool.image.Scale",
        constants={"image": TWO},
        data={"scale": 2.5},
        expect={"output": [shows((20, 10), at_0_0=RED, at_19_9=BLUE)]},
    ),
    Case(
        node_type="nodetool.image.Scale",
        constants={"image": TWO},
        data={"scale": 0.1},
        error="scale 0.1 leaves nothing of the image: make it larger",
    ),
    Case(
        node_type="nodetool.image.Scale",
        constants={"image": ref(plain(size=(2_000, 2_000)))},
        data={"scale": 10},
        error="the image would have 20000 x 20000 pixels: at most 50 megapixels are "
        "allowed",
    ),
    Case(
        node_type="nodetool.image.Crop",
        constants={"image": TWO},
        data={"left": 3, "top": 1, "right": 6, "bottom": 3},
        expect={"output": [shows((3, 2), at_0_0=RED, at_1_0=BLUE)]},
    ),
    Case(
        node_type="nodetool.image.Crop",
        constants={"image": TWO},
        data={"left": 6, "right": 6},
        error="right must be more than left, and bottom more than top",
    ),
    Case(
        node_type="nodetool.image.Fit",
        constants={"image": TWO},
        data={"width": 4, "height": 4},
        expect={"output": [shows((4, 4), at_0_0=RED, at_3_3=BLUE)]},
    ),
    Case(
        node_type="nodetool.image.Paste",
        constants={"image": TWO, "paste": ref(plain(BLUE, (1, 1)))},
        data={"left": 2, "top": 3},
        expect={"output": [shows((8, 4), at_2_3=BLUE, at_1_3=RED, at_2_2=RED)]},
    ),
    Case(
        node_type="nodetool.image.Paste",
        constants={"image": TWO, "paste": ref(plain(CLEAR, (8, 4)))},
        expect={"output": [shows((8, 4), at_0_0=RED)]},
    ),
    Case(
        node_type="nodetool.image.GetMetadata",
        constants={"image": ref(plain(CLEAR, (3, 2)), "WEBP")},
        expect={
            "format": ["WEBP"],
            "mode": ["RGBA"],
            "width": [3],
            "height": [2],
            "channels": [4],
        },
    ),
    Case(
        node_type="nodetool.image.GetMetadata",
        constants={"image": reference(b"no picture")},
        error="This is no PNG, JPEG, WebP, GIF, BMP or TIFF image",
    ),
    Case(
        node_type="nodetool.image.BatchToList",
        data={"batch": {**NO_IMAGE, "data": [TWO["uri"], ref(plain(BLUE))]}},
        expect={"output": [[shows((8, 4), at_0_0=RED), shows((8, 4), at_0_0=BLUE)]]},
    ),
    Case(
        node_type="nodetool.image.BatchToList",
        data={"batch": TWO},
        error="batch holds no list of images: connect a batch",
    ),
    Case(
        node_type="nodetool.image.ImagesToList",
        dynamic={"first": TWO, "none": NO_IMAGE, "second": DAMAGED},
        expect={"output": [[TWO, DAMAGED]]},
    ),
    Case(
        node_type="nodetool.image.ImagesToList",
        dynamic={"first": "text"},
        error="first is no image",
    ),
    Case(
        node_type="nodetool.image.LoadImageAssets",
        data={"folder": PICTURES},
        folders=FOLDER,
        expect={
            "image": [TWO, FOLDER["pictures"]["c.jpg"]],
            "name": ["a.png", "c.jpg"],
        },
    ),
    Case(
        node_type="nodetool.image.LoadImageAssets",
        error="folder is empty: choose an asset folder",
    ),
    Case(
        node_type="nodetool.image.LoadImageFile",
        data={"path": "in/a.webp"},
        files={"in/a.webp": file_of(plain(), "WEBP")},
        expect={"output": [shows((8, 4), "WEBP")]},
    ),
    Case(
        node_type="nodetool.image.LoadImageFile",
        data={"path": "/etc/passwd"},
        error="'/etc/passwd' is absolute: paths begin in the workspace",
    ),
    Case(
        node_type="nodetool.image.LoadImageFolder",
        data={"folder": "in", "include_subdirectories": True, "pattern": "*a.*"},
        files={
            "in/a.png": file_of(halves()),
            "in/b/a.JPG": file_of(plain(), "JPEG"),
            "in/b.png": b"other name",
            "in/a.txt": b"other ending",
            "a.png": b"other folder",
        },
        expect={
            "image": [shows((8, 4)), shows((8, 4), "JPEG")],
            "path": ["in/a.png", "in/b/a.JPG"],
        },
    ),
    Case(
        node_type="nodetool.image.LoadImageFolder",
        data={"folder": "in"},
        files={"in/a.png": b"no picture"},
        error="in/a.png: This is no PNG, JPEG, WebP, GIF, BMP or TIFF image",
    ),
    Case(
        node_type="nodetool.image.SaveImage",
        constants={"image": ref(plain(), "JPEG")},
        data={"folder": PICTURES, "name": "red %Y.png"},
        expect={"output": [shows((8, 4))]},
        saves=[(like(r"red 20\d\d\.png"), "image/png", "pictures")],
    ),
    Case(
        node_type="nodetool.image.SaveImage",
        constants={"image": TWO},
        data={"name": " "},
        error="name is empty: name the file",
    ),
    Case(
        node_type="nodetool.image.SaveImageFile",
        constants={"image": TWO},
        data={"folder": "out", "filename": "a.jpg"},
        files={"out/a.jpg": b"there"},
        expect={"output": [TWO]},
        leaves={"out/a.jpg": b"there", "out/a_1.jpg": is_file("JPEG", (8, 4))},
    ),
    Case(
        node_type="nodetool.image.SaveImageFile",
        constants={"image": TWO},
        data={"folder": "out", "filename": "a.webp", "overwrite": True},
        files={"out/a.webp": b"there"},
        expect={"output": [TWO]},
        leaves={"out/a.webp": is_file("WEBP", (8, 4))},
    ),
    Case(
        node_type="nodetool.image.SaveImageFile",
        constants={"image": TWO},
        data={"folder": "out", "filename": "a.svg"},
        error="filename must end in one of bmp, gif, jpeg, jpg, png, tif, tiff, webp",
        leaves={},
    ),
    Case(
        node_type="nodetool.image.SaveImageFile",
        constants={"image": TWO},
        data={"folder": "..", "filename": "a.png"},
        error="'..' is not allowed: paths stay in the workspace",
    ),
    Case(
        node_type="nodetool.text.SaveText",
        constants={"text": "hällo"},
        data={"folder": PICTURES, "name": "notes-%Y.txt"},
        expect={"output": [reference("hällo".encode(), "text/plain")]},
        saves=[(like(r"notes-20\d\d\.txt"), "text/plain", "pictures")],
    ),
    Case(
        node_type="nodetool.text.SaveText",
        data={"text": "x", "name": ""},
        error="name is empty: name the file",
    ),
    Case(
        node_type="nodetool.text.SaveTextFile",
        constants={"text": "hällo"},
        data={"folder": "notes", "name": "a.md"},
        files={"notes/a.md": b"older"},
        expect={"output": [reference("hällo".encode(), "text/plain")]},
        leaves={"notes/a.md": "hällo".encode()},
    ),
    Case(
        node_type="nodetool.text.SaveTextFile",
        data={"text": "x", "name": "../../a.txt"},
        error="'..' is not allowed: paths stay in the workspace",
    ),
    Case(
        node_type="nodetool.text.LoadTextAssets",
        data={"folder": PICTURES},
        folders=FOLDER,
        expect={"text": [A_TEXT], "name": ["b.txt"]},
    ),
    Case(
        node_type="nodetool.text.LoadTextFolder",
        data={"folder": "in", "extensions": [".log"]},
        files={"in/a.log": b"one\xff", "in/b.txt": b"", "in/c/d.log": b""},
        expect={"text": ["one\ufffd"], "path": ["in/a.log"]},
    ),
]
