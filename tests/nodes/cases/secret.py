"""Stored secrets: the user of these cases has one, ``TOKEN``."""

from tests.nodes.harness import Case

TYPE = "lib.secret.GetSecret"
CASES = [
    Case(node_type=TYPE, data={"name": "TOKEN"}, expect={"output": ["stored"]}),
    Case(
        node_type=TYPE,
        data={"name": "TOKEN", "default": "x"},
        expect={"output": ["stored"]},
    ),
    Case(
        node_type=TYPE,
        data={"name": "OTHER", "default": "x"},
        expect={"output": ["x"]},
    ),
    Case(node_type=TYPE, data={"name": "OTHER"}, expect={"output": [None]}),
    Case(node_type=TYPE, error="name is empty: give the name of a stored secret"),
]
