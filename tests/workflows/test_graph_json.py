"""What a graph looks like once it is stored."""

import copy

import pytest

from tests.workflows.graphs import echo_graph, edge, node
from workflows.engine.validation import MAX_EDGES, MAX_NODES
from workflows.errors import InvalidGraph
from workflows.graph_json import normalise_graph


def test_absent_fields_get_their_defaults():
    stored = normalise_graph(
        {
            "nodes": [{"id": "a"}, {"id": "b", "type": None, "data": None}],
            "edges": [edge("a", "b")],
        }
    )

    assert stored["nodes"][0] == {
        "id": "a",
        "parent_id": None,
        "type": "default",
        "data": {},
        "ui_properties": {},
        "dynamic_properties": {},
        "dynamic_outputs": {},
        "sync_mode": "on_any",
    }
    assert stored["nodes"][1] == {**stored["nodes"][0], "id": "b"}
    assert stored["edges"][0]["edge_type"] == "data"
    assert stored["edges"][0]["ui_properties"] is None


def test_empty_object_is_an_empty_graph():
    assert normalise_graph({}) == {"nodes": [], "edges": []}


def test_edge_without_id_is_named_after_its_ends():
    named = {**edge("a", "b"), "id": "mine"}

    stored = normalise_graph({"edges": [edge("a", "b", to="x"), named]})

    assert [e["id"] for e in stored["edges"]] == ["a:output->b:x", "mine"]


def test_properties_is_another_name_for_data():
    stored = normalise_graph({"nodes": [{"id": "a", "properties": {"x": 1}}]})

    assert stored["nodes"][0]["data"] == {"x": 1}
    assert "properties" not in stored["nodes"][0]


def test_data_that_an_edge_feeds_is_dropped():
    graph = {
        "nodes": [node("a", "t"), node("b", "t", value=1, other=2)],
        "edges": [edge("a", "b")],
    }

    assert normalise_graph(graph)["nodes"][1]["data"] == {"other": 2}


def test_control_edge_drops_no_data():
    control = {**edge("a", "b"), "edge_type": "control"}

    stored = normalise_graph({"nodes": [node("b", "t", value=1)], "edges": [control]})

    assert stored["nodes"][0]["data"] == {"value": 1}


def test_unknown_fields_are_kept():
    graph = {
        "nodes": [{"id": "a", "color": "red", "ui_properties": {"x": {"y": [1]}}}],
        "edges": [{**edge("a", "a"), "weight": 2}],
        "viewport": {"zoom": 1},
    }

    stored = normalise_graph(graph)

    assert stored["nodes"][0]["color"] == "red"
    assert stored["nodes"][0]["ui_properties"] == {"x": {"y": [1]}}
    assert stored["edges"][0]["weight"] == 2
    assert stored["viewport"] == {"zoom": 1}


def test_normalising_twice_changes_nothing_and_the_argument_stays():
    graph = echo_graph()
    before = copy.deepcopy(graph)

    once = normalise_graph(graph)

    assert normalise_graph(once) == once
    assert graph == before


def test_edge_to_a_missing_node_is_stored():
    assert normalise_graph({"edges": [edge("ghost", "gone")]})["edges"]


@pytest.mark.parametrize(
    ("graph", "location"),
    [
        ([], ["body", "graph"]),
        ("x", ["body", "graph"]),
        ({"nodes": {}}, ["body", "graph", "nodes"]),
        ({"nodes": [{}]}, ["body", "graph", "nodes", 0, "id"]),
        ({"nodes": [{"id": 1}]}, ["body", "graph", "nodes", 0, "id"]),
        ({"nodes": ["a"]}, ["body", "graph", "nodes", 0]),
        ({"nodes": [{"id": "a", "data": []}]}, ["body", "graph", "nodes", 0, "data"]),
        (
            {"edges": [{**edge("a", "b"), "targetHandle": None}]},
            ["body", "graph", "edges", 0, "targetHandle"],
        ),
        (
            {"edges": [{**edge("a", "b"), "edge_type": "magic"}]},
            ["body", "graph", "edges", 0, "edge_type"],
        ),
    ],
)
def test_wrong_shape_is_refused_and_located(graph, location):
    with pytest.raises(InvalidGraph) as refused:
        normalise_graph(graph)

    assert [entry["loc"] for entry in refused.value.problems] == [location]


@pytest.mark.parametrize(
    ("key", "limit"),
    [("nodes", MAX_NODES), ("edges", MAX_EDGES)],
)
def test_graph_over_the_limit_is_refused(key, limit):
    one = {"id": "a"} if key == "nodes" else edge("a", "b")

    assert len(normalise_graph({key: [one] * limit})[key]) == limit
    with pytest.raises(InvalidGraph) as refused:
        normalise_graph({key: [one] * (limit + 1)})
    assert str(limit) in refused.value.problems[0]["msg"]
