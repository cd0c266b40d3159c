"""How tests come by their services, and that parallel runs do not meet in them."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from tests.services import isolation, left_over, local, ports, probes, resolve
from tests.services.available import service_url

REDIS = next(s for s in resolve.SERVICES if s.name == "Redis")
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def _nothing_is_installed(monkeypatch):
    monkeypatch.setattr(resolve, "may_install", lambda: False)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder into which the accounts of services may look."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def test_configured_address_wins_over_the_usual_one():
    service = replace(REDIS, answers=lambda url: True)

    assert resolve.find(service, {"TEST_REDIS_URL": "redis://other"}) == "redis://other"
    assert resolve.find(service, {}) == REDIS.standard_urls[0]


def test_a_silent_service_that_is_not_installed_is_missing_with_its_cure(tmp_path):
    service = replace(REDIS, standard_urls=(NOWHERE,), start=lambda *_: None)

    resolution = resolved(service, tmp_path)

    assert resolution.urls == {}
    assert "apt-get install redis-server" in resolution.missing["Redis"]


def test_a_service_that_does_not_come_up_is_missing(tmp_path):
    def fails(*_):
        raise local.StartFailed("no memory")

    service = replace(REDIS, standard_urls=(NOWHERE,), start=fails)

    assert "Redis" in resolved(service, tmp_path).missing


@pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is missing")
def test_an_installed_service_is_started_on_a_free_port_and_stopped(open_folder):
    service = replace(REDIS, standard_urls=(NOWHERE,))

    resolution = resolved(service, open_folder)
    url = resolution.urls["TEST_REDIS_URL"]

    assert probes.redis_answers(url)
    resolution.close()
    assert not probes.redis_answers(url)


def test_no_two_processes_of_a_run_choose_the_same_port(monkeypatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    shares = []
    for number in range(3):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{number}")
        shares.append(set(ports.share()))

    assert len(set.union(*shares)) == ports.COUNT
    assert ports.free_port() != ports.free_port()


def test_a_port_at_which_somebody_listens_is_passed_over(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken, free = server.getsockname()[1], ports.free_port()
        monkeypatch.setattr(ports, "_next_ports", iter([taken, free]))

        assert ports.free_port() == free


@pytest.mark.scale_out
def test_two_databases_are_different_and_leave_nothing():
    admin = service_url("PostgreSQL")

    with (
        isolation.own_database(admin) as first,
        isolation.own_database(admin) as second,
    ):
        names = {urlsplit(first).path[1:], urlsplit(second).path[1:]}
        assert len(names) == 2
        assert names <= databases(admin)

    assert not names & databases(admin)


@pytest.mark.scale_out
def test_databases_of_dead_runs_are_dropped_and_of_living_ones_kept():
    admin = service_url("PostgreSQL")
    dead = f"{isolation.PREFIX}_{unused_process()}_abc_def"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {dead}")

    with isolation.own_database(admin) as living:
        isolation.drop_abandoned_databases(admin)
        remaining = databases(admin)

    assert dead not in remaining
    assert urlsplit(living).path[1:] in remaining


@pytest.mark.scale_out
def test_two_redis_databases_do_not_see_each_other():
    admin = service_url("Redis")

    with isolation.own_redis(admin) as first, isolation.own_redis(admin) as second:
        with redis.Redis.from_url(first) as client:
            client.set("key", "value")
        with redis.Redis.from_url(second) as client:
            assert client.get("key") is None

    with redis.Redis.from_url(first) as client:
        assert client.get("key") is None


def test_a_process_that_outlived_its_run_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv(left_over.VARIABLE, str(tmp_path))
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        left_over.remember(process.pid)

        left_over.kill_all(tmp_path)

        assert process.wait(timeout=10) == -signal.SIGKILL


def test_a_number_that_another_process_has_by_now_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv(left_over.VARIABLE, str(tmp_path))
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        left_over.remember(process.pid)
        os.utime(tmp_path / str(process.pid), (0, 0))

        left_over.kill_all(tmp_path)

        assert process.poll() is None
        process.kill()


def resolved(service: resolve.Service, folder: Path) -> resolve.Resolution:
    resolution = resolve.Resolution()
    resolve.resolve(folder, {}, resolution, services=[service])
    return resolution


def databases(admin: str) -> set[str]:
    with psycopg.connect(admin, autocommit=True) as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database")}


def unused_process() -> int:
    return next(n for n in range(2**22 - 1, 1, -1) if not isolation.is_alive(n))
