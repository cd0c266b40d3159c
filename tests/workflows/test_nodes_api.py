"""Node types over HTTP and on the command line."""

import json

import pytest

from workflows import node_catalogue
from workflows.management.commands.nodes import Command
from workflows.nodes import registry

pytestmark = pytest.mark.urls("workflows.api.urls")
PATH = "/api/nodes/metadata"


def offered() -> list[str]:
    """The types that no server's own graphs need for themselves."""
    return sorted(cls.node_type for cls in registry if not cls.hidden)


def test_all_node_types_are_served_from_one_encoding(client):
    response = client.get(PATH)

    types = [node["node_type"] for node in response.json()]
    assert types == offered()
    assert "nodetool.chat.Turn" not in types
    assert response.content == client.get(PATH + "/").content
    assert node_catalogue.whole_answer(is_slim=False) is node_catalogue.whole_answer(
        is_slim=False
    )


def test_one_node_type_is_an_array_of_one(client):
    [concat] = client.get(PATH, {"node_type": "nodetool.text.Concat"}).json()

    assert concat["namespace"] == "nodetool.text"
    assert [p["name"] for p in concat["properties"]] == ["a", "b"]


def test_unknown_node_type_is_404(client):
    response = client.get(PATH, {"node_type": "no.such.Type"})

    assert response.status_code == 404
    assert response.json()["detail"] == "Node type not found: no.such.Type"


def test_namespace_query_and_limit_select(client):
    def types(**query):
        return [node["node_type"] for node in client.get(PATH, query).json()]

    text = types(namespace="nodetool.text")
    assert "nodetool.text.Concat" in text
    assert all(name.startswith("nodetool.text") for name in text)
    assert types(namespace="nodetool.text", limit=2) == text[:2]
    assert types(query="CONCAT") == ["nodetool.text.Concat"]
    assert types(query="no such thing") == []


def test_slim_leaves_out_properties(client):
    slim = client.get(PATH, {"fields": "slim"}).json()

    assert [node["node_type"] for node in slim] == offered()
    assert "properties" not in slim[0]
    assert client.get(PATH, {"fields": "all"}).status_code == 422


def nodetool(capsys, *words):
    code = 0
    try:
        Command().run_from_argv(["nodetool", "nodes", *words])
    except SystemExit as ended:
        code = ended.code
    return code, *capsys.readouterr()


def test_command_lists_and_describes(capsys):
    code, out, _ = nodetool(capsys, "list", "--namespace", "nodetool.text")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[:2]] == ["Nodes", "Type"]
    assert "nodetool.text.Concat" in out
    assert "demo.Fail" not in out

    found = json.loads(nodetool(capsys, "list", "--namespace", "demo", "--json")[1])
    assert "demo.Fail" in [node["node_type"] for node in found]
    described = json.loads(nodetool(capsys, "get", "demo.Fail")[1])
    assert described == node_catalogue.find_metadata("demo.Fail")


def test_command_on_unknown_type_fails(capsys):
    assert nodetool(capsys, "get", "no.such.Type") == (
        1,
        "",
        "❌ Node type no.such.Type not found\n",
    )
    assert nodetool(capsys, "list", "--namespace", "none")[1] == "No nodes found.\n"
