"""Stored workflows over HTTP: objects, lists, errors, who sees what."""

import msgspec
import pytest
from django.test import RequestFactory

from storage.identity import Identity
from tests.workflows.graphs import echo_graph, edge, node, request_body
from workflows.api import views
from workflows.documents import DOCUMENT_FIELDS
from workflows.models import Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("workflows.api.urls"),
]
LIST = "/api/workflows/"


def headers_of(response):
    return {k: v for k, v in response.items() if k.lower() != "x-request-id"}


def ids(response):
    return [workflow["id"] for workflow in response.json()["workflows"]]


def test_created_workflow_is_read_back_as_it_was_answered(api):
    alice = api("alice")

    created = alice.post(LIST, request_body(tags=["a"], settings={"x": 1, "y": None}))

    assert created.status_code == 200
    workflow = created.json()
    assert tuple(workflow) == DOCUMENT_FIELDS
    assert len(workflow["id"]) == 32
    assert workflow["settings"] == {"x": 1, "y": None}
    assert alice.get(f"/api/workflows/{workflow['id']}").json() == workflow
    assert alice.get(LIST).json() == {"next": None, "workflows": [workflow]}


def test_put_creates_replaces_and_keeps_what_clients_do_not_send_back(api):
    alice = api("alice")
    path = "/api/workflows/my-flow_1"

    first = alice.put(path, request_body(run_mode="chat", tags=["a"])).json()
    second = alice.put(path, request_body("New")).json()

    assert first["id"] == second["id"] == "my-flow_1"
    assert first["created_at"] == second["created_at"]
    assert second["etag"] != first["etag"]
    assert (second["name"], second["run_mode"], second["tags"]) == (
        "New",
        "chat",
        None,
    )


def test_h11_the_app_of_a_workflow_is_a_page_in_a_sandbox(api):
    alice, charlie = api("alice"), api("charlie")
    alice.put("/api/workflows/w", request_body(html_app="<h1>Grüße</h1>"))
    alice.put("/api/workflows/none", request_body(html_app=""))

    page = alice.get("/api/workflows/w/app")

    assert (page.status_code, page.content.decode()) == (200, "<h1>Grüße</h1>")
    assert page["Content-Type"] == "text/html; charset=utf-8"
    assert page["Content-Security-Policy"] == "sandbox allow-scripts"
    assert page["X-Content-Type-Options"] == "nosniff"
    assert alice.get("/api/workflows/none/app").status_code == 404
    assert charlie.get("/api/workflows/w/app").status_code == 404


def test_delete_answers_null_and_then_404(api):
    alice = api("alice")
    alice.put("/api/workflows/w", request_body())

    deleted = alice.delete("/api/workflows/w")

    assert (deleted.status_code, deleted.content) == (200, b"null")
    assert alice.delete("/api/workflows/w").status_code == 404
    assert alice.get("/api/workflows/w").status_code == 404


def test_z05_identity_and_times_in_a_body_are_ignored(api):
    alice, bob = api("alice"), api("bob")
    claims = {
        "id": "chosen",
        "user_id": "bob",
        "owner": "bob",
        "owner_id": "bob",
        "created_at": "2001-01-01T00:00:00+00:00",
        "updated_at": "2001-01-01T00:00:00+00:00",
        "etag": "x",
        "input_schema": {"hacked": True},
        "is_admin": True,
    }

    workflow = alice.post(LIST, request_body(**claims)).json()

    assert workflow["id"] != "chosen"
    assert workflow["created_at"] > "2020"
    assert "hacked" not in workflow["input_schema"]
    assert not {"user_id", "owner", "is_admin"} & set(workflow)
    assert Workflow.objects.get().owner_id == "alice"
    assert ids(bob.get(LIST)) == []


def test_stored_graph_is_complete_and_fed_data_is_gone(api):
    graph = {
        "nodes": [
            node("a", "nodetool.constant.String", value="x"),
            {"id": "b", "type": "nodetool.output.Output", "properties": {"value": 1}},
        ],
        "edges": [edge("a", "b"), edge("ghost", "b", to="name")],
    }

    stored = api("alice").post(LIST, request_body(graph=graph)).json()["graph"]

    assert stored["nodes"][1]["data"] == {}
    assert stored["nodes"][1]["sync_mode"] == "on_any"
    assert stored["edges"][0]["id"] == "a:output->b:value"
    assert stored["edges"][1]["source"] == "ghost"


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({"access": "private", "graph": {}}, ["body", "name"]),
        ({"name": "x", "graph": {}}, ["body", "access"]),
        ({"name": "x", "access": "secret", "graph": {}}, ["body", "access"]),
        ({"name": 1, "access": "private", "graph": {}}, ["body", "name"]),
        (request_body(tags="a"), ["body", "tags"]),
        (request_body(tags=[1]), ["body", "tags", 0]),
        (request_body(settings={"a": []}), ["body", "settings", "a"]),
        (request_body(description=["x"]), ["body", "description"]),
        (request_body(name="nul\0"), ["body", "name"]),
        (request_body(graph=[]), ["body", "graph"]),
        (request_body(graph={"nodes": [{}]}), ["body", "graph", "nodes", 0, "id"]),
    ],
)
def test_wrong_field_is_422_and_named(api, body, location):
    alice = api("alice")

    for response in (alice.post(LIST, body), alice.put("/api/workflows/w", body)):
        assert response.status_code == 422
        answer = response.json()
        assert answer["code"] == "VALIDATION_ERROR"
        assert answer["retryable"] is False
        assert [entry["loc"] for entry in answer["errors"]] == [location]
    assert not Workflow.objects.exists()


@pytest.mark.parametrize(
    "body", [b'{"name":', b"[]", b'"x"', {"name": "x", "access": "private"}]
)
def test_unreadable_body_or_missing_graph_is_400(api, body):
    response = api("alice").post(LIST, body)

    assert response.status_code == 400
    assert response.json()["code"] == "BAD_REQUEST"


def test_missing_graph_is_an_invalid_workflow(api):
    body = {"name": "x", "access": "private", "comfy_workflow": {}}

    assert api("alice").post(LIST, body).json()["detail"] == "Invalid workflow"


def test_graph_over_the_limit_is_422(api):
    graph = {"nodes": [{"id": str(i)} for i in range(5_001)]}

    assert api("alice").post(LIST, request_body(graph=graph)).status_code == 422


@pytest.mark.parametrize("bad_id", ["a" * 65, "a.b", "%00", "a b", "ü"])
def test_put_refuses_an_id_that_no_workflow_may_have(api, bad_id):
    alice = api("alice")
    path = f"/api/workflows/{bad_id}"

    assert alice.put(path, request_body()).status_code == 400
    assert alice.get(path).status_code == 404
    assert alice.delete(path).status_code == 404


@pytest.mark.parametrize("word", ["names", "tools", "public", "examples", "validate"])
def test_reserved_word_is_no_workflow(api, word):
    response = api("alice").put(f"/api/workflows/{word}", request_body())

    assert response.status_code == 405
    assert {"GET", "POST"} & set(response["Allow"].split(", "))
    assert response.json()["code"] == "BAD_REQUEST"


def test_z03_foreign_private_workflow_equals_an_unknown_one(api):
    alice, charlie = api("alice"), api("charlie")
    alice.put("/api/workflows/secret", request_body())

    for call in (charlie.get, charlie.delete):
        foreign, unknown = call("/api/workflows/secret"), call("/api/workflows/nope")
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content
        assert headers_of(foreign) == headers_of(unknown)
    assert foreign.json() == {
        "detail": "Workflow not found",
        "code": "NOT_FOUND",
        "retryable": False,
    }
    put = charlie.put("/api/workflows/secret", request_body("Mine"))
    assert (put.status_code, put.content) == (404, foreign.content)
    assert alice.get("/api/workflows/secret").json()["name"] == "Echo"


def test_public_workflow_is_readable_by_all_and_writable_by_its_owner(api):
    alice, bob = api("alice"), api("bob")
    shared = alice.put("/api/workflows/w", request_body(access="public")).json()

    assert bob.get("/api/workflows/w").json() == shared
    assert bob.put("/api/workflows/w", request_body()).status_code == 404
    assert bob.delete("/api/workflows/w").status_code == 404
    assert ids(bob.get(LIST)) == []


def test_public_lists_need_no_credential(api, client):
    alice = api("alice")
    shared = alice.put("/api/workflows/shared", request_body(access="public")).json()
    alice.put("/api/workflows/secret", request_body())

    listed = client.get("/api/workflows/public")

    assert listed.json() == {"next": None, "workflows": [shared]}
    assert client.get("/api/workflows/public/shared").json() == shared
    assert client.get("/api/workflows/public/secret").status_code == 404
    assert client.get("/api/workflows/shared").status_code == 401


def test_names_and_tools(api):
    alice, bob = api("alice"), api("bob")
    alice.put("/api/workflows/a", request_body("A"))
    tool = request_body("B", run_mode="tool", tool_name="b", description="Does b")
    alice.put("/api/workflows/b", tool)
    alice.put("/api/workflows/c", request_body("C", run_mode="tool"))
    bob.put("/api/workflows/d", {**tool, "name": "D"})

    assert alice.get("/api/workflows/names").json() == {"a": "A", "b": "B", "c": "C"}
    assert alice.get("/api/workflows/tools").json() == {
        "next": None,
        "workflows": [{"name": "B", "tool_name": "b", "description": "Does b"}],
    }


def test_r02_pages_are_whole_though_rows_are_added_between_them(api):
    alice = api("alice")
    for number in range(250):
        alice.put(f"/api/workflows/w{number}", request_body())

    seen, cursor, pages = [], "", 0
    while cursor is not None:
        response = alice.get(LIST, limit=100, cursor=cursor)
        seen += ids(response)
        cursor = response.json()["next"]
        pages += 1
        alice.put(f"/api/workflows/late{pages}", request_body())

    assert pages == 3
    assert seen == [f"w{number}" for number in reversed(range(250))]


@pytest.mark.parametrize("page_size", [1, 2, 3])
def test_last_page_has_no_cursor_and_no_cursor_repeats(api, page_size):
    alice = api("alice")
    for name in "abcdef":
        alice.put(f"/api/workflows/{name}", request_body())

    cursors = [""]
    while cursors[-1] is not None:
        response = alice.get(LIST, limit=page_size, cursor=cursors[-1])
        cursors.append(response.json()["next"])

    assert len(set(cursors)) == len(cursors) == 6 // page_size + 1


@pytest.mark.parametrize("cursor", ["x", "!!", "WzEsMl0", "WyJ4IiwieSJd", "a" * 5000])
def test_unreadable_cursor_is_400(api, cursor):
    response = api("alice").get(LIST, cursor=cursor)

    assert response.status_code == 400
    assert response.json()["detail"] == "Unreadable cursor"


def test_limit_is_clamped_and_must_be_a_number(api):
    alice = api("alice")
    alice.put("/api/workflows/a", request_body())
    alice.put("/api/workflows/b", request_body())

    assert ids(alice.get(LIST, limit=0)) == ["b"]
    assert ids(alice.get(LIST, limit=100_000)) == ["b", "a"]
    assert alice.get(LIST, limit="ten").status_code == 422


def test_run_mode_filters_the_list(api):
    alice = api("alice")
    alice.put("/api/workflows/a", request_body(run_mode="app"))
    alice.put("/api/workflows/b", request_body())

    assert ids(alice.get(LIST, run_mode="app")) == ["a"]
    assert ids(alice.get(LIST, run_mode="")) == ["b", "a"]
    assert alice.get(LIST, run_mode="a\0").status_code == 400


def test_columns_empty_the_other_fields(api):
    alice = api("alice")
    full = alice.put("/api/workflows/a", request_body(tags=["t"])).json()

    [short] = alice.get(LIST, columns="name,updated_at").json()["workflows"]

    assert tuple(short) == DOCUMENT_FIELDS
    assert (short["id"], short["name"]) == ("a", "Echo")
    assert short["updated_at"] == full["updated_at"]
    assert short["graph"] == {"nodes": [], "edges": []}
    assert (short["tags"], short["description"], short["etag"]) == (None, "", "")
    assert alice.get(LIST, columns="name,owner").status_code == 400


def test_r01_both_slash_forms_answer_alike_without_redirect(api):
    alice = api("alice")
    alice.put("/api/workflows/w", request_body(access="public"))
    paths = [
        "/api/workflows",
        "/api/workflows/w",
        "/api/workflows/names",
        "/api/workflows/tools",
        "/api/workflows/public",
        "/api/workflows/public/w",
        "/api/workflows/examples",
        "/api/workflows/examples/search",
        "/api/workflows/examples/nodetool/hello",
    ]

    for path in paths:
        plain, slashed = alice.get(path), alice.get(path + "/")
        assert plain.status_code == slashed.status_code == 200, path
        assert plain.content == slashed.content, path
        head = alice.request("HEAD", path)
        assert (head.status_code, head.content) == (200, b""), path
    for path in ("/api/workflows", "/api/workflows/"):
        assert alice.post(path, request_body()).status_code == 200
    for path in ("/api/workflows/x", "/api/workflows/x/"):
        assert alice.put(path, request_body()).status_code == 200
        assert alice.delete(path).status_code == 200


def test_examples_are_listed_searched_and_copied(api):
    alice = api("alice")

    listed = alice.get("/api/workflows/examples").json()
    assert listed["next"] is None
    assert len(listed["workflows"]) >= 8
    hello = alice.get("/api/workflows/examples/nodetool/Hello").json()
    assert hello in listed["workflows"]
    found = alice.get("/api/workflows/examples/search", query="GREETS").json()
    assert found["workflows"] == [hello]
    copy = alice.post(
        LIST + "?from_example_package=nodetool&from_example_name=Hello",
        {"name": "My hello"},
    ).json()
    assert copy["graph"] == hello["graph"]
    assert (copy["name"], copy["access"]) == ("My hello", "private")
    assert copy["id"] != hello["id"]


def test_unknown_example_is_404(api):
    alice = api("alice")

    assert alice.get("/api/workflows/examples/nodetool/Nope").status_code == 404
    assert alice.get("/api/workflows/examples/other/Hello").status_code == 404
    query = "?from_example_package=nodetool&from_example_name=Nope"
    assert alice.post(LIST + query).status_code == 404


@pytest.mark.parametrize(
    ("view", "kwargs"),
    [
        (views.WorkflowCollection, {}),
        (views.WorkflowDetail, {"workflow_id": "w1"}),
        (views.WorkflowNames, {}),
        (views.WorkflowTools, {}),
        (views.PublicCollection, {}),
    ],
)
def test_reading_costs_one_statement(
    api, settings, django_assert_num_queries, view, kwargs
):
    alice = api("alice")
    for number in range(3):
        body = request_body(access="public", run_mode="tool", tool_name="echo")
        alice.put(f"/api/workflows/w{number}", body)
    request = RequestFactory().get("/")
    request.identity = Identity("alice")
    in_this_thread = view.as_view().__wrapped__

    with django_assert_num_queries(1):
        response = in_this_thread(request, **kwargs)

    assert response.status_code == 200
    assert b"Echo" in response.content


def test_graph_is_validated_without_being_stored(api):
    alice = api("alice")
    broken = {
        "nodes": [node("a", "no.such.Type"), node("b", "nodetool.output.Output")],
        "edges": [edge("ghost", "b")],
    }

    good = alice.post("/api/workflows/validate", {"graph": echo_graph()})
    assert good.json() == {"valid": True, "problems": []}
    answer = alice.post("/api/workflows/validate/", {"graph": broken}).json()
    assert answer["valid"] is False
    keys = {"node_id", "edge_id", "property", "severity", "message", "cure"}
    assert all(set(problem) == keys for problem in answer["problems"])
    assert {"error", "warning"} == {p["severity"] for p in answer["problems"]}
    assert any("no.such.Type" in p["message"] for p in answer["problems"])
    for shapeless in ({}, {"graph": None}, {"graph": [1]}, {"graph": {"nodes": [1]}}):
        answer = alice.post("/api/workflows/validate", shapeless)
        assert answer.status_code == 200
        assert answer.json()["valid"] is False
    assert not Workflow.objects.exists()


def test_text_beyond_ascii_and_large_numbers_survive(api):
    alice = api("alice")
    graph = echo_graph("grüße 🎈 \0")
    graph["nodes"][0]["data"]["big"] = 2**70

    created = alice.post(LIST, request_body("Grüße 🎈", graph=graph)).json()

    read = alice.get(f"/api/workflows/{created['id']}").json()
    assert read["name"] == "Grüße 🎈"
    assert read["graph"]["nodes"][0]["data"]["value"] == "grüße 🎈 \0"
    assert read["graph"]["nodes"][0]["data"]["big"] == 2**70


def test_lone_surrogate_is_refused(api):
    body = msgspec.json.encode(request_body("X")).replace(b'"X"', rb'"\ud800"')

    assert api("alice").post(LIST, body).status_code == 400
