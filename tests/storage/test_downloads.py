"""``/storage/...``: headers, conditions, ranges, and what is no key."""

import pytest

from storage.files import PIECE, delete_file
from tests.storage.conftest import body_of

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = b"0123456789" * 10


@pytest.fixture
async def asset(alice, asset_of):
    return await asset_of(alice, CONTENT, name="hundred.txt")


@pytest.mark.parametrize("prefix", ["assets/", ""])
@pytest.mark.parametrize("suffix", ["", "/"])
async def test_a_file_has_two_paths_with_and_without_a_trailing_slash(
    asset, fetch, prefix, suffix
):
    response = await fetch(prefix + asset.key + suffix)

    assert response.status_code == 200
    assert await body_of(response) == CONTENT


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_answer_describes_the_file(asset, fetch, method):
    response = await fetch(asset.key, method)

    assert response.status_code == 200
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Length"] == "100"
    assert response["Accept-Ranges"] == "bytes"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Last-Modified"].endswith(" GMT")
    assert response["ETag"] == f'"{asset.sha256}"'
    assert "Content-Disposition" not in response
    assert await body_of(response) == (CONTENT if method == "GET" else b"")


@pytest.mark.parametrize(
    ("wanted", "status", "content_range", "body"),
    [
        ("bytes=0-99", 206, "bytes 0-99/100", CONTENT),
        ("bytes=0-0", 206, "bytes 0-0/100", b"0"),
        ("bytes=95-", 206, "bytes 95-99/100", b"56789"),
        ("bytes=-5", 206, "bytes 95-99/100", b"56789"),
        ("bytes=-500", 206, "bytes 0-99/100", CONTENT),
        ("bytes=90-1000", 206, "bytes 90-99/100", b"0123456789"),
        ("BYTES=1-2", 206, "bytes 1-2/100", b"12"),
        ("bytes=100-", 416, "bytes */100", None),
        ("bytes=100-200", 416, "bytes */100", None),
        ("bytes=" + "9" * 3000 + "-", 416, "bytes */100", None),
        ("bytes=-0", 416, "bytes */100", None),
        ("bytes=5-2", 200, None, CONTENT),
        ("bytes=-", 200, None, CONTENT),
        ("bytes=a-b", 200, None, CONTENT),
        ("bytes", 200, None, CONTENT),
        ("", 200, None, CONTENT),
        ("items=0-1", 200, None, CONTENT),
        ("bytes=0-1,5-6", 200, None, CONTENT),
        ("bytes=" + "9" * 5000 + "-", 200, None, CONTENT),
    ],
)
async def test_range(asset, fetch, wanted, status, content_range, body):
    response = await fetch(asset.key, Range=wanted)

    assert response.status_code == status
    assert response.get("Content-Range") == content_range
    if body is not None:
        assert await body_of(response) == body
        assert response["Content-Length"] == str(len(body))


async def test_range_does_not_apply_to_head(asset, fetch):
    response = await fetch(asset.key, "HEAD", Range="bytes=0-1")

    assert response.status_code == 200
    assert response["Content-Length"] == "100"


async def test_every_range_of_an_empty_file_is_unsatisfiable(alice, asset_of, fetch):
    key = (await asset_of(alice, b"")).key

    whole = await fetch(key)
    part = await fetch(key, Range="bytes=0-")

    assert (whole.status_code, whole["Content-Length"]) == (200, "0")
    assert (part.status_code, part["Content-Range"]) == (416, "bytes */0")


async def test_an_equal_etag_means_not_modified(asset, fetch):
    for tag in (
        f'"{asset.sha256}"',
        f'W/"{asset.sha256}"',
        f'"x", "{asset.sha256}"',
        "*",
    ):
        response = await fetch(asset.key, If_None_Match=tag)
        assert (response.status_code, response.content) == (304, b"")
    assert (await fetch(asset.key, If_None_Match='"x"')).status_code == 200


async def test_a_date_not_older_means_not_modified(asset, fetch):
    modified_at = (await fetch(asset.key))["Last-Modified"]

    same = await fetch(asset.key, If_Modified_Since=modified_at)
    older = await fetch(asset.key, If_Modified_Since="Mon, 01 Jan 2001 00:00:00 GMT")
    tag_wins = await fetch(
        asset.key, If_Modified_Since=modified_at, If_None_Match='"x"'
    )
    nonsense = await fetch(asset.key, If_Modified_Since="yesterday")

    assert same.status_code == 304
    assert [r.status_code for r in (older, tag_wins, nonsense)] == [200, 200, 200]


async def test_if_range_with_another_tag_sends_the_whole(asset, fetch):
    other = await fetch(asset.key, Range="bytes=0-1", If_Range='"x"')
    same = await fetch(asset.key, Range="bytes=0-1", If_Range=f'"{asset.sha256}"')

    assert (other.status_code, same.status_code) == (200, 206)


async def test_a_long_file_is_sent_in_bounded_pieces(alice, asset_of, fetch):
    content = bytes(range(256)) * (PIECE // 256 * 5 // 2)
    key = (await asset_of(alice, content, name="a.bin", content_type="x/y")).key

    response = await fetch(key, Range=f"bytes=1000-{len(content)}")
    pieces = [piece async for piece in response]

    assert b"".join(pieces) == content[1000:]
    assert max(map(len, pieces)) <= PIECE
    assert len(pieces) == 3


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.html", "text/html"),
        ("a.svg", "image/svg+xml"),
        ("a.xml", "application/xml"),
        ("a.js", "text/javascript"),
        ("a.xhtml", "application/xhtml+xml"),
    ],
)
async def test_h_11_active_files_are_downloaded_and_sandboxed(
    alice, asset_of, fetch, name, content_type
):
    key = (await asset_of(alice, b"<script>", name=name, content_type=content_type)).key

    response = await fetch(key)

    assert key.endswith(name[1:])
    assert response["Content-Type"].startswith(content_type)
    assert response["Content-Disposition"] == "attachment"
    assert response["Content-Security-Policy"].startswith("sandbox")
    assert response["X-Content-Type-Options"] == "nosniff"


async def test_h_11_a_line_break_in_a_name_gives_no_header(alice, asset_of, fetch):
    evil = "a\r\nSet-Cookie: x=1\r\n.html"
    asset = await asset_of(alice, name=evil, content_type="text/html")

    response = await fetch(asset.key)

    assert "\n" not in asset.name
    assert "Set-Cookie" not in response


async def test_an_unknown_extension_is_a_stream_of_bytes(alice, asset_of, fetch):
    key = (await asset_of(alice, name="a.qqq", content_type="")).key

    assert (await fetch(key))["Content-Type"] == "application/octet-stream"


async def test_a_file_that_somebody_removed_is_not_found(asset, fetch):
    delete_file(asset.key)

    assert (await fetch(asset.key)).status_code == 404
    assert (await fetch(asset.key, "HEAD")).status_code == 404


async def test_other_methods_are_refused(asset, fetch):
    response = await fetch(asset.key, "POST")

    assert response.status_code == 405
    assert "GET" in response["Allow"]


CLIMBS = ("..", "%2e%2e", "%2E%2e", ".%2e", "%252e%252e", "..%5c..", "%5c..%5c")
TARGETS = ("etc/passwd", "nodetool.sqlite3", "server_auth_token", ".drafts/x")
TRAVERSAL = [
    *(f"{up}/{t}" for up in CLIMBS for t in TARGETS),
    *(f"{up}/{up}/{up}/{t}" for up in CLIMBS for t in TARGETS),
    *(f"assets/{up}/{t}" for up in CLIMBS for t in TARGETS),
    *(f"temp/{up}/{t}" for up in CLIMBS for t in TARGETS),
    *(f"assets/{up}" for up in CLIMBS),
    *(f"{root}{t}" for root in ("/", "%2f", "C:%5c", "assets\\") for t in TARGETS),
    *(f"{root}/{t}" for root in ("assets/", "temp/", "assets/%2f") for t in TARGETS),
    *("assets/a%00.txt", "a%00", "%00", "%2500", "assets/a.txt%00.png"),
    *("", "assets", "assets/", "temp/", "%2e%2e", "a/../b", "a/..", "a/%2e%2e/b"),
]
CONTROLS = [
    *("...", "a..b.txt", "..a", "a..", ".hidden", "~root", "assets/.../x"),
    *("%20", "a b.txt", "a%2Bb.txt", "caf%C3%A9.png", "%E2%80%AE.txt", "a%0A.txt"),
    *("temp/a.txt", "other/a.txt", "assets/assets/a.txt", "a" * 300 + ".txt"),
]


def test_h_07_the_corpus_is_large_enough():
    assert len(set(TRAVERSAL)) >= 100


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_h_07_paths_that_climb_are_no_keys(fetch, method):
    for path in TRAVERSAL:
        response = await fetch(path, method)
        assert response.status_code == 400, path
        assert b"Invalid key: " in response.content


async def test_h_07_odd_but_harmless_paths_are_unknown(fetch):
    for path in CONTROLS:
        assert (await fetch(path)).status_code == 404, path
