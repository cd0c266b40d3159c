"""The request that runs a workflow: what body, query and ``Accept`` mean."""

import pytest

from jobs.api.run_requests import read_flag, read_run
from jobs.errors import InvalidJobRequest


def read(body, *, query=None, accept="", bare=False):
    return read_run(body, "w1", query=query or {}, accept=accept, may_be_params=bare)


def test_empty_body_waits_for_a_run_of_the_stored_workflow(settings):
    settings.NODETOOL_RUN_TIMEOUT = 300

    options = read({})

    assert (options.job.workflow_id, options.job.params) == ("w1", {})
    assert options.job.graph is None
    assert not options.wants_stream
    assert not options.is_background
    assert options.timeout_s == 300


@pytest.mark.parametrize("text", ["true", "1", "TRUE"])
def test_query_asks_for_a_stream(text):
    assert read({}, query={"stream": text}).wants_stream


@pytest.mark.parametrize("text", ["false", "0"])
def test_query_refuses_a_stream_though_accept_asks_for_one(text):
    assert not read({}, query={"stream": text}, accept="text/event-stream").wants_stream


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/event-stream", True),
        ("text/event-stream, */*", True),
        ("text/event-stream, application/json", False),
        ("application/json", False),
        ("*/*", False),
    ],
)
def test_accept_asks_for_a_stream_unless_json_will_do(accept, wanted):
    assert read({}, accept=accept).wants_stream is wanted


@pytest.mark.parametrize("value", ["true", 1, 0, [], {}])
def test_r8_stream_in_the_body_must_be_a_flag(value):
    with pytest.raises(InvalidJobRequest, match="stream"):
        read({"stream": value})


@pytest.mark.parametrize("text", ["", "yes", "2", "on"])
def test_r8_stream_in_the_query_must_be_a_flag(text):
    with pytest.raises(InvalidJobRequest, match="stream"):
        read({}, query={"stream": text})


@pytest.mark.parametrize("value", [[], "x", 1, True])
@pytest.mark.parametrize("name", ["params", "graph"])
def test_r8_params_and_graph_must_be_objects(name, value):
    with pytest.raises(InvalidJobRequest, match=name):
        read({name: value})


@pytest.mark.parametrize("value", [1, "a b", "x" * 65, "a/b", "ü", "a\n"])
def test_r8_job_id_must_be_usable(value):
    with pytest.raises(InvalidJobRequest, match="job_id"):
        read({"job_id": value})


@pytest.mark.parametrize("value", ["1", True, 0, -1, []])
def test_r8_timeout_must_be_a_positive_number(value):
    with pytest.raises(InvalidJobRequest, match="timeout"):
        read({"timeout": value})


@pytest.mark.parametrize(
    ("limit", "asked", "waits"),
    [(300, 2.5, 2.5), (300, 1000, 300), (300, None, 300), (0, 9, 9), (0, None, None)],
)
def test_timeout_is_capped_by_the_setting(settings, limit, asked, waits):
    settings.NODETOOL_RUN_TIMEOUT = limit

    assert read({"timeout": asked}).timeout_s == waits


def test_null_members_count_as_absent():
    names = ("params", "graph", "job_id", "stream", "background", "timeout")

    options = read(dict.fromkeys(names))

    assert options.job.params == {}
    assert not options.wants_stream


def test_graph_without_nodes_leaves_the_stored_one():
    assert read({"graph": {"nodes": [], "edges": []}}).job.graph is None


def test_z05_identity_and_routing_in_the_body_change_nothing():
    claims = {
        "user_id": "2",
        "auth_token": "x",
        "api_url": "http://elsewhere",
        "workflow_id": "other",
        "job_type": "admin",
        "execution_strategy": "docker",
    }

    job = read({"params": {}, **claims}).job

    assert job.workflow_id == "w1"
    assert (job.job_type, job.execution_strategy) == ("workflow", "threaded")


def test_bare_body_is_the_params_themselves():
    body = {"prompt": "hi", "job_id": 5, "timeout": "soon", "graph": "g"}

    options = read(body, bare=True)

    assert options.job.params == body


def test_bare_body_may_ask_for_a_stream():
    options = read({"prompt": "hi", "stream": True}, bare=True)

    assert options.wants_stream
    assert options.job.params == {"prompt": "hi"}


def test_bare_body_may_have_an_input_called_stream():
    options = read({"stream": "river"}, bare=True)

    assert not options.wants_stream
    assert options.job.params == {"stream": "river"}


def test_body_with_params_is_read_alike_on_both_paths():
    options = read({"params": {"a": 1}, "job_id": "j1"}, bare=True)

    assert (options.job.params, options.job.job_id) == ({"a": 1}, "j1")


def test_absent_flag_is_none():
    assert read_flag({}, "done") is None
