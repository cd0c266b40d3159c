"""``/api/assets``: every row of the contract, for the owner and for a stranger."""

import base64
import io
import time
import zipfile
from urllib.parse import quote, urlsplit

import pytest

from nodetool_site.lib.db import db
from storage.api import archives
from storage.api.archives import Entry, pack
from storage.models import Asset
from storage.services import delete_asset, store_asset
from tests.storage.conftest import upload
from tests.storage.test_quotas import files_in

pytestmark = pytest.mark.django_db(transaction=True)

ODD_NAMES = [
    "..",
    "...",
    ".hidden",
    "a b.txt",
    "a%2fb.txt",
    "%2e%2e%2f.txt",
    "CON.txt",
    "nul",
    "caf\u00e9 \u65e5\u672c.txt",
    "a'b\"c.txt",
    "a;b=c.txt",
    "-rf",
    "~root",
    "$HOME",
    "a\\b.txt",
    "x" * 255,
    "name.",
    "semi;colon",
    "q?x=1#y.txt",
]


async def folder(user, name="f", parent=None) -> dict:
    body = {"name": name, "content_type": "folder", "parent_id": parent}
    return (await user.post("/api/assets/", body)).json


async def file(user, name="a.txt", parent=None, content=b"x", **fields) -> dict:
    said = {"name": name, "parent_id": parent, **fields}
    answer = await upload(user, content, fields={"json": said})
    assert answer.status == 200, answer.body
    return answer.json


def names(answer) -> list[str]:
    return [asset["name"] for asset in answer.json["assets"]]


async def fetch(user, url: str):
    """Follow a link of ours, without a credential."""
    parts = urlsplit(url)
    return await type(user)().get(f"{parts.path}?{parts.query}")


# --- one asset


async def test_links_of_an_asset_open_it_without_a_credential(mine):
    asset = await file(mine, content=b"hello")

    assert asset["get_url"].startswith("http://")
    assert "/storage/assets/" in asset["get_url"]
    assert "sig=" in asset["get_url"]
    assert (await fetch(mine, asset["get_url"])).body == b"hello"
    bare = asset["get_url"].partition("?")[0]
    assert (await fetch(mine, bare + "?")).status == 401


@pytest.mark.parametrize(
    ("domain", "start"),
    [
        ("https://files.example.org", "https://files.example.org/storage/"),
        ("files.example.org/", "https://files.example.org/storage/"),
    ],
)
async def test_links_begin_with_the_configured_address(mine, settings, domain, start):
    settings.ASSET_DOMAIN = domain

    assert (await file(mine))["get_url"].startswith(start)


async def test_the_root_folder_is_called_home(mine, alice):
    home = (await mine.get("/api/assets/alice")).json

    assert (home["id"], home["name"]) == ("alice", "Home")
    assert (home["content_type"], home["size"]) == ("folder", 0)
    for method in ("PUT", "DELETE"):
        answer = await mine.request(method, "/api/assets/alice", {"name": "x"})
        assert answer.status == 400


@pytest.mark.parametrize("slash", ["", "/"])
async def test_z03_a_foreign_asset_is_an_unknown_one(mine, foreign, slash):
    asset = await file(mine)
    place = await folder(mine)

    for method, path in [
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("GET", "/download"),
        ("GET", "/thumbnail"),
        ("POST", "/thumbnail"),
        ("GET", "/recursive"),
    ]:
        answers = [
            await foreign.request(
                method, f"/api/assets/{pk}{path}{slash}", {"name": "x"}
            )
            for pk in (asset["id"], place["id"], "0" * 32, "alice")
        ]
        assert {answer.status for answer in answers} == {404}, (method, path)
        assert len({answer.body for answer in answers}) == 1
    for body in ({"asset_ids": [asset["id"]]}, {"asset_ids": ["0" * 32]}):
        assert (await foreign.post("/api/assets/download", body)).status == 404
    assert (await foreign.get("/api/assets/by-filename/a.txt")).status == 404
    assert (await mine.get(f"/api/assets/{asset['id']}")).json == asset


async def test_z04_lists_and_searches_hold_nothing_foreign(mine, foreign):
    place = await folder(mine)
    await file(mine, "photo.txt", place["id"], workflow_id="w", job_id="j")

    for query in (
        "",
        "?parent_id=alice",
        f"?parent_id={place['id']}",
        "?workflow_id=w",
        "?job_id=j",
        "?content_type=text",
    ):
        assert names(await foreign.get(f"/api/assets/{query}")) == []
    found = await foreign.get("/api/assets/search?query=photo")
    assert (names(found), found.json["total_count"]) == ([], 0)
    into = {"name": "x", "content_type": "folder", "parent_id": place["id"]}
    assert (await foreign.post("/api/assets/", into)).status == 404


async def test_an_asset_is_renamed_moved_and_described(mine):
    asset, place = await file(mine), await folder(mine)

    changed = await mine.request(
        "PUT",
        f"/api/assets/{asset['id']}/",
        {
            "name": "b.txt",
            "parent_id": place["id"],
            "metadata": {"a": 1},
            "duration": 1.5,
            "size": 99,
        },
    )

    expected = {"name": "b.txt", "parent_id": place["id"], "metadata": {"a": 1}}
    assert {name: changed.json[name] for name in expected} == expected
    assert (changed.json["size"], changed.json["duration"]) == (1, 1.5)
    assert changed.json["etag"] != asset["etag"]
    back = await mine.request(
        "PUT", f"/api/assets/{asset['id']}", {"parent_id": None, "name": None}
    )
    assert (back.json["parent_id"], back.json["name"]) == ("alice", "b.txt")


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ({"data": "new t\u00e9xt"}, "new t\u00e9xt".encode()),
        ({"data": ""}, b""),
        (
            {
                "data": base64.b64encode(b"\0\xff" * 500).decode(),
                "data_encoding": "base64",
            },
            b"\0\xff" * 500,
        ),
    ],
)
async def test_content_is_replaced_under_the_same_key(mine, settings, body, content):
    asset = await file(mine, content=b"old")
    before = await mine.get(f"/api/storage/{asset['id']}.txt")

    changed = await mine.request("PUT", f"/api/assets/{asset['id']}", body)

    assert changed.json["size"] == len(content)
    assert changed.json["uri"] == asset["uri"]
    after = await fetch(mine, asset["get_url"])
    assert after.body == content
    assert after.headers["etag"] != before.headers["etag"]
    assert len(files_in(settings)) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"data": "%%%", "data_encoding": "base64"}, 400),
        ({"data": "x", "data_encoding": "rot13"}, 422),
        ({"data": 1}, 422),
        ({"content_type": "folder"}, 400),
        ({"content_type": "text"}, 422),
        ({"parent_id": "0" * 32}, 404),
        ({"name": 1}, 422),
    ],
)
async def test_a_change_that_cannot_be_changes_nothing(mine, body, status):
    asset = await file(mine)

    answer = await mine.request("PUT", f"/api/assets/{asset['id']}", body)

    assert answer.status == status
    assert (await mine.get(f"/api/assets/{asset['id']}")).json == asset


@pytest.mark.parametrize("quota", [0, 15], ids=["of a folder", "over the quota"])
async def test_a_change_whose_content_is_refused_changes_nothing(mine, settings, quota):
    asset = await (file(mine) if quota else folder(mine))
    settings.STORAGE_QUOTA_BYTES = quota

    answer = await mine.request(
        "PUT", f"/api/assets/{asset['id']}", {"name": "other", "data": "x" * 100}
    )

    assert answer.status == (413 if quota else 400)
    assert (await mine.get(f"/api/assets/{asset['id']}")).json == asset


async def test_a_folder_cannot_be_moved_into_itself(mine):
    outer = await folder(mine)
    inner = await folder(mine, parent=outer["id"])

    for target in (outer, inner):
        answer = await mine.request(
            "PUT", f"/api/assets/{outer['id']}", {"parent_id": target["id"]}
        )
        assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")


async def test_r9_a_deleted_file_is_gone_from_storage(mine, settings):
    asset = (await upload(mine, b"0123456789")).json
    part = await mine.request(
        "GET", f"/api/assets/{asset['id']}/download", range="bytes=2-4"
    )
    assert (part.status, part.body) == (206, b"234")

    deleted = await mine.request("DELETE", f"/api/assets/{asset['id']}")

    assert deleted.json == {"deleted_asset_ids": [asset["id"]]}
    assert (await mine.get(f"/storage/{asset['id']}.txt")).status == 404
    assert (await mine.get(f"/api/assets/{asset['id']}")).status == 404
    assert files_in(settings) == []


async def test_a_deleted_folder_names_all_that_went(mine):
    outer = await folder(mine)
    inner = await folder(mine, parent=outer["id"])
    leaf = await file(mine, parent=inner["id"])

    deleted = await mine.request("DELETE", f"/api/assets/{outer['id']}")

    expected = [leaf["id"], inner["id"], outer["id"]]
    assert deleted.json["deleted_asset_ids"] == expected


# --- lists


async def test_a_list_is_one_folder_the_newest_first(mine):
    place = await folder(mine)
    for number in range(3):
        await file(mine, f"{number}.txt", place["id"])
    await file(mine, "outside.txt")

    inside = await mine.get(f"/api/assets/?parent_id={place['id']}")

    assert names(inside) == ["2.txt", "1.txt", "0.txt"]
    assert inside.json["next"] is None
    for path in ("/api/assets", "/api/assets/", "/api/assets/?parent_id=alice"):
        assert names(await mine.get(path)) == ["outside.txt", "f"]


async def test_a_filter_looks_into_all_folders(mine):
    place = await folder(mine)
    await file(mine, "a.png", place["id"], content_type="image/png", workflow_id="w")
    await file(mine, "b.txt", node_id="n")

    async def found(query: str) -> list[str]:
        return names(await mine.get(f"/api/assets/?{query}"))

    assert await found("content_type=image") == ["a.png"]
    assert await found("content_type=image/png") == ["a.png"]
    assert await found("content_type=mage") == []
    assert await found("workflow_id=w") == ["a.png"]
    assert await found("workflow_id=w&parent_id=alice") == []
    assert await found("node_id=n") == ["b.txt"]
    assert await found("content_type=%25") == []


async def test_a_long_list_is_read_in_pages_without_gap_or_double(mine, alice):
    for number in range(7):
        await file(mine, f"{number}.txt")

    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = await mine.get(f"/api/assets/?page_size=3&cursor={cursor}")
        seen += names(page)
        cursor = page.json["next"]
        pages += 1
        await file(mine, f"late{pages}.txt")

    assert seen == [f"{n}.txt" for n in range(6, -1, -1)]
    assert pages == 3


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("page_size=x", 422),
        ("cursor=%FF", 400),
        ("cursor=abc", 400),
        ("cursor=W10", 400),
        ("parent_id=%00", 400),
        ("content_type=%00", 400),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(mine, query, status):
    assert (await mine.get(f"/api/assets/?{query}")).status == status


async def test_what_a_job_put_aside_and_what_ends_is_not_in_a_folder(mine, alice):
    await db(
        store_asset,
        "alice",
        b"x",
        name="value.txt",
        content_type="text/plain",
        job_id="j",
        is_value=True,
    )
    await mine.request("PUT", "/api/storage/temp/t.txt", b"x")

    assert names(await mine.get("/api/assets/")) == []
    assert names(await mine.get("/api/assets/?job_id=j")) == ["value.txt"]
    assert names(await mine.get("/api/assets/search?query=value")) == []


async def test_a_search_tells_where_what_it_found_lies(mine):
    outer = await folder(mine, "Trips")
    inner = await folder(mine, "2024", outer["id"])
    await file(mine, "My Photo.txt", inner["id"])
    await file(mine, "another photo.txt")
    await file(mine, "50%_photo.txt", content_type="text/csv")

    found = (await mine.get("/api/assets/search?query=%20PHOTO%20")).json

    places = {
        a["name"]: (a["folder_name"], a["folder_path"], a["folder_id"])
        for a in found["assets"]
    }
    assert places["My Photo.txt"] == ("2024", "Home / Trips / 2024", inner["id"])
    assert places["another photo.txt"] == ("Home", "Home", "alice")
    assert (found["total_count"], found["is_global_search"]) == (3, True)
    assert found["next_cursor"] is None
    narrowed = await mine.get("/api/assets/search?query=photo&content_type=text/csv")
    assert names(narrowed) == ["50%_photo.txt"]
    assert names(await mine.get("/api/assets/search?query=%25_")) == ["50%_photo.txt"]
    assert names(await mine.get("/api/assets/search?query=__")) == []


async def test_a_search_is_read_in_pages_by_name(mine):
    for name in ("cc", "aa", "bb", "aa"):
        await file(mine, f"{name}.txt")

    first = await mine.get("/api/assets/search?query=.txt&page_size=3")
    cursor = first.json["next_cursor"]
    second = await mine.get(
        f"/api/assets/search?query=.txt&page_size=3&cursor={cursor}"
    )

    assert names(first) + names(second) == ["aa.txt", "aa.txt", "bb.txt", "cc.txt"]
    assert first.json["total_count"] == second.json["total_count"] == 4
    assert second.json["next_cursor"] is None


async def test_a_search_is_blind_to_the_case_of_every_alphabet(mine):
    for name in ("Äpfel.txt", "ÄRGER (a+).txt", "apfel.txt", "ΩMEGA.txt"):
        await file(mine, name)

    for text, found in (
        ("äP", ["Äpfel.txt"]),
        ("ärger (A+)", ["ÄRGER (a+).txt"]),
        ("ωmega", ["ΩMEGA.txt"]),
        (".*", []),
    ):
        answer = await mine.get(f"/api/assets/search?query={quote(text)}")
        assert names(answer) == found


async def test_a_search_goes_on_after_the_longest_name(mine):
    rune = "\N{DESERET SMALL LETTER LONG I}" * 254
    for last in "ab":
        await file(mine, rune + last)

    search = f"/api/assets/search?query={quote(rune)}&page_size=1"
    first = await mine.get(search)
    second = await mine.get(f"{search}&cursor={first.json['next_cursor']}")

    assert [names(page)[0][-1] for page in (first, second)] == ["a", "b"]


@pytest.mark.parametrize(
    "query", ["", "query=", "query=a", "query=%20a%20", "query=%00a"]
)
async def test_a_search_needs_two_characters(mine, query):
    assert (await mine.get(f"/api/assets/search?{query}")).status == 400


async def test_a_tree_holds_all_below_a_folder(mine):
    outer = await folder(mine)
    inner = await folder(mine, "g", outer["id"])
    await file(mine, "deep.txt", inner["id"])

    tree = (await mine.get(f"/api/assets/{outer['id']}/recursive")).json["assets"][0]

    assert tree["id"] == outer["id"]
    assert tree["children"][0]["id"] == inner["id"]
    assert tree["children"][0]["children"][0]["name"] == "deep.txt"
    home = (await mine.get("/api/assets/alice/recursive")).json["assets"][0]
    assert [child["name"] for child in home["children"]] == ["f"]
    assert home["children"][0]["children"][0]["children"]


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_h07_an_odd_name_is_a_name(mine, name):
    """The control of the corpus of paths: a name is free, and never a path."""
    asset = await file(mine, name, content=b"odd")

    assert asset["name"] == name
    found = await mine.get(f"/api/assets/by-filename/{quote(name, safe='')}")
    assert found.json["id"] == asset["id"]
    download = await mine.get(f"/api/assets/{asset['id']}/download")
    assert download.body == b"odd"
    header = download.headers["content-disposition"]
    assert quote(name, safe="!#$&+-.^_`|~") in header
    assert header.isascii()
    archive = await mine.post("/api/assets/download", {"asset_ids": [asset["id"]]})
    inside = zipfile.ZipFile(io.BytesIO(archive.body)).namelist()
    assert len(inside) == 1
    assert inside[0] not in (".", "..")
    assert not set(inside[0]) & set('\\/:*?"<>|')
    assert not inside[0].upper().startswith(("CON.", "NUL"))


# --- downloads


async def test_h11_a_download_is_saved_and_never_shown(mine):
    page = await file(
        mine, "a.html", content=b"<script>1</script>", content_type="text/html"
    )

    answer = await mine.get(f"/api/assets/{page['id']}/download")

    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_a_download_has_an_extension(mine):
    asset = await file(mine, "photo", content_type="image/png")

    answer = await mine.request("HEAD", f"/api/assets/{asset['id']}/download")

    assert 'filename="photo.png"' in answer.headers["content-disposition"]
    assert (answer.status, answer.headers["content-length"]) == (200, "1")


async def test_a_folder_is_downloaded_as_an_archive_alone(mine):
    place = await folder(mine)

    answer = await mine.get(f"/api/assets/{place['id']}/download")

    assert answer.status == 400
    assert "/api/assets/download" in answer.json["detail"]


async def test_an_archive_holds_files_and_folders_under_names_of_their_own(mine):
    place = await folder(mine, "Trip")
    empty = await folder(mine, "empty", place["id"])
    await file(mine, "a.txt", place["id"], b"one")
    await file(mine, "A.TXT", place["id"], b"two")
    single = await file(mine, "a.txt", content=b"three" * 100_000)

    ids = [place["id"], single["id"], single["id"], empty["id"]]
    answer = await mine.post("/api/assets/download/", {"asset_ids": ids})

    assert answer.headers["content-type"] == "application/zip"
    assert "attachment" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert contents.pop("a.txt") == b"three" * 100_000
    assert contents.pop("Trip/") == contents.pop("Trip/empty/") == b""
    assert sorted(name.lower() for name in contents) == [
        "trip/a (2).txt",
        "trip/a.txt",
    ]
    assert set(contents.values()) == {b"one", b"two"}


async def test_the_root_folder_can_be_an_archive(mine):
    await file(mine, "a.txt")

    answer = await mine.post("/api/assets/download", {"asset_ids": ["alice"]})

    assert zipfile.ZipFile(io.BytesIO(answer.body)).namelist() == ["a.txt"]


@pytest.mark.parametrize("ids", [None, [], "x", [1], ["x"] * 1001])
async def test_an_archive_of_nothing_is_refused(mine, ids):
    answer = await mine.post("/api/assets/download", {"asset_ids": ids})

    assert answer.status == 422


def test_an_archive_without_what_was_deleted_meanwhile_is_whole(alice):
    gone, there = (
        store_asset(alice.pk, b"x", name="a", content_type="text/plain")
        for _ in range(2)
    )
    delete_asset(gone)

    made = b"".join(pack([Entry("gone.txt", gone), Entry("there.txt", there)]))

    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.namelist() == ["there.txt"]


def test_many_files_of_one_name_are_numbered_in_little_time():
    assets = [
        Asset(id=f"{n:032x}", key=f"{n:032x}.txt", name="a.txt") for n in range(9_000)
    ]
    started = time.process_time()

    paths = [entry.path for entry in archives._named({a.pk: a for a in assets})]

    # Ten and more, when each of them counts from the start.
    assert time.process_time() - started < 4
    assert paths[:2] == ["a.txt", "a (2).txt"]
    assert paths[-1] == "a (9000).txt"


def test_an_archive_is_made_in_small_pieces(alice):
    asset = store_asset(alice.pk, b"\0" * 3_000_000, name="a", content_type="image/png")

    pieces = list(pack([Entry("a.png", asset)]))

    assert max(map(len, pieces)) < 300_000
    assert sum(map(len, pieces)) > 3_000_000


async def test_other_methods_are_refused_with_those_that_are_not(mine):
    for path, allowed in (
        ("/api/assets/", "GET"),
        ("/api/assets/x", "PUT"),
        ("/api/assets/search", "GET"),
    ):
        answer = await mine.request("PATCH", path, {})
        assert answer.status == 405
        assert allowed in answer.headers["allow"]
