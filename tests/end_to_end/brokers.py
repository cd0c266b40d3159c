"""Who waits for messages at a broker: how a test knows that a worker takes jobs."""

from typing import Any
from urllib.parse import urlsplit

import redis
from amqp import Connection
from amqp.exceptions import AMQPError

QUEUE = "nodetool"


def count_consumers(url: str) -> int:
    """The number of workers that wait at the broker of ``url``."""
    if url.startswith("redis"):
        return _count_redis(url)
    return _count_amqp(url)


def _count_redis(url: str) -> int:
    number = urlsplit(url).path.strip("/") or "0"
    with redis.Redis.from_url(url) as client:
        clients = client.client_list()
    return sum(c["db"] == number and c["cmd"] == "brpop" for c in clients)


def _count_amqp(url: str) -> int:
    parts = urlsplit(url)
    connection = Connection(
        host=f"{parts.hostname}:{parts.port or 5672}",
        userid=parts.username or "guest",
        password=parts.password or "guest",
        virtual_host=parts.path[1:] or "/",
    )
    connection.connect()
    try:
        declared: Any = connection.channel().queue_declare(QUEUE, passive=True)
    except AMQPError:  # no worker has made the queue yet
        return 0
    finally:
        connection.close()
    return int(declared.consumer_count)
