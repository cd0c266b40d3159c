"""What a message may refer to, and whose it may be."""

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from chat import attachments
from chat.attachments import (
    Attachments,
    FileReference,
    ImageReference,
    UnusableAttachment,
    load_image,
)
from chat.openai_api.errors import InvalidField
from chat.openai_api.messages import load_messages
from chat.openai_api.requests import read_completion
from nodetool_site.lib import egress
from nodetool_site.lib.db import db
from nodetool_site.lib.egress import Fetched, FetchFailed
from storage.links import public_url
from storage.models import User
from storage.services import create_folder, store_asset
from workflows.providers.messages import FilePart, ImagePart

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 50
JPEG, GIF, WEBP = b"\xff\xd8\xff\xe0", b"GIF89a..", b"RIFF\x01\0\n\0WEBPVP8 "
HOST = "files.example:7777"


@pytest.fixture
def people(settings, tmp_path, transactional_db):
    settings.ASSET_FOLDER = tmp_path / "assets"
    for name in ("alice", "bob"):
        User.objects.create(id=name, username=name)


@pytest.fixture
async def hers(people):
    """A picture of alice's."""
    return await stored(PNG)


async def stored(content, *, name="a.png", content_type="image/png", **more):
    return await db(
        store_asset, "alice", content, name=name, content_type=content_type, **more
    )


class Web:
    """Answers in the place of the network."""

    def __init__(self, pages):
        self.pages = pages
        self.asked = []
        self.at_once = self.most_at_once = 0

    async def fetch(self, url, *, max_bytes, headers):
        self.asked.append((url, max_bytes))
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if url not in self.pages:
            raise FetchFailed(f"'{url}' answered 404.")
        return Fetched(url, "image/png", self.pages[url])


@pytest.fixture
def web(monkeypatch):
    def use(**pages):
        found = Web({f"http://web.test/{name}": page for name, page in pages.items()})
        monkeypatch.setattr(egress, "client", found)
        return found

    return use


# --- Files of one's own


@pytest.mark.parametrize(
    "form",
    [
        "/storage/assets/{key}",
        "/storage/{key}",
        "/storage/assets/{key}?sig=x&exp=1",
        "http://files.example:7777/storage/assets/{key}",
        "https://FILES.example:7777/storage/assets/{key}#x",
        "http://localhost:7777/storage/assets/{key}",
        "http://127.0.0.1:7777/storage/{key}",
        "https://cdn.example/storage/assets/{key}",
        "asset://{key}",
        "asset://{id}",
    ],
)
async def test_own_pictures_are_read_whatever_the_address(hers, web, settings, form):
    settings.ASSET_DOMAIN = "cdn.example"
    asked = web().asked
    url = form.format(key=hers.key, id=hers.pk)

    part = await load_image("alice", url, detail="low", host=HOST)

    assert part == ImagePart(PNG, "image/png", "low")
    assert asked == []


async def test_links_that_this_server_gives_out_are_its_own(hers):
    for base in ("http://files.example:7777", ""):
        url = public_url(hers.key, "alice", base)

        assert (await load_image("alice", url, host=HOST)).data == PNG


async def test_temporary_pictures_are_read_while_they_last(people):
    later, before = (timezone.now() + timedelta(seconds=s) for s in (60, -60))
    lent = await stored(JPEG, expires_at=later)
    gone = await stored(PNG, expires_at=before)

    part = await load_image("alice", f"/storage/temp/{lent.key}")

    assert part == ImagePart(JPEG, "image/jpeg")
    with pytest.raises(UnusableAttachment, match="You have no such file"):
        await load_image("alice", f"/storage/temp/{gone.key}")


async def test_z04_foreign_files_are_as_unknown_ones(hers, web):
    asked = web().asked
    folder = await db(create_folder, "alice", "f")
    forms = (
        "/storage/assets/{}",
        f"http://{HOST}/storage/{{}}",
        f"{public_url(hers.key, 'alice')}#{{}}",
        "asset://{}",
    )
    urls = [form.format(hers.key) for form in forms]
    urls += [
        "asset://" + hers.pk,
        "asset://../x",
        "asset://",
        "/storage/",
        "/storage/x",
    ]
    urls += [
        "/storage/assets/../assets/a.png",
        "/storage/%2e%2e/a.png",
        "/storage/a\0.png",
    ]
    texts = set()
    for url in urls:
        with pytest.raises(UnusableAttachment) as raised:
            await load_image("bob", url, host=HOST)
        texts.add(str(raised.value))
    for owner, asset_id in (
        ("bob", hers.pk),
        ("bob", "x"),
        ("alice", folder.pk),
        ("bob", "\0"),
    ):
        with pytest.raises(UnusableAttachment) as raised:
            await Attachments(owner).load(FileReference(asset_id))
        texts.add(str(raised.value))

    assert texts == {"You have no such file."}
    assert asked == []


async def test_a_file_comes_with_its_type_and_name(people):
    pdf = await stored(b"%PDF-1.7", name="a.pdf", content_type="application/pdf")

    plain = await Attachments("alice").load(FileReference(pdf.pk))
    named = await Attachments("alice").load(FileReference(pdf.pk, "b.pdf"))

    assert plain == FilePart(b"%PDF-1.7", "application/pdf", "a.pdf")
    assert named.filename == "b.pdf"


# --- Addresses of others


@pytest.mark.parametrize("content", [PNG, JPEG, GIF, WEBP])
async def test_pictures_of_the_web_are_known_by_their_bytes(people, web, content):
    web(x=content)

    part = await load_image("alice", "http://web.test/x")

    assert part.data == content
    assert part.media_type in ("image/png", "image/jpeg", "image/gif", "image/webp")


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"<svg xmlns='x'/>", b"%PDF-1.7", b"RIFF....WAVE", b"BM"],
)
async def test_what_is_no_picture_is_refused(people, web, content):
    web(x=content)

    with pytest.raises(UnusableAttachment, match="no picture"):
        await load_image("alice", "http://web.test/x")


@pytest.mark.parametrize(
    "url",
    [
        "http://elsewhere.example:7777/storage/assets/{key}",
        "http://files.example:7778/storage/assets/{key}",
        "http://files.example:7777@web.test/storage/assets/{key}",
        "http://files.example:7777/api/assets/{key}",
        "//web.test/storage/assets/{key}",
        "/api/storage/{key}",
        "file:///storage/assets/{key}",
        "http://[/storage/{key}",
        "http://files.example:99999/storage/{key}",
        "http:/storage/{key}",
        "storage/{key}",
    ],
)
async def test_only_this_servers_addresses_lead_to_its_files(hers, web, url):
    asked = web().asked

    with pytest.raises(FetchFailed):
        await load_image("alice", url.format(key=hers.key), host=HOST)

    assert len(asked) == 1


@pytest.mark.parametrize(
    "host", ["", "files.example:99999", "[::::]", "a b", "[::1]:80"]
)
async def test_whatever_a_caller_names_as_the_host_breaks_nothing(hers, host):
    part = await load_image("alice", f"/storage/{hers.key}", host=host)

    assert part.data == PNG


# --- Bounds, and which part is at fault


def request(*urls):
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    hello = {"role": "system", "content": "hi"}
    body = {"messages": [hello, {"role": "user", "content": parts}]}
    return read_completion(body).messages


async def test_all_references_are_read_some_at_once_and_keep_their_places(people, web):
    names = [f"n{number}" for number in range(20)]
    found = web(**{name: PNG + name.encode() for name in names})
    drafts = request(*(f"http://web.test/{name}" for name in names))

    system, user = await load_messages(drafts, "alice", HOST)

    assert system.text == "hi"
    assert [part.data for part in user.content] == [PNG + n.encode() for n in names]
    assert 1 < found.most_at_once <= attachments.AT_ONCE


async def test_a_refusal_names_the_part(people, web):
    web(a=PNG, b=b"text")
    drafts = request("http://web.test/a", "http://web.test/b")

    with pytest.raises(InvalidField, match="no picture that is taken: PNG") as raised:
        await load_messages(drafts, "alice", HOST)

    assert raised.value.param == "messages[1].content[1].image_url.url"
    assert raised.value.status == 400


async def test_large_pictures_are_refused(people, web, monkeypatch):
    monkeypatch.setattr(attachments, "MAX_IMAGE_BYTES", 60)
    asset = await stored(PNG + b"0" * 3)
    asked = web(a=PNG).asked

    await load_image("alice", "http://web.test/a")
    with pytest.raises(UnusableAttachment, match="more than 60 bytes"):
        await load_image("alice", f"asset://{asset.key}")

    assert asked == [("http://web.test/a", 60)]


async def test_all_together_have_a_bound(people, web, monkeypatch):
    monkeypatch.setattr(attachments, "MAX_TOTAL_BYTES", 3 * len(PNG))
    asset = await stored(PNG)
    own = f"asset://{asset.key}"
    web(a=PNG)

    await load_messages(request("http://web.test/a", own, own), "alice", HOST)
    with pytest.raises(InvalidField, match="together"):
        await load_messages(request("http://web.test/a", own, own, own), "alice", HOST)


async def test_all_together_have_a_time(people, web, monkeypatch):
    monkeypatch.setattr(attachments, "TOTAL_S", 0.02)
    web().fetch = lambda *_, **__: asyncio.sleep(60)

    with pytest.raises(InvalidField, match=r"within 0\.02 s"):
        await load_messages(request("http://web.test/a"), "alice", HOST)


async def test_who_leaves_ends_the_reading(people, web):
    started, ended = asyncio.Event(), asyncio.Event()

    async def hang(*_, **__):
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    web().fetch = hang
    task = asyncio.create_task(
        load_messages(request("http://web.test/a"), "alice", HOST)
    )
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ended.is_set()


async def test_data_addresses_need_no_one(people):
    part = await Attachments("alice").load(ImageReference("data:image/png;base64,/9j/"))

    assert part == ImagePart(b"\xff\xd8\xff", "image/jpeg")
