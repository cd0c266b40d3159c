"""What ``/ready`` asks: does the database answer, does the broker."""

import asyncio
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from nodetool_site.lib import lifecycle
from nodetool_site.lib.db import db

DEFAULT_PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}


def register() -> None:
    """Add the checks of what the project itself uses."""
    lifecycle.add_readiness_check("database", database_answers)
    lifecycle.add_readiness_check("broker", broker_answers)


async def database_answers() -> bool:
    """Ask the database for nothing."""
    return await db(_select_1)


async def broker_answers() -> bool:
    """Ask Redis for a pong, another broker for a connection. True where none is."""
    url = settings.CELERY_BROKER_URL
    if not url:
        return True
    address = urlsplit(url)
    port = address.port or DEFAULT_PORTS.get(address.scheme, 0)
    reader, writer = await asyncio.open_connection(address.hostname, port)
    try:
        if address.scheme != "redis":
            return True
        # Without a password Redis answers an error, and that is an answer too.
        writer.write(b"PING\r\n")
        return bool(await reader.readline())
    finally:
        writer.close()


def _select_1() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone() == (1,))
