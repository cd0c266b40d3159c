"""Patterns and templates stay within their limits, in real processes."""

import asyncio

import pytest

from nodetool_site.lib.process_pool import BlockingPool
from tests.nodes.harness import Case, run_case
from workflows.nodes import demo, limits, templates

FORMAT = "nodetool.text.FormatText"
REPLACE = "nodetool.text.RegexReplace"
FIND = "nodetool.text.FindAllRegex"
CATASTROPHE = {"text": "a" * 40 + "!", "regex": "(a+)+$"}


@pytest.fixture(scope="module")
def pool():
    pool = BlockingPool(1)
    yield pool
    pool.close()


@pytest.fixture
def little_time(monkeypatch):
    """Give a process less time than the product does."""
    monkeypatch.setattr(limits, "TIME_LIMIT_S", 0.2)


async def error_of(node_type, *, blocking=None, dynamic=None, **data):
    case = Case(node_type=node_type, data=data, dynamic=dynamic or {})
    outcome = await run_case(case, blocking=blocking)
    assert outcome.outputs == {}
    return str(outcome.error)


@pytest.mark.usefixtures("little_time")
async def test_a_catastrophic_pattern_is_ended_and_the_next_one_runs(pool):
    async with asyncio.timeout(30):
        error = await error_of(FIND, blocking=pool, **CATASTROPHE)
        case = Case(node_type=FIND, data={"text": "a1", "regex": r"\d"})
        following = await run_case(case, blocking=pool)

    assert error.startswith("regex took longer than 0.2 s: make it simpler")
    assert following.outputs == {"output": [["1"]]}


@pytest.mark.usefixtures("little_time")
async def test_an_endless_template_is_ended(pool):
    template = (
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"
    )

    async with asyncio.timeout(30):
        error = await error_of(FORMAT, blocking=pool, template=template)

    assert error.startswith("template took longer than 0.2 s")


async def test_a_template_that_wants_all_memory_is_refused(pool):
    async with asyncio.timeout(30):
        error = await error_of(
            FORMAT, blocking=pool, template="{{ ('x' * 400000000)|length }}"
        )

    assert error.startswith("template needs too much memory")


async def test_a_pattern_that_wants_all_memory_is_refused(pool):
    replace = {"text": "a" * 30_000, "pattern": "a", "replacement": "b" * 30_000}

    async with asyncio.timeout(30):
        error = await error_of(REPLACE, blocking=pool, **replace)

    assert error.startswith("pattern needs too much memory")


@pytest.mark.parametrize(("node_type", "name"), [(FIND, "regex"), (REPLACE, "pattern")])
async def test_a_pattern_has_a_thousand_characters_at_most(node_type, name):
    allowed = await run_case(Case(node_type=node_type, data={name: "a" * 1000}))
    refused = await error_of(node_type, **{name: "a" * 1001})

    assert allowed.error is None
    assert refused == f"{name} has 1,001 characters: use at most 1,000"


@pytest.mark.parametrize(
    ("node_type", "data", "message"),
    [
        (FIND, {"regex": "(a"}, "regex is not a regular expression (missing )"),
        (REPLACE, {"pattern": "[a"}, "pattern is not a regular expression"),
        (
            REPLACE,
            {"text": "a", "pattern": "a", "replacement": r"\2"},
            "replacement is not usable (invalid group reference 2",
        ),
        (
            REPLACE,
            {"text": "a", "pattern": "a", "replacement": r"\g<x>"},
            "replacement is not usable (unknown group name 'x'",
        ),
        (REPLACE, {"count": -1}, "count is negative: use 0"),
    ],
)
async def test_a_wrong_pattern_is_explained(node_type, data, message):
    assert message in await error_of(node_type, **data)


@pytest.mark.parametrize(
    ("regex", "expected"),
    [
        (r"\w+", ["ab", "cd"]),
        (r"(\w)\w", ["a", "c"]),
        (r"(\w)(\w)", [["a", "b"], ["c", "d"]]),
        ("x", []),
    ],
)
async def test_matches_are_of_the_groups_if_there_are_any(regex, expected):
    case = Case(node_type=FIND, data={"text": "ab cd", "regex": regex})

    assert (await run_case(case)).outputs == {"output": [expected]}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0),
        ({"dotall": True}, 1),
        ({"ignorecase": True, "dotall": True}, 1),
    ],
)
async def test_a_dot_matches_line_ends_on_demand(options, expected):
    case = Case(node_type=FIND, data={"text": "a\nb", "regex": "a.b", **options})

    [found] = (await run_case(case)).outputs["output"]

    assert len(found) == expected


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("{{ NAME }} {{ name }} {{ Name }}", {"name": "x"}, "x x x"),
        ("{{ Name }} {{ name }}", {"name": "low", "Name": "High"}, "High low"),
        ("{name} { name } {Name}", {"name": "x"}, "x x x"),
        (
            "{other} {} {1} {a b} {{ '{name}' }}",
            {"name": "x"},
            "{other} {} {1} {a b} {name}",
        ),
        ('{"name": {name}}', {"name": "x"}, '{"name": x}'),
        ("{{ names }} {{ name }}", {"name": "x"}, " x"),
        (
            "{% for Item in items %}{{ Item.Key }}{% endfor %}",
            {"items": [{"Key": 1}]},
            "1",
        ),
        ("{{ text|truncate(8) }}", {"text": "long long text"}, "long..."),
        ("<{{ html }}>", {"html": "<b>"}, "<<b>>"),
        ("", {"name": "x"}, ""),
    ],
)
async def test_templates_are_rendered(template, values, expected):
    case = Case(node_type=FORMAT, data={"template": template}, dynamic=values)

    assert (await run_case(case)).outputs == {"output": [expected]}


async def test_a_value_may_come_by_an_edge_and_by_each_item_of_a_stream():
    case = Case(
        node_type=FORMAT,
        data={"template": "{{ n }}{unit}"},
        dynamic={"unit": "m"},
        streams={"n": [1, 2]},
    )

    assert (await run_case(case)).outputs == {"output": ["1m", "2m"]}


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}{{ ''|attr('__class__')|attr('__mro__') }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ self.__init__.__globals__ }}",
        "{{ '{0.__class__.__mro__}'.format('') }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ items.append(1) }}",
        "{{ range(10000000) }}",
        "{% include 'secret.txt' %}",
        "{% import 'os' as os %}",
    ],
)
async def test_a_template_does_not_leave_its_sandbox(template):
    case = Case(node_type=FORMAT, data={"template": template}, dynamic={"items": [1]})

    outcome = await run_case(case)

    said = str(outcome.error or "template gave nothing")
    assert said.startswith("template ")
    assert outcome.outputs in ({}, {"output": [""]})


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a\n{{ name", "template is wrong in line 2"),
        ("{{ 1 / 0 }}", "template cannot be rendered (division by zero)"),
        ("{{ name|nofilter }}", "No filter named 'nofilter'"),
        ("{{ missing.field }}", "'missing' is undefined"),
        ("{{ 'x' * 1048577 }}", "template gives more than 1,048,576 bytes"),
    ],
)
async def test_a_wrong_template_is_explained(template, message):
    assert message in await error_of(FORMAT, template=template)


def test_the_output_limit_counts_bytes(monkeypatch):
    monkeypatch.setattr(templates, "MAX_OUTPUT_BYTES", 4)

    assert templates.render("ää", {}) == "ää"
    with pytest.raises(ValueError, match="more than 4 bytes"):
        templates.render("äää", {})


async def test_patterns_and_templates_never_run_in_place():
    for node_type, data in (
        (FIND, {"regex": "a"}),
        (REPLACE, {"pattern": "a"}),
        (FORMAT, {"template": "a"}),
    ):
        outcome = await run_case(Case(node_type=node_type, data=data))
        assert len(outcome.blocking.calls) == 1


@pytest.mark.usefixtures("little_time")
async def test_the_time_in_the_queue_does_not_count(pool):
    occupied = asyncio.ensure_future(pool.run(demo.burn, 0.4))
    case = Case(node_type=FIND, data={"text": "a1", "regex": r"\d"})

    outcome = await run_case(case, blocking=pool)

    assert await occupied >= 0.4
    assert outcome.outputs == {"output": [["1"]]}
