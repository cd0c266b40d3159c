"""H-07: no path leads out of the store, whatever it is made of."""

import pytest

from storage import files, stores
from storage.models import Asset
from storage.services import store_asset
from tests.storage.hostile_paths import HOSTILE, as_target
from tests.storage.test_quotas import files_in

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = {400, 404, 405}
SURFACES = [
    ("GET", "/storage/{}"),
    ("HEAD", "/storage/assets/{}"),
    ("GET", "/storage/temp/{}"),
    ("GET", "/api/storage/{}"),
    ("HEAD", "/api/storage/{}"),
    ("PUT", "/api/storage/{}"),
    ("PUT", "/api/storage/temp/{}"),
    ("DELETE", "/api/storage/{}"),
    ("GET", "/api/assets/{}"),
    ("GET", "/api/assets/{}/download"),
    ("GET", "/api/assets/{}/thumbnail"),
    ("GET", "/api/assets/{}/recursive"),
    ("DELETE", "/api/assets/{}"),
    ("GET", "/api/assets/by-filename/{}"),
]


@pytest.fixture
def canary(settings, tmp_path):
    """A file outside the store, and a file of the store that is no asset's."""
    outside = tmp_path / "x.txt"
    outside.write_bytes(b"CANARY")
    inside = settings.ASSET_FOLDER / "x.txt"
    inside.parent.mkdir(parents=True, exist_ok=True)
    inside.write_bytes(b"CANARY")
    return outside, inside


@pytest.fixture
def opened(monkeypatch):
    """The names that the store is asked for."""
    asked = []
    for name in ("open", "keep", "delete"):
        real = getattr(stores.FolderStore, name)

        def spy(self, *args, real=real):
            asked.append(args)
            return real(self, *args)

        monkeypatch.setattr(stores.FolderStore, name, spy)
    return asked


@pytest.mark.parametrize(("method", "surface"), SURFACES)
async def test_h07_no_path_leads_out_of_the_store(
    mine, canary, opened, settings, method, surface
):
    before = sorted(files_in(settings))
    wrong = []

    for path in HOSTILE:
        target = surface.format(as_target(path))
        answer = await mine.request(
            method, target, b"evil" if method == "PUT" else None
        )
        is_fine = answer.status in REFUSED or is_listing(method, target, answer)
        if not is_fine or b"CANARY" in answer.body or b"root:" in answer.body:
            wrong.append((target[:120], answer.status, answer.body[:80]))

    assert not wrong
    outside, inside = canary
    assert outside.read_bytes() == inside.read_bytes() == b"CANARY"
    assert sorted(files_in(settings)) == before
    assert opened == []
    assert not await Asset.objects.aexists()


def is_listing(method: str, target: str, answer) -> bool:
    """An empty name makes a list of another path: a control, not a way out."""
    return method == "GET" and answer.status == 200 and answer.json["assets"] == []


@pytest.mark.parametrize("path", HOSTILE[::7])
def test_h07_no_name_of_an_upload_leads_out_of_the_store(alice, settings, canary, path):
    before = sorted(files_in(settings))

    asset = store_asset(alice.pk, b"x", name=path, content_type="text/plain")

    assert files.path_of(asset.stored_as) == f"assets/{asset.pk[:2]}/{asset.pk}.txt"
    assert sorted(files_in(settings)) == sorted([*before, f"{asset.pk}.txt"])
    assert [one.read_bytes() for one in canary] == [b"CANARY"] * 2


async def test_h07_the_controls_of_the_corpus_are_served(mine, alice, asset_of):
    for name, kind in [
        ("a.txt", "text/plain"),
        ("b.tar.gz", "x/y"),
        ("c", "image/png"),
    ]:
        asset = await asset_of(alice, b"fine", name=name, content_type=kind)
        for path in (f"{asset.key}", f"assets/{asset.key}", f"{asset.key}/"):
            assert (await mine.get(f"/storage/{path}")).body == b"fine"
            assert (await mine.get(f"/api/storage/{path}")).body == b"fine"
