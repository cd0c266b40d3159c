"""What the number nodes do with other than default input."""

import re

from tests.nodes.harness import Case, Where

UUID4 = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

CASES = [
    Case(
        node_type="lib.math.Add",
        data={"a": 2},
        constants={"b": 0.5},
        expect={"output": [2.5]},
    ),
    Case(node_type="lib.math.Divide", data={"a": 7, "b": 2}, expect={"output": [3.5]}),
    Case(
        node_type="lib.math.Power",
        data={"base": 2, "exponent": 10},
        expect={"output": [1024]},
    ),
    Case(
        node_type="nodetool.boolean.Compare",
        data={"b": 2, "comparison": ">="},
        streams={"a": [1, 2.0, 3]},
        expect={"output": [False, True, True]},
    ),
    Case(
        node_type="nodetool.numbers.FilterNumber",
        data={"filter_type": "less_than", "compare_value": 2.5},
        streams={"value": [1, 2, 3.5, 0]},
        expect={"output": [1, 2, 0]},
    ),
    Case(
        node_type="lib.uuid.GenerateUUID4",
        expect={"output": [Where(lambda text: bool(UUID4.fullmatch(text)))]},
    ),
]
