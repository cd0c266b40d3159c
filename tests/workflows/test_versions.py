"""Versions: numbers, autosaves, restore and differences, and whose they are."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.workflows.graphs import echo_graph, edge, node, request_body
from workflows import versions
from workflows.api import version_views
from workflows.errors import TooManyVersions
from workflows.models import SaveType, Workflow, WorkflowVersion
from workflows.version_reads import list_versions

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("workflows.api.urls"),
]
FLOW = "/api/workflows/w"
VERSIONS = f"{FLOW}/versions"
AUTOSAVE = f"{FLOW}/autosave"
FIELDS = (
    "id",
    "workflow_id",
    "version",
    "created_at",
    "name",
    "description",
    "graph",
    "save_type",
    "autosave_metadata",
)


@pytest.fixture
def alice(api):
    user = api("alice")
    user.put(FLOW, request_body("Echo", tags=["a"], settings={"x": 1}))
    return user


def put_graph(user, text):
    answer = user.put(FLOW, request_body("Echo", graph=echo_graph(text)))
    assert answer.status_code == 200


def text_of(document):
    return document["graph"]["nodes"][0]["data"]["value"]


def numbers(user, **query):
    return [each["version"] for each in user.get(VERSIONS, **query).json()["versions"]]


def age_autosaves(seconds):
    autosaves = WorkflowVersion.objects.filter(save_type=SaveType.AUTOSAVE)
    autosaves.update(created_at=timezone.now() - timedelta(seconds=seconds))


def test_a_version_is_the_graph_of_that_moment(alice):
    first = alice.post(VERSIONS, {"name": "One", "description": "the first"})
    put_graph(alice, "changed")
    second = alice.post(VERSIONS)

    assert first.status_code == second.status_code == 200
    one, two = first.json(), second.json()
    assert tuple(one) == FIELDS
    assert (one["version"], two["version"]) == (1, 2)
    assert (one["name"], one["description"]) == ("One", "the first")
    assert (two["name"], two["description"]) == ("", "")
    assert (one["save_type"], one["autosave_metadata"]) == ("manual", {})
    assert (text_of(one), text_of(two)) == ("hi", "changed")
    assert alice.get(f"{VERSIONS}/1").json() == one
    assert alice.get(VERSIONS).json() == {"next": None, "versions": [two, one]}


def test_put_makes_no_version(alice):
    put_graph(alice, "changed")

    assert numbers(alice) == []


def test_pages_go_down_from_the_highest_number(alice):
    for _ in range(5):
        alice.post(VERSIONS)

    page = alice.get(VERSIONS, limit=2).json()
    alice.post(VERSIONS)
    rest = alice.get(VERSIONS, limit=3, cursor=page["next"]).json()

    assert [each["version"] for each in page["versions"]] == [5, 4]
    assert [each["version"] for each in rest["versions"]] == [3, 2, 1]
    assert rest["next"] is None
    assert numbers(alice, cursor="") == [6, 5, 4, 3, 2, 1]


def test_a_page_is_bounded_by_the_size_of_its_graphs(alice, monkeypatch):
    for _ in range(3):
        alice.post(VERSIONS)
    length = len(Workflow.objects.get().graph)
    monkeypatch.setattr("nodetool_site.lib.pagination.MAX_PAGE_BYTES", 2 * length)

    page = alice.get(VERSIONS).json()
    monkeypatch.setattr("nodetool_site.lib.pagination.MAX_PAGE_BYTES", 1)
    one = alice.get(VERSIONS, cursor=page["next"]).json()

    assert [each["version"] for each in page["versions"]] == [3, 2]
    assert [each["version"] for each in one["versions"]] == [1]
    assert one["next"] is None


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 10, "²"])
def test_an_unreadable_cursor_is_refused(alice, cursor):
    assert alice.get(VERSIONS, cursor=cursor).status_code == 400


def test_a_list_takes_three_statements(alice, django_assert_max_num_queries):
    for _ in range(4):
        alice.post(VERSIONS)

    with django_assert_max_num_queries(3):
        page = list_versions("w", owner_id=alice.id, limit=100)

    assert len(page.versions) == 4


def test_restore_brings_a_graph_back_and_keeps_the_present_one(alice):
    alice.post(VERSIONS)
    put_graph(alice, "changed")
    before = alice.get(FLOW).json()

    restored = alice.post(f"{VERSIONS}/1/restore")

    assert restored.status_code == 200
    workflow = restored.json()
    assert workflow == alice.get(FLOW).json()
    assert text_of(workflow) == "hi"
    assert workflow["input_schema"]["properties"]["prompt"]["default"] == "hi"
    assert workflow["etag"] != before["etag"]
    kept = alice.get(f"{VERSIONS}/2").json()
    assert (kept["save_type"], text_of(kept)) == ("restore", "changed")
    assert kept["name"] == "Before restoring version 1"
    assert text_of(alice.post(f"{VERSIONS}/2/restore").json()) == "changed"


def test_restore_changes_the_graph_alone(alice):
    alice.post(VERSIONS)
    alice.put(
        FLOW,
        request_body("New name", graph=echo_graph("x"), html_app="<p>", tags=["b"]),
    )
    before = alice.get(FLOW).json()

    after = alice.post(f"{VERSIONS}/1/restore").json()

    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"graph", "updated_at", "etag", "input_schema"}


def test_restore_keeps_no_second_copy_of_what_is_kept(alice):
    alice.post(VERSIONS)
    put_graph(alice, "changed")
    alice.post(VERSIONS)

    alice.post(f"{VERSIONS}/1/restore")
    alice.post(f"{VERSIONS}/2/restore")

    assert numbers(alice) == [2, 1]


def test_restore_does_not_rely_on_an_autosave(alice):
    """Autosaves are dropped one day; the copy from before a restore is not."""
    alice.post(VERSIONS)
    put_graph(alice, "changed")
    alice.post(AUTOSAVE)

    alice.post(f"{VERSIONS}/1/restore")

    assert alice.get(f"{VERSIONS}/3").json()["save_type"] == "restore"


def test_copies_of_restores_are_bounded(alice, monkeypatch):
    monkeypatch.setattr(versions, "MAX_RESTORES", 2)
    alice.post(VERSIONS)

    for text in "abc":
        put_graph(alice, text)
        alice.post(f"{VERSIONS}/1/restore")

    assert numbers(alice) == [4, 3, 1]


def test_copies_that_a_client_calls_those_of_a_restore_are_bounded(alice, monkeypatch):
    monkeypatch.setattr(versions, "MAX_RESTORES", 2)
    put_graph(alice, "a")

    for _ in range(4):
        alice.post(AUTOSAVE, {"save_type": "restore", "force": True})

    assert numbers(alice) == [4, 3]


def test_a_version_is_deleted_by_its_id(alice):
    version = alice.post(VERSIONS).json()

    assert alice.delete(f"{VERSIONS}/{version['version']}").status_code == 404
    deleted = alice.delete(f"{VERSIONS}/{version['id']}")
    assert (deleted.status_code, deleted.json()) == (200, {"success": True})
    assert alice.delete(f"{VERSIONS}/{version['id']}").status_code == 404
    assert numbers(alice) == []


def test_versions_go_with_their_workflow(alice):
    alice.post(VERSIONS)

    alice.delete(FLOW)

    assert not WorkflowVersion.objects.exists()
    assert alice.get(VERSIONS).status_code == 404


def test_no_version_answers_404(alice):
    alice.post(VERSIONS)

    for number in ("2", "0", "x", "9" * 30, "1.0"):
        assert alice.get(f"{VERSIONS}/{number}").status_code == 404
        assert alice.post(f"{VERSIONS}/{number}/restore").status_code == 404
        assert alice.get(f"{VERSIONS}/{number}/diff").status_code == 404
    assert alice.get(f"{VERSIONS}/1/diff", to="7").status_code == 404
    detail = alice.get(f"{VERSIONS}/2").json()["detail"]
    assert detail == "Version not found"


@pytest.mark.parametrize("access", ["private", "public"])
def test_z01_versions_of_another_user_do_not_exist(api, access):
    alice, charlie = api("alice"), api("charlie")
    alice.put(FLOW, request_body(access=access))
    version = alice.post(VERSIONS).json()
    missing = charlie.get("/api/workflows/nowhere/versions").json()

    answers = [
        charlie.get(VERSIONS),
        charlie.post(VERSIONS),
        charlie.get(f"{VERSIONS}/1"),
        charlie.post(f"{VERSIONS}/1/restore"),
        charlie.get(f"{VERSIONS}/1/diff"),
        charlie.delete(f"{VERSIONS}/{version['id']}"),
        charlie.post(AUTOSAVE, {"force": True}),
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()) == (404, missing)
    assert numbers(alice) == [1]


def test_a_version_cannot_be_reached_through_another_workflow(alice):
    version = alice.post(VERSIONS).json()
    alice.put("/api/workflows/other", request_body())

    other = "/api/workflows/other/versions"

    assert alice.get(f"{other}/1").status_code == 404
    assert alice.delete(f"{other}/{version['id']}").status_code == 404
    assert numbers(alice) == [1]


def test_two_who_save_at_once_get_two_numbers(alice):
    barrier = threading.Barrier(4)

    def save():
        barrier.wait()
        try:
            for _ in range(5):
                versions.create_version("w", owner_id="alice")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        saved = [threads.submit(save) for _ in range(4)]
    for each in saved:
        each.result()

    assert sorted(numbers(alice)) == list(range(1, 21))


def test_autosave_keeps_the_stored_graph(alice):
    answer = alice.post(AUTOSAVE, {"client_id": "tab-1", "description": "by itself"})

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"version", "message", "skipped"}
    assert body["skipped"] is False
    assert body["message"] == "saved as version 1"
    version = body["version"]
    assert version == alice.get(f"{VERSIONS}/1").json()
    assert version["save_type"] == "autosave"
    assert version["autosave_metadata"] == {"client_id": "tab-1"}
    assert version["description"] == "by itself"


def test_autosave_keeps_the_graph_that_is_sent_and_not_the_workflow(alice):
    before = alice.get(FLOW).json()
    graph = {"nodes": [{"id": "n", "type": "t"}], "edges": []}

    version = alice.post(AUTOSAVE, {"graph": graph}).json()["version"]

    assert version["graph"]["nodes"][0]["sync_mode"] == "on_any"
    assert alice.get(FLOW).json() == before


def test_autosave_too_soon_is_skipped(alice, settings):
    settings.AUTOSAVE_MIN_INTERVAL_SECONDS = 30
    alice.post(AUTOSAVE)

    age_autosaves(29)
    skipped = alice.post(AUTOSAVE).json()
    forced = alice.post(AUTOSAVE, {"force": True}).json()
    age_autosaves(30)
    later = alice.post(AUTOSAVE).json()

    expected = {"version": None, "message": "skipped (too soon)", "skipped": True}
    assert skipped == expected
    assert forced["version"]["version"] == 2
    assert later["version"]["version"] == 3


def test_a_clock_that_was_set_back_stops_no_autosave(alice):
    alice.post(AUTOSAVE)
    age_autosaves(-3600)

    assert alice.post(AUTOSAVE).json()["skipped"] is False


def test_only_autosaves_make_the_next_one_wait(alice):
    alice.post(VERSIONS)

    assert alice.post(AUTOSAVE).json()["skipped"] is False


def test_autosave_of_nothing_is_skipped(alice):
    expected = {"version": None, "message": "skipped (empty workflow)", "skipped": True}

    sent = alice.post(AUTOSAVE, {"graph": {"nodes": [], "edges": []}, "force": True})
    alice.put(FLOW, request_body(graph={}))
    stored = alice.post(AUTOSAVE)

    assert sent.json() == stored.json() == expected
    assert numbers(alice) == []


def test_old_autosaves_are_dropped_and_nothing_else(alice, settings):
    settings.AUTOSAVE_MAX_VERSIONS_PER_WORKFLOW = 2
    alice.post(VERSIONS)
    for save_type in ("autosave", "checkpoint", "autosave", "autosave"):
        alice.post(AUTOSAVE, {"force": True, "save_type": save_type})

    assert numbers(alice) == [5, 4, 3, 1]


def test_a_client_may_keep_fewer_autosaves(alice):
    for _ in range(3):
        alice.post(AUTOSAVE, {"force": True})

    alice.post(AUTOSAVE, {"force": True, "max_versions": 2})

    assert numbers(alice) == [4, 3]


def test_autosaves_of_last_week_are_dropped(alice, settings):
    settings.AUTOSAVE_KEEP_DAYS = 7
    alice.post(VERSIONS)
    alice.post(AUTOSAVE)
    WorkflowVersion.objects.update(created_at=timezone.now() - timedelta(days=8))

    alice.post(AUTOSAVE)

    assert numbers(alice) == [3, 1]


def test_the_autosave_that_is_answered_exists(alice, settings):
    settings.AUTOSAVE_KEEP_DAYS = 0
    settings.AUTOSAVE_MAX_VERSIONS_PER_WORKFLOW = 0

    saved = [alice.post(AUTOSAVE, {"force": True}).json() for _ in range(2)]

    assert [each["version"]["version"] for each in saved] == [1, 2]
    assert numbers(alice) == [2]


def test_kept_versions_are_bounded_and_autosaves_go_on(alice, monkeypatch):
    monkeypatch.setattr(versions, "MAX_KEPT", 2)
    for _ in range(2):
        alice.post(VERSIONS)

    refused = alice.post(VERSIONS)

    assert refused.status_code == 409
    assert refused.json()["detail"] == TooManyVersions(2).message
    assert alice.post(AUTOSAVE).json()["skipped"] is False


@pytest.mark.parametrize(
    ("path", "body", "location"),
    [
        (VERSIONS, {"name": 1}, ["body", "name"]),
        (VERSIONS, {"name": "x" * 256}, ["body", "name"]),
        (VERSIONS, {"name": "nul\0"}, ["body", "name"]),
        (VERSIONS, {"description": []}, ["body", "description"]),
        (AUTOSAVE, {"save_type": "x"}, ["body", "save_type"]),
        (AUTOSAVE, {"force": "yes"}, ["body", "force"]),
        (AUTOSAVE, {"client_id": {}}, ["body", "client_id"]),
        (AUTOSAVE, {"client_id": "nul\0"}, ["body", "client_id"]),
        (AUTOSAVE, {"max_versions": 0}, ["body", "max_versions"]),
        (AUTOSAVE, {"max_versions": 10**9}, ["body", "max_versions"]),
        (AUTOSAVE, {"max_versions": "5"}, ["body", "max_versions"]),
        (AUTOSAVE, {"max_versions": True}, ["body", "max_versions"]),
        (AUTOSAVE, {"graph": []}, ["body", "graph"]),
        (AUTOSAVE, {"graph": {"nodes": [{}]}}, ["body", "graph", "nodes", 0, "id"]),
    ],
)
def test_wrong_fields_are_422_and_named(alice, path, body, location):
    response = alice.post(path, body)

    assert response.status_code == 422
    assert [entry["loc"] for entry in response.json()["errors"]] == [location]
    assert numbers(alice) == []


def test_nulls_are_as_good_as_nothing(alice):
    assert (
        alice.post(VERSIONS, {"name": None, "description": None}).json()["name"] == ""
    )
    names = version_views.AutosaveRequestSerializer().fields
    nulls = {name: None for name in names if name not in ("save_type", "force")}

    answer = alice.post(AUTOSAVE, {**nulls, "graph": None})

    assert answer.json()["version"]["description"] == ""


def test_diff_tells_what_a_run_could_notice(alice):
    old = {
        "nodes": [
            node("a", "t.A", text="x", same=1, flag=1, gone=None),
            node("b", "t.B", value=[1, {"k": 1}]),
            node("lost", "t.C"),
        ],
        "edges": [edge("a", "b"), edge("lost", "b", to="other")],
    }
    new = {
        "nodes": [
            node("a", "t.A", text="y", same=1, flag=True, extra=2),
            {**node("b", "t.B2", value=[1, {"k": 1}]), "ui_properties": {"x": 5}},
            node("found", "t.D", z=1),
        ],
        "edges": [{**edge("a", "b"), "id": "renamed"}, edge("found", "b", to="other")],
    }
    alice.put(FLOW, request_body(graph=old))
    alice.post(VERSIONS)
    alice.put(FLOW, request_body(graph=new))

    diff = alice.get(f"{VERSIONS}/1/diff").json()

    assert [each["id"] for each in diff["added_nodes"]] == ["found"]
    assert diff["added_nodes"][0]["data"] == {"z": 1}
    assert [each["id"] for each in diff["removed_nodes"]] == ["lost"]
    assert diff["changed_nodes"] == [
        {
            "id": "a",
            "properties": {"text": ["x", "y"], "flag": [1, True], "extra": [None, 2]},
            "fields": {},
        },
        {"id": "b", "properties": {}, "fields": {"type": ["t.B", "t.B2"]}},
    ]
    assert [each["source"] for each in diff["added_edges"]] == ["found"]
    assert [each["source"] for each in diff["removed_edges"]] == ["lost"]


def test_diff_of_two_versions_is_the_reverse_of_the_other_way(alice):
    alice.post(VERSIONS)
    put_graph(alice, "changed")
    alice.post(VERSIONS)

    there = alice.get(f"{VERSIONS}/1/diff", to="2").json()
    back = alice.get(f"{VERSIONS}/2/diff", to="1").json()
    none = alice.get(f"{VERSIONS}/2/diff").json()

    assert there["changed_nodes"][0]["properties"] == {"value": ["hi", "changed"]}
    assert back["changed_nodes"][0]["properties"] == {"value": ["changed", "hi"]}
    assert not any(none.values())


def test_an_edge_drawn_twice_counts_twice(alice):
    graph = echo_graph()
    alice.post(VERSIONS)
    graph["edges"] *= 2
    alice.put(FLOW, request_body(graph=graph))

    diff = alice.get(f"{VERSIONS}/1/diff").json()

    assert len(diff["added_edges"]) == 1
    assert diff["removed_edges"] == []
