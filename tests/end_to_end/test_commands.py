"""Commands beside each other on one data folder, without a server."""

import json

import pytest


@pytest.mark.embedded
def test_a_command_runs_its_own_job_and_leaves_waiting_ones_to_the_server(
    new_embedded_server,
):
    server = new_embedded_server(start=False)
    server.cli("db", "migrate")
    started = json.loads(server.cli("jobs", "start", "hello", "--json").out)

    ran = server.cli("run", "hello", "--jsonl")

    waiting = json.loads(server.cli("jobs", "get", started["job_id"], "--json").out)
    assert ran.code == 0
    assert waiting["status"] == "scheduled"
    server.start()
    events = server.cli("jobs", "logs", started["job_id"], "--follow", "--json")
    done = json.loads(server.cli("jobs", "get", started["job_id"], "--json").out)
    assert events.code == 0
    assert done["status"] == "completed"
