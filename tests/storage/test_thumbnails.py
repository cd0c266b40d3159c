"""Small pictures: whoever may read a file may see one, and junk is told to be junk."""

import io
from urllib.parse import urlsplit

import pytest
from PIL import Image

from tests.storage.conftest import upload
from tests.storage.test_quotas import files_in

pytestmark = pytest.mark.django_db(transaction=True)


def png(width: int = 2000, height: int = 1000) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, "PNG")
    return file.getvalue()


def size_of(answer) -> tuple[int, int]:
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    with Image.open(io.BytesIO(answer.body)) as image:
        assert image.format == "JPEG"
        return image.size


async def put(user, content: bytes, name: str, content_type: str) -> dict:
    answer = await upload(user, content, file_name=name, content_type=content_type)
    return answer.json


@pytest.fixture
async def picture(mine):
    return await put(mine, png(), "a.png", "image/png")


async def test_an_image_has_a_link_to_a_small_one(mine, picture, settings):
    parts = urlsplit(picture["thumb_url"])
    assert parts.path == f"/storage/assets/{picture['id']}_thumb.jpg"
    stranger = type(mine)()

    first, second = [
        await stranger.get(f"{parts.path}?{parts.query}") for _ in range(2)
    ]

    assert size_of(first) == (512, 256)
    assert first.body == second.body
    assert (await stranger.get(parts.path)).status == 401
    assert len(files_in(settings)) == 2
    tag = first.headers["etag"]
    again = await mine.request("GET", parts.path, if_none_match=tag)
    assert again.status == 304
    assert again.headers["etag"] == tag
    assert again.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("", (512, 256)),
        ("?width=100&height=100", (100, 50)),
        ("?width=1&height=1", (64, 32)),
        ("?width=99999&height=99999", (1024, 512)),
        ("?width=-5&height=100", (64, 32)),
    ],
)
async def test_a_thumbnail_fits_into_what_is_asked_within_bounds(
    mine, picture, query, size
):
    for method in ("GET", "POST"):
        path = f"/api/assets/{picture['id']}/thumbnail{query}"
        assert size_of(await mine.request(method, path)) == size


async def test_a_width_that_is_no_number_is_told(mine, picture):
    answer = await mine.get(f"/api/assets/{picture['id']}/thumbnail?width=wide")

    assert (answer.status, answer.json["code"]) == (422, "VALIDATION_ERROR")


async def test_other_content_has_another_thumbnail(mine, picture, settings):
    path = f"/api/assets/{picture['id']}/thumbnail"
    await mine.get(path)

    await mine.request("PUT", f"/api/storage/{picture['id']}.png", png(300, 600))

    assert size_of(await mine.get(path)) == (256, 512)
    assert len(files_in(settings)) == 2
    await mine.request("DELETE", f"/api/assets/{picture['id']}")
    assert files_in(settings) == []


async def test_what_is_no_picture_has_no_thumbnail(mine):
    text = await put(mine, b"x", "a.txt", "text/plain")
    drawing = await put(mine, b"<svg/>", "a.svg", "image/svg+xml")
    junk = await put(mine, b"\x89PNG\r\n\x1a\n junk", "b.png", "image/png")

    for asset in (text, drawing):
        assert asset["thumb_url"] is None
        path = f"/storage/{asset['id']}_thumb.jpg"
        assert (await mine.get(path)).status == 404
    for asset in (text, drawing, junk):
        answer = await mine.get(f"/api/assets/{asset['id']}/thumbnail")
        assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")


async def test_a_video_has_a_sign(mine):
    video = await put(mine, b"\0\0\0\x18ftyp", "a.mp4", "video/mp4")
    parts = urlsplit(video["thumb_url"])

    assert size_of(await mine.get(f"{parts.path}?{parts.query}")) == (512, 288)
    answer = await mine.get(f"/api/assets/{video['id']}/thumbnail?width=64")
    assert size_of(answer) == (512, 288)
