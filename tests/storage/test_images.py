"""Pictures are decoded in a process with limits (H-06)."""

import asyncio
import io
import resource
import subprocess
import sys

import pytest
from PIL import Image

from nodetool_site.lib.process_pool import BlockingPool
from storage import image_work, images
from storage.images import Images, UnreadableImage
from tests.corpora import pictures

CONTROLS = pictures.controls()
HARMLESS = pictures.harmless()
REFUSED = pictures.refused()
MIB = 1024**2


@pytest.fixture(scope="module")
def pool():
    pool = BlockingPool(1)
    yield pool
    pool.close()


@pytest.fixture
def reader(pool) -> Images:
    return Images(pool)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


async def close_to(reader: Images, data: bytes, expected: Image.Image) -> bool:
    """Tell whether the picture's thumbnail shows what it should."""
    small = opened(await reader.thumbnail(data, width=64, height=48))
    pairs = zip(small.tobytes(), expected.convert("RGB").tobytes(), strict=True)
    return sum(abs(one - other) for one, other in pairs) / len(small.tobytes()) < 6


@pytest.mark.parametrize("name", CONTROLS)
async def test_h06_good_pictures_are_decoded(reader, name):
    facts = await reader.identify(CONTROLS[name])
    small = opened(await reader.thumbnail(CONTROLS[name], width=32, height=32))

    assert facts.format == name.partition(" ")[0].upper()
    assert small.format == "JPEG"
    assert max(small.size) == min(32, max(facts.width, facts.height))


@pytest.mark.parametrize("name", HARMLESS)
async def test_h06_what_a_picture_carries_beside_itself_is_left_behind(reader, name):
    small = await reader.thumbnail(HARMLESS[name], width=32, height=32)
    [whole] = await reader.edit(turned, [HARMLESS[name]], 0)

    assert opened(small).format == "JPEG"
    assert opened(whole).format == "PNG"
    for made in (small, whole):
        assert b"script" not in made
        assert b"<?php" not in made
        assert b"PK\x03\x04" not in made


@pytest.mark.parametrize("name", REFUSED)
async def test_h06_hostile_pictures_are_refused(reader, name, capfd):
    with pytest.raises(UnreadableImage, match=r"^(The image|This|SVG)"):
        await reader.thumbnail(REFUSED[name], width=32, height=32)
    with pytest.raises(UnreadableImage):
        await reader.edit(turned, [REFUSED[name]], 90)

    assert capfd.readouterr() == ("", "")


async def test_h06_no_picture_took_more_memory_than_it_may(reader, pool):
    """Runs after those above, in the same process: its peak is theirs."""
    for data in (*CONTROLS.values(), *REFUSED.values()):
        shown = reader.thumbnail(data, width=32, height=32)
        edited = reader.edit(turned, [data], 90)
        await asyncio.gather(shown, edited, return_exceptions=True)

    assert await pool.run(peak_memory) < images.MEMORY_LIMIT_BYTES + 64 * MIB


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def turned(image: Image.Image, degrees: int) -> Image.Image:
    return image.rotate(degrees, expand=True)


async def test_an_edit_that_needs_too_much_memory_is_refused(reader):
    data = CONTROLS["png 49 megapixels rgba"]

    with pytest.raises(UnreadableImage, match="more than 256 MiB of memory"):
        await reader.edit(turned, [data], 45)


async def test_a_picture_that_takes_too_long_is_refused(reader, monkeypatch):
    monkeypatch.setattr(images, "TIME_LIMIT_S", 0.2)

    with pytest.raises(UnreadableImage, match=r"took longer than 0\.2 s"):
        await reader.edit(busy, [CONTROLS["png L"]])
    assert await reader.thumbnail(CONTROLS["png L"], width=8, height=8)


def busy(image: Image.Image) -> Image.Image:
    while True:
        image = image.rotate(1)


async def test_a_picture_that_kills_its_process_is_refused(reader):
    with pytest.raises(UnreadableImage, match="broke the process"):
        await reader.edit(killed, [CONTROLS["png L"]])
    assert await reader.thumbnail(CONTROLS["png L"], width=8, height=8)


def killed(image: Image.Image) -> Image.Image:
    import os

    os.abort()


async def test_a_large_file_is_refused_before_it_is_read(reader, monkeypatch):
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 100)
    file = io.BytesIO(b"x" * 1_000)

    with pytest.raises(UnreadableImage, match="more than 0 MiB"):
        await reader.thumbnail(file, width=8, height=8)
    assert file.tell() == 101
    with pytest.raises(UnreadableImage, match="more than 0 MiB"):
        await reader.edit(turned, [b"x" * 1_000], 90)


async def test_a_source_may_be_bytes_a_path_or_a_file(reader, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(CONTROLS["png RGB"])

    from_path = await reader.thumbnail(path, width=9, height=9)
    with path.open("rb") as file:
        from_file = await reader.thumbnail(file, width=9, height=9)

    assert from_path == from_file
    assert from_file == await images.thumbnail(path.read_bytes(), width=9, height=9)
    with pytest.raises(FileNotFoundError):
        await reader.thumbnail(tmp_path / "no.png", width=9, height=9)
    (tmp_path / "b.svg").write_bytes(REFUSED["svg"])
    with pytest.raises(UnreadableImage, match="SVG"):
        await reader.thumbnail(tmp_path / "b.svg", width=9, height=9)


@pytest.mark.parametrize("kind", ["png RGB", "webp", "tiff lzw", "jpeg"])
async def test_a_thumbnail_shows_the_picture(reader, kind):
    assert await close_to(reader, CONTROLS[kind], pictures.gradient())


async def test_deep_grey_is_not_cut_off(reader):
    assert await close_to(reader, CONTROLS["png 16 bit"], pictures.gradient("L"))


async def test_a_picture_on_its_side_is_stood_upright(reader):
    data = CONTROLS["jpeg on its side"]
    small = opened(await reader.thumbnail(data, width=24, height=32))
    [whole] = await reader.edit(turned, [data], 0)

    assert small.size == (24, 32)
    assert opened(whole).size == (48, 64)


async def test_what_is_transparent_is_white_in_a_thumbnail_and_kept_in_an_edit(reader):
    data = pictures.saved(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG")

    small = opened(await reader.thumbnail(data, width=8, height=8))
    [whole] = await reader.edit(turned, [data], 0)

    assert small.getpixel((4, 4)) == (255, 255, 255)
    assert opened(whole).mode == "RGBA"


async def test_the_colour_profile_stays(reader):
    profile = b"profile " * 100
    data = pictures.saved(pictures.gradient(), "PNG", icc_profile=profile)

    small = opened(await reader.thumbnail(data, width=8, height=8))
    [whole] = await reader.edit(turned, [data], 90)

    assert small.info["icc_profile"] == profile
    assert opened(whole).info["icc_profile"] == profile


async def test_an_edit_may_return_several_pictures_and_raise_its_own_errors(reader):
    data = CONTROLS["png RGB"]

    assert len(await reader.edit(halves, [data])) == 2
    with pytest.raises(LookupError, match="on purpose"):
        await reader.edit(failing, [data])


def halves(image: Image.Image) -> list[Image.Image]:
    return [image.crop((0, 0, 32, 48)), image.crop((32, 0, 64, 48))]


def failing(image: Image.Image) -> Image.Image:
    raise LookupError("on purpose")


async def test_an_edit_makes_no_picture_that_is_too_large(reader):
    with pytest.raises(UnreadableImage, match="more than 50 megapixels"):
        await reader.edit(widened, [CONTROLS["png 1"]])


def widened(image: Image.Image) -> Image.Image:
    return Image.new("L", (50_000_001, 1))


def test_the_header_tells_the_format_and_the_size():
    facts = image_work.identify(CONTROLS["png RGBA"])

    assert facts == ("PNG", "RGBA", 64, 48, 4)


@pytest.mark.parametrize(
    ("module", "kept_out"),
    [("images", ("PIL", "pebble")), ("image_work", ("PIL", "django"))],
)
def test_a_server_imports_no_pillow_and_a_child_no_django(module, kept_out):
    code = (
        f"import sys; import storage.{module}; "
        f"print(*[name for name in sys.modules if name.startswith({kept_out})])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.split() == []
