"""Loading and validation: every row of graph.md section 5, all problems at once."""

import pytest

from tests.engine.running import Recording, document, graph, run
from tests.engine.sample_nodes import registry
from workflows.engine.errors import GraphError
from workflows.engine.events import NodeUpdate
from workflows.engine.graph import load_graph
from workflows.engine.validation import check_graph


def problems_of(nodes, *edges, **fields):
    return [
        p.message for p in check_graph(graph(nodes, *edges, **fields), registry).errors
    ]


def control(source: str, target: str, handle: str = "__control__"):
    return {
        "id": "c1",
        "source": source,
        "sourceHandle": "__control__",
        "target": target,
        "targetHandle": handle,
        "edge_type": "control",
    }


def test_an_unknown_type_is_named():
    assert problems_of({"x": "Nothing"}) == [
        "Failed to load node x (type: test.Nothing): Invalid node type: test.Nothing"
    ]


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            {"id": "x"},
            "Failed to load node x (type: ): Node data must have a 'type' field.",
        ),
        (
            {"id": "", "type": "test.K"},
            "Failed to load node  (type: test.K): Node data must have an 'id' field.",
        ),
        (
            {"type": "test.K"},
            "Failed to load node  (type: test.K): Node data must have an 'id' field.",
        ),
    ],
)
def test_a_node_needs_an_id_and_a_type(node, message):
    checked = check_graph(load_graph({"nodes": [node], "edges": []}), registry)

    assert [p.message for p in checked.errors] == [message]


def test_a_bad_value_is_named_with_its_property():
    assert problems_of({"p": ("Secs", {"secs": "soon"})}) == [
        "Failed to load node p (type: test.Secs): Error setting property 'secs' on "
        "node 'p': [Secs] Invalid value for property 'secs': expected float, got str"
    ]


def test_two_nodes_cannot_share_an_id():
    both = document({"a": "K"})
    both["nodes"] *= 2

    checked = check_graph(load_graph(both), registry)

    assert [p.message for p in checked.errors] == ["Duplicate node id: a"]


@pytest.mark.parametrize(
    ("edge", "reason"),
    [
        ("gone -> p.a", "there is no node 'gone'"),
        ("k -> gone.a", "there is no node 'gone'"),
        ("k.nothing -> p.a", "node 'k' has no output 'nothing'"),
        ("k -> p.nothing", "node 'p' has no input 'nothing'"),
        ("k -> x.value", "node 'x' has no input 'value'"),
        ("k -> r.description", "node 'r' has no input 'description'"),
        ("k -> g.value", "node 'g' has no input 'value'"),
    ],
)
async def test_an_edge_that_leads_nowhere_is_left_out_with_a_warning(edge, reason):
    nodes = {
        "k": ("K", {"value": 1}),
        "p": ("P", {"a": "own"}),
        "x": "StringInput",
        "g": "Group",
        "r": "Output",
    }
    done = await run(nodes, edge, "p -> r")

    assert done.error is None
    assert done.warnings() == [f"Edge e0 was left out: {reason}"]
    # What the edge would have set is the default, not the value in the document.
    assert done.values == {"r": ["-" if edge.endswith("p.a") else "own-"]}
    assert [e.id for e in check_graph(graph(nodes, edge), registry).dropped] == ["e0"]


def test_inputs_and_outputs_need_names():
    nodes = {
        "i": ("StringInput", {"name": ""}),
        "o": ("Output", {"name": ""}),
    }

    assert problems_of(nodes) == [
        "All InputNode(s) must have a non-empty name. Invalid: i",
        "All OutputNode(s) must have a non-empty name. Invalid: o",
    ]


def test_inputs_and_outputs_need_names_of_their_own():
    nodes = {
        "i": ("StringInput", {"name": "x"}),
        "j": ("IntegerInput", {"name": "x"}),
        "o": ("Output", {"name": "y"}),
        "p": ("Output", {"name": "y"}),
    }

    assert problems_of(nodes) == [
        "Multiple InputNode(s) have the same name. Duplicate names: x. "
        "Names must be unique.",
        "Multiple OutputNode(s) have the same name. Duplicate names: y. "
        "Names must be unique.",
    ]


def test_a_required_input_must_be_connected():
    assert problems_of({"p": "Picture"}) == ["p: Missing inputs: image"]
    assert problems_of({"p": "Picture", "k": "K"}, "k -> p.image") == []


@pytest.mark.parametrize(
    ("target", "kind"), [("P", "a"), ("Output", "value"), ("Collect", "input_item")]
)
def test_several_edges_need_a_list(target, kind):
    (message,) = problems_of(
        {"k": "K", "l": "K", "p": target}, f"k -> p.{kind}", f"l -> p.{kind}"
    )

    assert message.startswith(
        f"p: Multiple edges target non-list property '{kind}' (type: any)."
    )


def test_types_must_fit():
    assert problems_of({"e": "Text", "p": "Secs"}, "e -> p.secs") == [
        "p: Type mismatch for property 'secs' - e.output outputs str but p.secs "
        "expects float"
    ]


def test_gathered_items_must_fit_the_list():
    nodes = {"e": "Text", "n": "Length", "m": "Numbers", "p": "Numbers"}

    assert problems_of(nodes, "e -> p.items", "n -> p.items", "m -> p.items") == [
        "p: Edge from e.output has incompatible type 'str' for list element type "
        "'int' on property 'items'"
    ]


def test_a_text_may_lead_to_a_choice_and_is_checked_when_it_arrives():
    assert problems_of({"t": "Text", "s": "Secs"}, "t -> s.choice") == []


async def test_a_text_that_is_no_choice_fails_the_node():
    nodes = {"t": ("Text", {"value": "middle"}), "s": "Secs"}

    done = await run(nodes, "t -> s.choice")

    assert "expected one of low, high" in str(done.error)


def test_control_edges_need_the_control_handle():
    wrong = document({"c": "Steer", "p": "P"})
    wrong["edges"] = [control("c", "p", "foo")]

    (problem,) = check_graph(load_graph(wrong), registry).errors

    assert problem.message == (
        "Control edge c1 must use '__control__' as targetHandle, got 'foo'"
    )


def test_a_graph_with_control_edges_is_sound():
    checked = check_graph(graph({"c": "Steer", "p": "P"}, "c => p"), registry)

    assert checked.problems == []
    assert [edge.id for edge in checked.control] == ["e0"]


async def test_a_control_edge_from_a_node_that_sends_no_events_is_warned_of():
    done = await run({"k": "K", "p": "P"}, "k => p")

    assert done.error is None
    assert done.statuses("p") == []
    assert done.warnings() == [
        "Node 'k' sends no control events: 'p' does not run for it"
    ]


@pytest.mark.parametrize(
    ("edge", "reason"),
    [
        ("c => i", "node 'i' runs by itself or never and cannot be controlled"),
        ("c => g", "node 'g' runs by itself or never and cannot be controlled"),
        ("g => p", "node 'g' never runs"),
        ("c => x", "there is no node 'x'"),
    ],
)
async def test_a_control_edge_that_leads_nowhere_is_left_out(edge, reason):
    nodes = {"c": "Steer", "i": "StringInput", "g": "Group", "p": "P", "r": "Output"}

    done = await run(nodes, edge, "i -> p.a", "p -> r")

    assert done.error is None
    assert done.values == {"r": ["-"]}
    assert done.warnings() == [f"Edge e0 was left out: {reason}"]


@pytest.mark.parametrize("kind", ["P", "Dynamic"])
async def test_a_data_edge_cannot_use_the_control_handle(kind):
    nodes = {"k": "K", "c": "Steer", "p": kind}

    done = await run(nodes, "k -> p.__control__", "c.__control__ -> p.a")

    assert done.error is None
    assert done.warnings() == [
        "Edge e0 was left out: node 'p' has no input '__control__'",
        "Edge e1 was left out: node 'c' has no output '__control__'",
    ]


def test_a_circle_of_control_edges_is_shown():
    assert problems_of({"c": "Steer", "d": "Steer"}, "c => d", "d => c") == [
        "Circular control dependency detected: c -> d -> c"
    ]
    assert problems_of({"c": "Steer"}, "c => c") == [
        "Circular control dependency detected: c -> c"
    ]


def test_a_circle_of_control_and_data_edges_is_shown():
    nodes = {"c": "Steer", "p": "P", "q": "P"}

    assert problems_of(nodes, "c => p", "p -> q.a", "q -> c.value") == [
        "Graph contains a cycle: c -> p -> q -> c"
    ]


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (["p -> q.a", "q -> p.a"], "Graph contains a cycle: p -> q -> p"),
        (["p -> p.a"], "Graph contains a cycle: p -> p"),
        (["k -> p.a", "p -> q.a", "q -> p.b"], "Graph contains a cycle: p -> q -> p"),
    ],
)
def test_data_must_not_go_in_circles(edges, message):
    assert problems_of({"k": "K", "p": "P", "q": "P"}, *edges) == [message]


def test_a_long_cycle_is_shortened():
    nodes = {f"n{i}": "P" for i in range(100)}
    edges = [f"n{i} -> n{(i + 1) % 100}.a" for i in range(100)]

    (message,) = problems_of(nodes, *edges)

    assert message.startswith("Graph contains a cycle: n0 -> n1")
    assert " -> ... -> " in message
    assert message.endswith("-> n99 -> n0")


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        (5001, 0, "Graph has 5,001 nodes; at most 5,000 can run. "),
        (2, 20_001, "Graph has 20,001 edges; at most 20,000 can run. "),
    ],
)
def test_a_graph_that_is_too_large_is_refused_with_the_cure(nodes, edges, message):
    big = {
        "nodes": [{"id": str(i), "type": "test.K"} for i in range(nodes)],
        "edges": document({"0": "K", "1": "K"}, "0 -> 1.value")["edges"] * edges,
    }

    (problem,) = check_graph(load_graph(big), registry).errors

    assert problem.message == message + "Split it into several workflows."


async def test_all_problems_come_at_once_and_mark_their_nodes():
    recording = Recording(
        graph(
            {
                "x": "Nothing",
                "s": ("Secs", {"count": "many"}),
                "t": "Text",
                "u": "Secs",
                "p": "P",
                "i": ("StringInput", {"name": ""}),
            },
            "t -> u.secs",
            "p -> p.a",
        )
    )
    await recording.execute()

    assert isinstance(recording.error, GraphError)
    lines = str(recording.error).splitlines()
    assert lines[0].startswith("Graph contains errors: Failed to load node x")
    assert len(lines) == len(recording.error.problems) == 5
    marked = recording.of(NodeUpdate, status="error")
    assert [update.node_id for update in marked] == ["x", "s", "u", "p", "i"]
    assert len(recording.events) == 5
    assert all(problem.cure for problem in recording.error.problems)


@pytest.mark.parametrize(
    "broken",
    [
        b"{",
        b"[]",
        b"\xff",
        b'{"nodes": 1}',
        b'{"nodes": [{"id": 7, "type": "test.K"}]}',
        b'{"edges": [{"source": "a"}]}',
        {"nodes": ["x"]},
        b'{"nodes":' + b"[" * 100_000,
    ],
)
def test_what_is_no_graph_is_refused(broken):
    with pytest.raises(GraphError, match="Not a graph"):
        load_graph(broken)


def test_older_and_newer_documents_are_read():
    old = {
        "nodes": [
            {
                "id": "k",
                "type": "test.K",
                "future": 1,
                "data": None,
                "ui_properties": None,
                "sync_mode": None,
            },
            {"id": "r", "type": "test.Output", "data": {"name": "r"}},
        ],
        "edges": [
            {
                "source": "k",
                "sourceHandle": "output",
                "target": "r",
                "targetHandle": "value",
                "ui_properties": {"className": "any"},
            },
        ],
        "comment": "kept elsewhere",
    }

    loaded = load_graph(old)

    assert check_graph(loaded, registry).problems == []
    assert loaded.edges[0].id == "k:output->r:value"


def test_edges_without_ids_get_different_ones():
    twin = {"source": "a", "sourceHandle": "o", "target": "b", "targetHandle": "i"}

    loaded = load_graph({"nodes": [], "edges": [twin, twin]})

    assert [edge.id for edge in loaded.edges] == ["a:o->b:i", "a:o->b:i#2"]
