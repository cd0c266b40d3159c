"""The scale-out mode from one command, on the real services."""

import json
import urllib.request

import psutil
import pytest

pytestmark = pytest.mark.scale_out


def test_one_command_gives_a_server_with_its_worker(
    nodetool, postgres_database, redis_url
):
    server = nodetool.serve(
        "--with-worker", DATABASE_URL=postgres_database, REDIS_URL=redis_url
    )
    workers = psutil.Process(server.pid).children()

    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/api/workflows/hello/run",
        data=json.dumps({"params": {"name": "you"}}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        outputs = json.load(answer)["outputs"]

    assert outputs == {"greeting": "Hello, you"}
    assert server.terminate(90) == 0
    assert workers
    assert not any(worker.is_running() for worker in workers)


def test_worker_of_the_same_command_runs_in_the_servers_mode(
    nodetool, postgres_database, redis_url
):
    server = nodetool.serve(
        *("--mode", "private", "--with-worker"),
        DATABASE_URL=postgres_database,
        REDIS_URL=redis_url,
    )
    [worker] = psutil.Process(server.pid).children()

    words = worker.cmdline()

    assert words[-3:] == ["worker", "--mode", "private"]
    assert server.terminate(90) == 0


def test_broker_that_is_away_makes_the_server_unready_and_not_unhealthy(
    nodetool, postgres_database
):
    server = nodetool.serve(
        DATABASE_URL=postgres_database, REDIS_URL="redis://127.0.0.1:1"
    )

    status, body = server.get("/ready")

    assert status == 503
    assert json.loads(body)["checks"] == {"database": True, "broker": False}
    assert server.get("/health")[0] == 200
    assert server.terminate() == 0


def test_idle_worker_is_small_and_ends_with_0(nodetool, postgres_database, redis_url):
    env = {"DATABASE_URL": postgres_database, "REDIS_URL": redis_url}
    assert nodetool.run("db", "migrate", **env).returncode == 0
    worker = nodetool.start("worker", ready="ready.", **env)

    size = worker.rss_bytes()

    assert worker.terminate(20) == 0
    assert size < 140 * 1024**2
