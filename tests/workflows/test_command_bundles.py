"""``workflows export-bundle`` and ``import-bundle``, on the database and a server."""

import io
import json
import sys
import zipfile

import pytest

from storage import services as storage
from storage.api_tokens import issue_token, verified_tokens
from storage.models import Asset, User
from tests.workflows.archive_corpus import asset, with_workflow
from tests.workflows.graphs import node
from workflows import services
from workflows.documents import WorkflowFields
from workflows.management.commands.workflows import Command
from workflows.models import Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("workflows.api.urls"),
    # The server of these tests is a synchronous one.
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume"),
]


@pytest.fixture(autouse=True)
def user(settings, tmp_path):
    settings.ASSET_FOLDER = tmp_path / "assets"
    return User.objects.create(id="1", username="one")


@pytest.fixture(params=["database", "server"])
def nodetool(request, settings, capsys, user):
    options = []
    if request.param == "server":
        settings.AUTH_PROVIDER = "multi_user"
        verified_tokens.clear()
        url = request.getfixturevalue("live_server").url
        token = issue_token(user.pk, name="test")[1]
        options = ["--api-url", url, "--token", token]

    def run(*words: object):
        code = 0
        try:
            argv = ["nodetool", "workflows", *map(str, words), *options]
            Command().run_from_argv(argv)
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def workflow():
    stored = storage.store_asset(
        "1", b"pixels" * 100_000, name="x.png", content_type="image/png"
    )
    graph = {"nodes": [node("a", "t", value={"uri": f"asset://{stored.key}"})]}
    request = WorkflowFields(name="Echo", graph=graph)
    return services.save_workflow("w", request, owner_id="1")


def test_a_bundle_goes_to_a_file_and_back(nodetool, workflow, tmp_path):
    path = tmp_path / "folder" / "w.zip"

    assert nodetool("export-bundle", "w", "--output", path) == (0, "", "")
    code, out, err = nodetool("import-bundle", path)

    copy = Workflow.objects.exclude(pk="w").get()
    assert (code, out, err) == (0, f"Imported {copy.pk} Echo\n", "")
    assert list(path.parent.iterdir()) == [path]
    assert Asset.objects.get(workflow_id=copy.pk).key in copy.document


def test_json_is_the_workflow(nodetool, tmp_path):
    path = tmp_path / "w.zip"
    path.write_bytes(with_workflow())

    code, out, _ = nodetool("import-bundle", path, "--json")

    assert code == 0
    assert json.loads(out) == json.loads(Workflow.objects.get().document)


def test_h06_a_hostile_archive_is_one_line_and_exit_1(nodetool, tmp_path):
    path = tmp_path / "w.zip"
    path.write_bytes(with_workflow(asset("../evil")))

    code, out, err = nodetool("import-bundle", path, "--json")

    assert (code, out) == (1, "")
    assert err.startswith("❌ The archive has an entry of unsafe name 'assets/../evil'")
    assert err.count("\n") == 1
    assert not Workflow.objects.exists()


def test_what_is_missing_is_said(nodetool, tmp_path):
    path = tmp_path / "w.zip"

    code, out, err = nodetool("export-bundle", "nowhere", "--output", path)
    assert (code, out, err) == (1, "", "❌ Workflow nowhere not found\n")
    assert not path.exists()
    code, out, err = nodetool("import-bundle", path)
    assert (code, out) == (1, "")
    assert err.startswith(f"❌ Cannot read {path}")


def test_a_terminal_gets_no_archive(nodetool, workflow, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)

    code, _, err = nodetool("export-bundle", "w")

    assert code == 2
    assert "--output" in err


def test_an_archive_goes_into_a_pipe(nodetool, workflow, monkeypatch):
    pipe = io.TextIOWrapper(io.BytesIO())

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", pipe)
        nodetool("export-bundle", "w")

    with zipfile.ZipFile(pipe.buffer) as archive:
        assert archive.testzip() is None
