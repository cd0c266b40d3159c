"""The description of the API: complete, without complaints, in desktop mode only."""

import re

import pytest
import yaml
from django.contrib.staticfiles.finders import find
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from nodetool_site import api_description
from nodetool_site.lib import surfaces
from tests.nodetool_site.asgi_client import request
from tests.nodetool_site.test_surfaces import TOKEN, all_paths

# Of other kinds than the API: pages, their files, and sockets.
NOT_DESCRIBED = frozenset({"admin", "page", "sign_in", "static", "sockets"})
METHODS = frozenset({"get", "post", "put", "patch", "delete"})


@pytest.fixture(scope="module")
def document():
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        api_description.document.cache_clear()
        found = api_description.document()
    assert not GENERATOR_STATS, "drf-spectacular has complaints"
    return found


def test_h03_every_route_is_in_the_document(document):
    described = {re.sub("{.*?}", "x", path).rstrip("/") for path in document["paths"]}
    routes = {
        path.rstrip("/")
        for path in all_paths()
        if surfaces.surface_of(path) not in NOT_DESCRIBED
    }

    assert routes <= described, f"not described: {sorted(routes - described)}"
    assert described <= routes, f"described only: {sorted(described - routes)}"


def test_h03_every_method_has_its_answers(document):
    for path, operations in document["paths"].items():
        assert operations.keys() <= METHODS, path
        for method, operation in operations.items():
            assert any(code.startswith("2") for code in operation["responses"]), path
            if "security" in operation and {"bearer": []} in operation["security"]:
                assert "401" in operation["responses"], (method, path)


def test_document_is_openapi_3_1_and_names_each_operation_once(document):
    validate_schema(document)

    operations = [one for path in document["paths"].values() for one in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert document["openapi"].startswith("3.1.")
    assert len(set(names)) == len(names)


def test_no_path_shows_a_pattern(document):
    assert "/api/jobs/{job_id}/end-input/" in document["paths"]
    assert not [path for path in document["paths"] if re.search(r"[\\?^$(]", path)]


@pytest.mark.parametrize(
    ("target", "accept", "is_yaml"),
    [
        ("/api/schema/", "*/*", False),
        ("/api/schema", "text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("/api/schema/", "application/json", False),
        ("/api/schema/", "application/vnd.oai.openapi", True),
        ("/api/schema/", "application/yaml", True),
        ("/api/schema/?format=json", "application/yaml", False),
        ("/api/schema/?format=yaml", "application/json", True),
    ],
)
async def test_document_comes_as_json_or_yaml(document, target, accept, is_yaml):
    answer = await request("GET", target, accept=accept)

    assert answer.status == 200
    if is_yaml:
        assert answer.headers["content-type"] == "application/vnd.oai.openapi"
        assert yaml.safe_load(answer.body)["paths"].keys() == document["paths"].keys()
    else:
        assert answer.headers["content-type"] == "application/json"
        assert answer.json["paths"].keys() == document["paths"].keys()


async def test_other_forms_are_refused():
    assert (await request("GET", "/api/schema/?format=xml")).status == 422


async def test_page_loads_its_own_files_alone():
    answer = await request("GET", "/api/docs/")

    text = answer.body.decode()
    files = re.findall(r'(?:src|href)="(.*?)"', text)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert all(file.startswith(("/static/", "/api/schema/")) for file in files)
    static = [file for file in files if file.startswith("/static/")]
    assert len(static) == 4
    assert all(find(file.removeprefix("/static/")) for file in static)
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script>", text)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy


@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/"])
async def test_both_need_a_credential_and_desktop_mode(settings, path):
    settings.AUTH_PROVIDER = "static"
    settings.SERVER_AUTH_TOKEN = TOKEN

    async def ask() -> int:
        answer = await request("GET", path, authorization=f"Bearer {TOKEN}")
        return answer.status

    assert (await request("GET", path)).status == 401
    assert await ask() == 200
    for settings.SERVER_MODE in ("private", "public"):
        assert await ask() == 404
