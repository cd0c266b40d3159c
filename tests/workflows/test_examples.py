"""The examples that come with the server."""

import pytest

from workflows.graph_check import problems_of
from workflows.shipped_examples import FOLDER, all_examples, find_example


@pytest.mark.parametrize("example", all_examples(), ids=lambda example: example.id)
def test_example_can_run(example):
    assert problems_of(example.fields.graph) == {"valid": True, "problems": []}


@pytest.mark.parametrize("example", all_examples(), ids=lambda example: example.id)
def test_example_says_what_it_shows_and_has_named_outputs(example):
    assert example.fields.description
    assert example.fields.tags
    assert '"output_schema":{"type":"object","properties":{}' not in example.document


def test_every_file_is_an_example():
    files = {path.stem for path in FOLDER.iterdir()}

    assert files == {example.id for example in all_examples()}


def test_example_is_found_by_name_and_by_id():
    assert find_example("nodetool", "Hello") is find_example("nodetool", "hello")
    assert find_example("other", "Hello") is None
