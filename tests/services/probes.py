"""Whether a service answers at a URL, asked the way the product would."""

from collections.abc import Callable

import psycopg
import redis
from amqp import Connection
from amqp.exceptions import AMQPError
from kombu.utils.url import parse_url

TIMEOUT_S = 3

Probe = Callable[[str], bool]


def postgres_answers(url: str) -> bool:
    """Whether the account of ``url`` can log in and create databases."""
    query = "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
    try:
        with psycopg.connect(url, connect_timeout=TIMEOUT_S) as connection:
            row = connection.execute(query).fetchone()
    except psycopg.Error:
        return False
    return bool(row and row[0])


def redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(
            url, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S
        ) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def amqp_answers(url: str) -> bool:
    parts = parse_url(url)
    connection = Connection(
        host=f"{parts['hostname']}:{parts['port'] or 5672}",
        userid=parts["userid"] or "guest",
        password=parts["password"] or "guest",
        virtual_host=parts["virtual_host"] or "/",
        connect_timeout=TIMEOUT_S,
        read_timeout=TIMEOUT_S,
        write_timeout=TIMEOUT_S,
    )
    try:
        connection.connect()
    except (OSError, AMQPError):
        return False
    connection.close()
    return True
