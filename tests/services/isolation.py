"""A database and a Redis number for one server, so that parallel runs never meet."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from psycopg import sql

PREFIX = "nodetool_test"
LEASE_S = 6 * 3600
LEASE_TIMEOUT_S = 60


def run_id() -> str:
    """Names this test run; begins with the process that owns what is named by it."""
    return os.environ.get("TEST_RUN_ID") or f"{os.getpid()}_{secrets.token_hex(3)}"


@contextmanager
def own_database(admin_url: str) -> Iterator[str]:
    """The URL of an empty database, dropped afterwards."""
    name = f"{PREFIX}_{run_id()}_{secrets.token_hex(4)}"
    _admin(admin_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield _with_path(admin_url, name)
    finally:
        drop_database(admin_url, name)


def drop_database(admin_url: str, name: str) -> None:
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    _admin(admin_url, statement.format(sql.Identifier(name)))


def drop_abandoned_databases(admin_url: str, *, also: int = 0) -> None:
    """Drop what killed runs of this machine left behind, and the run of ``also``."""
    query = "SELECT datname FROM pg_database WHERE datname LIKE %s"
    with psycopg.connect(admin_url, autocommit=True) as connection:
        names = [r[0] for r in connection.execute(query, [f"{PREFIX}_%"]).fetchall()]
    for name in names:
        owner = name.removeprefix(f"{PREFIX}_").split("_")[0]
        if owner.isdigit() and (int(owner) == also or not is_alive(int(owner))):
            drop_database(admin_url, name)


def _admin(admin_url: str, statement: sql.Composed) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(statement)


@contextmanager
def own_redis(url: str) -> Iterator[str]:
    """The URL of an empty numbered database of Redis, flushed afterwards.

    The numbers in use are keys of number 0. A number that holds anything, and is not
    held by a process that has died, belongs to somebody else and is left alone.
    """
    with redis.Redis.from_url(_with_path(url, "0")) as leases:
        number = _lease(leases, url)
        own_url = _with_path(url, str(number))
        try:
            yield own_url
        finally:
            _flush(own_url)
            leases.delete(_lease_key(number))


def _lease(leases: redis.Redis, url: str) -> int:
    owner = f"{socket.gethostname()}:{os.getpid()}"
    total = int(leases.config_get("databases").get("databases") or 16)
    deadline = time.monotonic() + LEASE_TIMEOUT_S
    while time.monotonic() < deadline:
        for number in range(1, total):
            _release_if_abandoned(leases, number, url)
            if leases.set(_lease_key(number), owner, nx=True, ex=LEASE_S):
                if _is_empty(_with_path(url, str(number))):
                    return number
                leases.delete(_lease_key(number))
        time.sleep(0.1)
    raise TimeoutError(f"all {total} databases of Redis are in use")


def _release_if_abandoned(leases: redis.Redis, number: int, url: str) -> None:
    holder = leases.get(_lease_key(number))
    if not isinstance(holder, bytes):
        return
    host, _, process = holder.decode().rpartition(":")
    if host == socket.gethostname() and not is_alive(int(process)):
        _flush(_with_path(url, str(number)))
        leases.delete(_lease_key(number))


def _lease_key(number: int) -> str:
    return f"{PREFIX}:redis:{number}"


def _is_empty(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        return bool(client.dbsize() == 0)


def _flush(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.flushdb()


@contextmanager
def own_virtual_host(url: str) -> Iterator[str]:
    """The URL of an empty virtual host of RabbitMQ, deleted afterwards.

    Where its command line does not reach the broker, which then is one that was
    started for this run alone, the broker's own virtual host has to do.
    """
    name = f"{PREFIX}_{run_id()}_{secrets.token_hex(4)}"
    if not _rabbitmqctl("add_vhost", name):
        yield url
        return
    try:
        user = urlsplit(url).username or "guest"
        _rabbitmqctl("set_permissions", "-p", name, user, ".*", ".*", ".*")
        yield _with_path(url, name)
    finally:
        _rabbitmqctl("delete_vhost", name)


def _rabbitmqctl(*arguments: str) -> bool:
    program = shutil.which("rabbitmqctl")
    if program is None:
        return False
    argv = [program, "--quiet", *arguments]
    result = subprocess.run(argv, capture_output=True, check=False, timeout=60)
    return result.returncode == 0


def is_alive(process: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))
