"""What the list nodes do with other than default input."""

from tests.nodes.harness import Case

CASES = [
    Case(
        node_type="nodetool.list.GenerateSequence",
        data={"start": 5, "stop": -1, "step": -2},
        expect={"output": [5, 3, 1]},
    ),
    Case(
        node_type="nodetool.list.ListRange",
        data={"start": 1, "stop": 8, "step": 3},
        expect={"output": [[1, 4, 7]]},
    ),
    Case(
        node_type="nodetool.list.Append",
        data={"values": [1], "value": {"a": 2}},
        expect={"output": [[1, {"a": 2}]]},
    ),
    Case(
        node_type="nodetool.list.Reverse",
        data={"values": [1, "b", None]},
        expect={"output": [[None, "b", 1]]},
    ),
    Case(
        node_type="nodetool.list.Sort",
        data={"values": [2, 10, 1.5], "order": "descending"},
        expect={"output": [[10, 2, 1.5]]},
    ),
    Case(
        node_type="nodetool.list.GetElement",
        data={"values": ["a", "b", "c"]},
        streams={"index": [0, -1]},
        expect={"output": ["a", "c"]},
    ),
    Case(
        node_type="nodetool.list.Length",
        streams={"values": [[1, 2], [], [3]]},
        expect={"output": [2, 0, 1]},
    ),
    Case(
        node_type="nodetool.list.Sum",
        data={"values": [1, 2.5]},
        expect={"output": [3.5]},
    ),
]
