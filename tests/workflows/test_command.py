"""``workflows`` on the command line: output, exit codes, files."""

import io
import json
import sys

import msgspec
import pytest

from storage.models import User
from tests.workflows.graphs import echo_graph, node
from workflows import services
from workflows.documents import WorkflowFields
from workflows.graph_json import normalise_graph
from workflows.management.commands.workflows import Command
from workflows.models import Workflow
from workflows.shipped_examples import all_examples

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def user():
    return User.objects.create(id="1", username="one")


@pytest.fixture
def nodetool(capsys, monkeypatch):
    """Runs one command line; returns exit code, stdout and stderr."""

    def run(*words: str, stdin: str | None = None):
        text = io.TextIOWrapper(io.BytesIO((stdin or "").encode()))
        monkeypatch.setattr(sys, "stdin", text)
        code = 0
        try:
            Command().run_from_argv(["nodetool", "workflows", *words])
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


def save(workflow_id="w", name="Echo", **fields):
    request = WorkflowFields(name=name, graph=echo_graph(), **fields)
    return services.save_workflow(workflow_id, request, owner_id="1")


def document(workflow_id="w"):
    return msgspec.json.decode(Workflow.objects.get(pk=workflow_id).document)


def test_empty_list_is_no_failure(nodetool):
    assert nodetool("list") == (0, "No workflows found.\n", "")
    assert json.loads(nodetool("list", "--json")[1]) == {
        "workflows": [],
        "next": None,
        "total": 0,
    }


def test_list_is_a_table_with_whole_ids(nodetool):
    save("a" * 64, package_name=None)
    save("b", name="")

    code, out, _ = nodetool("list")

    title, head, *rows = out.splitlines()
    assert (code, title) == (0, "Workflows")
    assert head.split() == ["ID", "Name", "Type", "Package", "Updated"]
    assert rows[0].split()[:4] == ["b", "-", "user", "-"]
    assert rows[1].split()[0] == "a" * 64
    assert rows[0].index("user") == head.index("Type")


def test_c03_list_as_json_has_the_objects_of_the_api(nodetool):
    save("a")
    save("b", name="Other")

    found = json.loads(nodetool("list", "--json", "--limit", "1")[1])
    assert found == {"workflows": [document("b")], "next": None, "total": 2}

    found = json.loads(nodetool("list", "--json", "--query", "ECH")[1])
    assert found == {"workflows": [document("a")], "next": None, "total": 1}


def test_list_can_show_examples(nodetool):
    save("mine")
    examples = [example.id for example in all_examples()]

    def ids(*words):
        found = json.loads(nodetool("list", "--json", *words)[1])
        return [workflow["id"] for workflow in found["workflows"]]

    assert ids("--type", "example") == examples
    assert ids("--type", "all") == ["mine", *examples]


def test_list_shows_one_user_alone(nodetool):
    save()
    User.objects.create(id="bob", username="bob")

    assert nodetool("list", "-u", "bob")[1] == "No workflows found.\n"
    assert nodetool("get", "w", "--user-id", "bob")[0] == 1


def test_get_prints_indented_json(nodetool):
    save(name="Grüße")

    code, out, _ = nodetool("get", "w")

    assert code == 0
    assert json.loads(out) == document()
    assert out.startswith('{\n  "id": "w",\n')
    assert "Grüße" in out


@pytest.mark.parametrize("verb", ["get", "export", "delete", "validate"])
def test_c06_missing_workflow_is_one_line_and_exit_1(nodetool, verb):
    assert nodetool(verb, "nope") == (1, "", "❌ Workflow nope not found\n")


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--limit", "0"],
        ["list", "--type", "other"],
        ["get"],
        ["export"],
        ["export", "--all"],
        ["fly"],
        [],
        ["list", "--nope"],
    ],
)
def test_c06_wrong_usage_is_exit_2_with_usage(nodetool, words):
    code, out, err = nodetool(*words)

    assert (code, out) == (2, "")
    assert "usage:" in err


def test_c04_export_and_import_give_equal_graphs(nodetool, tmp_path):
    save()

    exported = nodetool("export", "w")[1]
    code, out, _ = nodetool("import", "-", "--id", "y", stdin=exported)

    assert (code, out) == (0, "Imported y Echo\n")
    assert document("y")["graph"] == document("w")["graph"]
    nodetool("export", "w", "--output", str(tmp_path / "deep" / "w.json"))
    assert json.loads((tmp_path / "deep" / "w.json").read_text()) == document("w")


def test_everything_can_be_exported_and_imported_again(nodetool, tmp_path):
    for name in "abc":
        save(name)
    before = {name: document(name)["graph"] for name in "abc"}

    code, out, _ = nodetool("export", "--all", "--dir", str(tmp_path / "all"))
    files = out.splitlines()
    Workflow.objects.all().delete()
    assert nodetool("import", *files)[0] == code == 0

    assert {name: document(name)["graph"] for name in "abc"} == before


def test_import_takes_every_kind_of_document(nodetool, tmp_path):
    save("known")
    listed = {"workflows": [{**document("known"), "id": "from-list"}]}
    request = {"name": "Asked", "access": "private", "graph": echo_graph()}
    for name, content in (
        ("bare", echo_graph()),
        ("request", request),
        ("list", listed),
        ("whole", {**document("known"), "id": "whole"}),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    files = [str(path) for path in sorted(tmp_path.iterdir())]

    code, out, _ = nodetool("import", *files, "--json")

    stored = json.loads(out)["workflows"]
    assert code == 0
    assert [workflow["name"] for workflow in stored] == [
        "bare",
        "Echo",
        "Asked",
        "Echo",
    ]
    assert [w["id"] for w in stored][1::2] == ["from-list", "whole"]
    assert all(w["graph"] == normalise_graph(echo_graph()) for w in stored)


def test_import_over_an_existing_id_needs_replace_and_writes_nothing(
    nodetool, tmp_path
):
    save("w", "Old")
    (tmp_path / "new.json").write_text(json.dumps(echo_graph()))
    (tmp_path / "w.json").write_text(json.dumps({**document("w"), "name": "New"}))
    files = [str(tmp_path / "new.json"), str(tmp_path / "w.json")]

    code, out, err = nodetool("import", *files)

    assert (code, out, err) == (1, "", "❌ Workflow w exists already\n")
    assert Workflow.objects.get().name == "Old"
    assert nodetool("import", *files, "--replace")[0] == 0
    assert document("w")["name"] == "New"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "stdin is not JSON"),
        ("[]", "stdin holds no JSON object"),
        ("{}", "Invalid workflow"),
        ('{"nodes": [{}]}', "graph.nodes.0.id: Field required"),
        ('{"name": 1, "graph": {}}', "name: Not a valid string."),
        ('{"workflows": [1]}', "stdin holds no JSON object"),
    ],
)
def test_import_of_something_else_says_what_is_wrong(nodetool, content, message):
    code, out, err = nodetool("import", "-", stdin=content)

    assert (code, out) == (1, "")
    assert err.startswith(f"❌ {message}")
    assert err.count("\n") == 1


def test_import_for_nobody_and_from_nowhere_fails(nodetool):
    graph = json.dumps(echo_graph())

    code, _, err = nodetool("import", "-", "-u", "ghost", stdin=graph)
    assert code == 1
    assert err.startswith("❌ User 'ghost' not found")
    assert nodetool("import", "/does/not/exist")[0] == 1


def test_validate_lists_problems_and_fails_on_errors(nodetool, tmp_path):
    save()
    bad = {"nodes": [node("x", "no.such.Type")]}
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(bad))

    assert nodetool("validate", "w") == (0, "", "")
    code, out, err = nodetool("validate", str(path))
    assert code == 1
    assert out.startswith("error x: ")
    assert "no.such.Type" in out
    assert err.startswith("❌ ")
    answer = json.loads(nodetool("validate", "w", "--json")[1])
    assert answer == {"valid": True, "problems": []}


def test_delete_asks_first(nodetool):
    save()

    code, out, err = nodetool("delete", "w")
    assert (code, out) == (1, "")
    assert "--yes" in err
    assert Workflow.objects.exists()
    assert nodetool("delete", "w", "--yes") == (0, "Deleted w\n", "")
    assert not Workflow.objects.exists()
