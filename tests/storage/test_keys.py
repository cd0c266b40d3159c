"""Keys, ranges and types: what needs no file."""

import pytest

from storage.api.ranges import parse_range
from storage.keys import key_of_uri
from storage.media_types import content_type_of, extension_for, is_active, value_type_of

KEY = "0" * 32 + ".png"


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        (f"asset://{KEY}", KEY),
        (f"/storage/assets/{KEY}", KEY),
        (f"http://host:7777/storage/assets/{KEY}?sig=x&exp=1", KEY),
        ("asset://", None),
        ("/storage/assets/../x.png", None),
        (f"/other/{KEY}", None),
        (f"file:///storage/assets/{KEY}", None),
        ("http://[", None),
        ("memory://x", None),
    ],
)
def test_a_uri_names_a_key(uri, key):
    assert key_of_uri(uri) == key


def test_a_range_has_ascii_digits():
    assert parse_range("bytes=\u0663-\u0665", 100) is None


@pytest.mark.parametrize(
    ("content_type", "name", "extension"),
    [
        ("image/jpeg", "photo", "jpg"),
        ("image/jpeg", "photo.JPEG", "jpeg"),
        ("image/png", "evil.html", "png"),
        ("text/plain; charset=utf-8", "a.md", "txt"),
        ("application/json", "", "json"),
        ("x/unknown", "a.abc", "abc"),
        ("x/unknown", "a.a-b", "bin"),
        ("x/unknown", "a.", "bin"),
        ("", "", "bin"),
    ],
)
def test_the_extension_follows_the_content_type(content_type, name, extension):
    assert extension_for(content_type, name) == extension


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.PNG", "image/png"),
        ("a.webp", "image/webp"),
        ("a.js", "text/javascript"),
        ("a", "application/octet-stream"),
        ("html", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
    ],
)
def test_the_content_type_follows_the_extension(name, content_type):
    assert content_type_of(name) == content_type


@pytest.mark.parametrize(
    "suffix", ["html", "htm", "svg", "xml", "js", "mjs", "xhtml", "xsl", "rdf"]
)
def test_what_a_browser_might_run_is_active(suffix):
    content_type = content_type_of(f"a.{suffix}")

    assert is_active(content_type) or content_type == "application/octet-stream"


@pytest.mark.parametrize("suffix", ["png", "txt", "json", "mp4", "pdf", "csv"])
def test_the_rest_is_not(suffix):
    assert not is_active(content_type_of(f"a.{suffix}"))


@pytest.mark.parametrize(
    ("content_type", "value_type"),
    [
        ("image/png", "image"),
        ("audio/wav", "audio"),
        ("video/mp4", "video"),
        ("text/plain", "text"),
        ("text/csv", "dataframe"),
        ("model/gltf-binary", "model_3d"),
        ("application/json", "json"),
        ("application/pdf", "document"),
    ],
)
def test_a_value_type_follows_the_content_type(content_type, value_type):
    assert value_type_of(content_type) == value_type
